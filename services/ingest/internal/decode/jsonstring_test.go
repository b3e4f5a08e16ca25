package decode

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// around are texts within a payload: near its end, and with room behind them.
func around(text []byte) [][]byte {
	return [][]byte{
		text, append(bytes.Clone(text), '"', 0, 0xff), append(bytes.Clone(text), make([]byte, ShortText)...),
	}
}

func checkString(t *testing.T, text []byte) {
	t.Helper()
	want := string(AppendQuoted([]byte(`["x",`)[:5], text))
	for _, src := range around(text) {
		for _, room := range []int{0, 100} {
			w := JSONWriter{Text: append(make([]byte, 0, 4+room), `["x"`...)}
			switch reason := w.String(src, 0, len(text)); {
			case !utf8.Valid(text):
				if reason != InvalidUTF8 || string(w.Text) != `["x"` {
					t.Fatalf("%q: %q, %q", text, w.Text, reason)
				}
			case reason != "" || string(w.Text) != want:
				t.Fatalf("%q: %q %s, want %q", text, w.Text, reason, want)
			}
		}
	}
	if !utf8.Valid(text) {
		return
	}
	var back string
	if err := json.Unmarshal(AppendQuoted(nil, text), &back); err != nil || back != string(text) {
		t.Fatalf("%q: %q, %v", text, back, err)
	}
}

// Texts of any length are quoted as a whole: what JSON escapes and what is beyond ASCII or no UTF-8 is seen wherever it
// stands, and nothing of what is behind a text has a say.
func TestStrings(t *testing.T) {
	for length := range 2*ShortText + 3 {
		text := bytes.Repeat([]byte{'a', 0x7f, ' ', '0'}, 20)[:length]
		checkString(t, text)
		for at := range length {
			for _, odd := range []string{
				"\"", "\\", "\n", "\x00", "\x1f", "\x7f", "é", "€", "😀", "\xff", "\xc3", "\xed\xa0\x80",
			} {
				with := bytes.Clone(text)
				copy(with[at:], odd)
				checkString(t, with)
			}
		}
	}
}

func FuzzString(f *testing.F) {
	for _, text := range []string{
		"", "a", "é \"quoted\"", "a product with a name", "\x00", "\xff", "0123456789\n0123456789",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkString(t, text) })
}
