package decode

import (
	"encoding/binary"
	"slices"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
)

// String writes a text, the n bytes at src[p:], which must be UTF-8. It is quickest where src goes on behind them.
func (w *JSONWriter) String(src []byte, p, n int) (reason string) {
	if n > ShortText || len(src)-p < ShortText {
		return w.text(src[p : p+n])
	}
	s, mask := (*[ShortText]byte)(src[p:]), &TextMasks[n]
	if odd(binary.LittleEndian.Uint64(s[:]))&mask[0]|odd(binary.LittleEndian.Uint64(s[8:]))&mask[1]|
		odd(binary.LittleEndian.Uint64(s[16:]))&mask[2]|odd(binary.LittleEndian.Uint64(s[24:]))&mask[3] != 0 {
		return w.text(src[p : p+n])
	}
	w.next()
	at := len(w.Text)
	if cap(w.Text)-at < ShortText+2 {
		w.Text = slices.Grow(w.Text, ShortText+2)
	}
	// What is copied beyond the text is overwritten by what comes.
	room := (*[ShortText + 2]byte)(w.Text[at : at+ShortText+2])
	room[0] = '"'
	*(*[ShortText]byte)(room[1:]) = *s
	room[n+1] = '"'
	w.Text = w.Text[:at+n+2]
	return ""
}

// odd marks, in the high bit of its byte, the first of eight bytes that does not stand in JSON as it is or that is
// beyond ASCII. Marks above the first, and other bits, may be wrong.
func odd(w uint64) uint64 {
	return (w - 0x20*jsonscan.Ones) | ((w ^ '"'*jsonscan.Ones) - jsonscan.Ones) |
		((w ^ '\\'*jsonscan.Ones) - jsonscan.Ones) | w
}

// text writes any text.
func (w *JSONWriter) text(text []byte) (reason string) {
	plain, ascii := looks(text)
	if !ascii && !ValidWords(text) {
		return InvalidUTF8
	}
	w.next()
	if plain {
		w.Text = append(append(append(w.Text, '"'), text...), '"')
	} else {
		w.Text = AppendQuoted(w.Text, text)
	}
	return ""
}

// looks reports whether a text stands in JSON as it is, and whether it is ASCII. It looks at eight bytes at a time.
func looks(text []byte) (plain, ascii bool) {
	n := len(text)
	if n < 8 {
		w := wordAt(text, 0)
		return jsonscan.Stops(w)&TextMasks[n][0] == 0, w&jsonscan.Highs == 0
	}
	last := binary.LittleEndian.Uint64(text[n-8:])
	stops, high := jsonscan.Stops(last), last
	for ; len(text) > 8; text = text[8:] {
		w := binary.LittleEndian.Uint64(text)
		stops |= jsonscan.Stops(w)
		high |= w
	}
	return stops == 0, high&jsonscan.Highs == 0
}
