package jsonscan

import (
	"strconv"
	"unicode/utf8"
)

// Peek is the byte at p; 0, which no JSON has there, at the end.
func Peek(src []byte, p int) byte {
	if uint(p) < uint(len(src)) {
		return src[p]
	}
	return 0
}

// Space is the position behind white space.
func Space(src []byte, p int) int {
	for uint(p) < uint(len(src)) && src[p] <= ' ' &&
		(src[p] == ' ' || src[p] == '\n' || src[p] == '\t' || src[p] == '\r') {
		p++
	}
	return p
}

// At says in words what is at p.
func At(src []byte, p int) string {
	if p >= len(src) {
		return "the end"
	}
	r, _ := utf8.DecodeRune(src[p:])
	return strconv.QuoteRune(r)
}

// Ones are the low bits of eight bytes.
const Ones = 0x0101010101010101

// Highs are the high bits of eight bytes: text beyond ASCII has some.
const Highs = 0x8080808080808080

// Stops marks, in the high bit of its byte, the first of eight bytes that ends a run of plain text: a quote, a
// backslash or a control character. Marks above the first may be wrong.
func Stops(w uint64) uint64 {
	return ((w - 0x20*Ones) | ((w ^ '"'*Ones) - Ones) | ((w ^ '\\'*Ones) - Ones)) &^ w & Highs
}

// Escape reads the escape at p.
func Escape(src []byte, p int) (r rune, _ int, reason string) {
	switch c := Peek(src, p+1); c {
	case '"', '\\', '/':
		return rune(c), p + 2, ""
	case 'b':
		return '\b', p + 2, ""
	case 'f':
		return '\f', p + 2, ""
	case 'n':
		return '\n', p + 2, ""
	case 'r':
		return '\r', p + 2, ""
	case 't':
		return '\t', p + 2, ""
	case 'u':
		u, ok := hex4(src, p+2)
		if !ok {
			return 0, p, `\u wants four hexadecimal digits`
		}
		if u < 0xd800 || u > 0xdfff {
			return u, p + 6, ""
		}
		if u < 0xdc00 && Peek(src, p+6) == '\\' && Peek(src, p+7) == 'u' {
			if low, ok := hex4(src, p+8); ok && low >= 0xdc00 && low <= 0xdfff {
				return 0x10000 + (u-0xd800)<<10 + (low - 0xdc00), p + 12, ""
			}
		}
		return 0, p, "half of a surrogate pair stands alone: no character"
	}
	return 0, p, "there is no such escape"
}

func hex4(src []byte, p int) (r rune, ok bool) {
	for i := range 4 {
		c := Peek(src, p+i)
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
