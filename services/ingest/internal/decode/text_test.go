package decode

import (
	"bytes"
	"slices"
	"testing"
	"unicode/utf8"
)

// checkText checks a text at the end of a payload and within one, where what is around it must not matter.
func checkText(t *testing.T, text []byte) {
	t.Helper()
	want := utf8.Valid(text)
	if got := ValidWords(text); got != want {
		t.Fatalf("ValidWords(%x): %v", text, got)
	}
	for _, around := range []string{"", "\xc3", "\xbf\xbf\xbf", "ab"} {
		for _, behind := range []int{0, 1, 40} {
			src := append([]byte(around), text...)
			for range behind {
				src = append(src, around...)
			}
			if got := ValidText(src, len(around), len(text)); got != want {
				t.Fatalf("ValidText(%x, %d, %d): %v", src, len(around), len(text), got)
			}
		}
	}
}

// Every sequence of bytes that matters, at every place of a word.
func TestValidText(t *testing.T) {
	// The first and last bytes of each row and column of table 3-7 of the Unicode Standard.
	edges := []byte{
		0, 'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
		0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
	}
	for before := range 9 {
		head := bytes.Repeat([]byte("x"), before)
		for _, a := range edges {
			checkText(t, append(head[:before:before], a))
			for _, b := range edges {
				checkText(t, append(head[:before:before], a, b))
				for _, c := range edges {
					checkText(t, append(head[:before:before], a, b, c))
					if before > 0 && before < 5 {
						continue // none of four bytes is in the next word
					}
					for _, d := range edges {
						text := slices.Concat(head, []byte{a, b, c, d})
						if ValidWords(text) != utf8.Valid(text) {
							t.Fatalf("ValidWords(%x): %v", text, ValidWords(text))
						}
					}
				}
			}
		}
	}
	for r := rune(0); r < utf8.MaxRune; r += 1 + r/97 {
		for before := range 9 {
			text := utf8.AppendRune(bytes.Repeat([]byte("é"), before), r)
			checkText(t, text)
			checkText(t, append(text, "ab漢字"...))
		}
	}
	for n := range 100 {
		checkText(t, bytes.Repeat([]byte("a"), n))
		checkText(t, append(bytes.Repeat([]byte("a"), n), 0xff))
	}
}

func FuzzValidText(f *testing.F) {
	for _, seed := range []string{
		"", "Porto Campanhã", "Łódź Widzew", "小さな森", "a😀b", "\xed\xa0\x80", "\xe0\x9f\xbf", "\xf4\x90\x80\x80", "\xc3",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkText(t, text) })
}

func BenchmarkValidText(b *testing.B) {
	for _, text := range []string{
		"AT_HUB", "Porto Campanhã", "小さな森", "label read by the tunnel scanner; weight and size agree with the " +
			"shipping note",
	} {
		b.Run(text[:4], func(b *testing.B) {
			src := append([]byte(text), make([]byte, 40)...)
			for b.Loop() {
				if !ValidText(src, 0, len(text)) {
					b.Fatal(text)
				}
			}
		})
	}
}
