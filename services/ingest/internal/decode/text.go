package decode

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
)

// ShortText is how long a text is checked without a branch that depends on its length: a mispredicted one costs more
// than the check.
const ShortText = 32

// TextMasks holds for each length the high bits of that many bytes.
var TextMasks = func() (masks [ShortText + 1][4]uint64) {
	for n := range masks {
		for i := range n {
			masks[n][i/8] |= 0x80 << (8 * (i % 8))
		}
	}
	return masks
}()

// ValidText reports whether the n bytes at src[p:] are UTF-8. It is quickest where src goes on behind them.
func ValidText(src []byte, p, n int) bool {
	text := src[p : p+n]
	if n <= ShortText && len(src)-p >= ShortText {
		s, mask := (*[ShortText]byte)(src[p:]), &TextMasks[n]
		if binary.LittleEndian.Uint64(s[:])&mask[0]|binary.LittleEndian.Uint64(s[8:])&mask[1]|
			binary.LittleEndian.Uint64(s[16:])&mask[2]|binary.LittleEndian.Uint64(s[24:])&mask[3] == 0 {
			return true
		}
		return ValidWords(text)
	}
	var high uint64
	if n >= ShortText {
		rest := text
		for ; len(rest) > ShortText; rest = rest[ShortText:] {
			high |= or32(rest)
		}
		high |= or32(text[n-ShortText:])
	} else {
		rest := text
		for ; len(rest) >= 8; rest = rest[8:] {
			high |= binary.LittleEndian.Uint64(rest)
		}
		for _, b := range rest {
			high |= uint64(b)
		}
	}
	return high&jsonscan.Highs == 0 || ValidWords(text)
}

// or32 joins the bits of 32 bytes.
func or32(text []byte) uint64 {
	s := (*[32]byte)(text)
	return binary.LittleEndian.Uint64(s[:]) | binary.LittleEndian.Uint64(s[8:]) |
		binary.LittleEndian.Uint64(s[16:]) | binary.LittleEndian.Uint64(s[24:])
}

// ValidWords is utf8.Valid for text that is likely to have characters beyond ASCII. Those of two and three bytes, all
// that most languages need, are checked eight bytes at a time: utf8.Valid mispredicts at every character of mixed text.
// The rules are those of the Unicode Standard, table 3-7.
func ValidWords(text []byte) bool {
	const low4, bits1to4 = 0x0f0f0f0f0f0f0f0f, 0x1e1e1e1e1e1e1e1e
	// Each variable has the high bit of the bytes that are what it says; those of the word before are carried over.
	var leads, leads3, firstE0, firstED uint64
	for i := 0; i < len(text); i += 8 {
		w := wordAt(text, i)
		bit6, bit5, bit4 := w<<1, w<<2, w<<3
		lead := w & bit6 & jsonscan.Highs
		lead3 := lead & bit5
		if lead3&bit4 != 0 {
			return utf8.Valid(text) // a character of four bytes, or none
		}
		follow := lead<<8 | leads>>56 | lead3<<16 | leads3>>48
		// C0 and C1 would be characters of one byte; E0 is followed by A0 and above, ED by less.
		overlong := lead &^ bit5 &^ (w&bits1to4 + 0x7e7e7e7e7e7e7e7e)
		isE0 := lead3 &^ (w&low4 + 0x7f7f7f7f7f7f7f7f)
		isED := lead3 &^ (w&low4 ^ 0x0d0d0d0d0d0d0d0d + 0x7f7f7f7f7f7f7f7f)
		wrong := w&^bit6&jsonscan.Highs ^ follow | overlong | (isE0<<8|firstE0>>56)&^bit5 | (isED<<8|firstED>>56)&bit5
		if wrong != 0 {
			return false
		}
		leads, leads3, firstE0, firstED = lead, lead3, isE0, isED
	}
	return leads>>56|leads3>>48 == 0
}

// wordAt is the eight bytes at text[i:], with zeros where text has ended.
func wordAt(text []byte, i int) uint64 {
	switch rest := text[i:]; {
	case len(rest) >= 8:
		return binary.LittleEndian.Uint64(rest)
	case len(text) >= 8:
		return binary.LittleEndian.Uint64(text[len(text)-8:]) >> (8 * uint(8-len(rest)) & 63)
	default:
		var w uint64
		for at, b := range rest {
			w |= uint64(b) << (8 * uint(at) & 63)
		}
		return w
	}
}
