// Package jsonscan checks JSON (RFC 8259) where it stands, by words of eight bytes and without allocating. The syntax
// is taken strictly: no comments, no trailing commas, no leading zeros, no lone surrogates, valid UTF-8.
//
// A function is given the position of what it checks, and returns the position behind it and no reason; else the
// position of the fault, and why. No position is beyond the end of the text.
package jsonscan

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// MaxNesting is how deep BigQuery lets arrays and objects nest in a JSON value (GoogleSQL, "JSON type": nesting limit
// of 500).
const MaxNesting = 500

// InvalidUTF8 is the reason for text that is none.
const InvalidUTF8 = "text is not valid UTF-8"

// Value checks the value at p, which may nest so deep, at most MaxNesting.
func Value(src []byte, p, depth int) (_ int, reason string) {
	// Whether the open containers are objects is kept as bits.
	var objects [(MaxNesting + 63) / 64]uint64
	open := 0
	for {
		// A value.
		switch c := Peek(src, p); c {
		case '"':
			p, reason = Text(src, p)
		case '{', '[':
			if open == depth {
				return p, "the JSON value nests deeper than 500 levels, BigQuery's limit"
			}
			q := Space(src, p+1)
			if Peek(src, q) == c+2 { // the closing one: } and ] are two behind { and [
				p = q + 1
				break
			}
			word, bit := &objects[open>>6], uint64(1)<<(open&63)
			open++
			if p = q; c == '[' {
				*word &^= bit
				continue
			}
			*word |= bit
			if p, reason = key(src, p); reason != "" {
				return p, reason
			}
			continue
		case 't':
			p, reason = Word(src, p, "true")
		case 'f':
			p, reason = Word(src, p, "false")
		case 'n':
			p, reason = Word(src, p, "null")
		default:
			p, reason = Number(src, p)
		}
		if reason != "" {
			return p, reason
		}
		// What follows it.
		for {
			if open == 0 {
				return p, ""
			}
			object := objects[(open-1)>>6]>>((open-1)&63)&1 != 0
			end := byte(']')
			if object {
				end = '}'
			}
			p = Space(src, p)
			c := Peek(src, p)
			if c == end {
				open--
				p++
				continue
			}
			if c != ',' {
				return p, "a comma or " + string(rune(end)) + " belongs here, not " + At(src, p)
			}
			p = Space(src, p+1)
			if object {
				if p, reason = key(src, p); reason != "" {
					return p, reason
				}
			}
			break
		}
	}
}

// key checks the name of a field and the colon behind it, and returns the position of the value.
func key(src []byte, p int) (_ int, reason string) {
	if Peek(src, p) != '"' {
		return p, "the name of a field belongs here, in quotes, not " + At(src, p)
	}
	if p, reason = Text(src, p); reason != "" {
		return p, reason
	}
	if p = Space(src, p); Peek(src, p) != ':' {
		return p, "a colon belongs here, not " + At(src, p)
	}
	return Space(src, p+1), ""
}

// Text checks the text in the quotes at p. For text that is no UTF-8 the position is that of the quote.
func Text(src []byte, p int) (_ int, reason string) {
	p++
	from := p
	var high uint64
	for {
		for p+8 <= len(src) {
			w := binary.LittleEndian.Uint64(src[p:])
			if stop := Stops(w); stop != 0 {
				n := bits.TrailingZeros64(stop) >> 3
				high |= w & (1<<(8*uint(n)&63) - 1)
				p += n
				break
			}
			high |= w
			p += 8
		}
		for uint(p) < uint(len(src)) && src[p] != '"' && src[p] != '\\' && src[p] >= ' ' {
			high |= uint64(src[p])
			p++
		}
		switch Peek(src, p) {
		case '"':
			if high&Highs != 0 && !utf8.Valid(src[from:p]) {
				return from - 1, InvalidUTF8
			}
			return p + 1, ""
		case '\\':
			if _, p, reason = Escape(src, p); reason != "" {
				return p, reason
			}
		default:
			return p, TextReason(src, p)
		}
	}
}

// TextReason says why a text cannot go on at p: it ends, or there is a control character.
func TextReason(src []byte, p int) string {
	if p >= len(src) {
		return "the JSON ends inside of a text"
	}
	return "a control character in a text: it must be written as an escape"
}

// Word checks that true, false or null stands at p.
func Word(src []byte, p int, word string) (_ int, reason string) {
	if end := p + len(word); end <= len(src) && string(src[p:end]) == word {
		return end, ""
	}
	return p, "no JSON value starts here"
}

// Number checks the number at p.
func Number(src []byte, p int) (_ int, reason string) {
	at := p
	if Peek(src, p) == '-' {
		p++
	}
	from := p
	p = Digits(src, p)
	switch {
	case at >= len(src):
		return at, "the JSON value ends here"
	case p == from && from == at:
		return at, "no JSON value starts here, but " + At(src, at)
	case p == from:
		return at, "a minus sign without a number"
	case src[from] == '0' && p > from+1:
		return at, "a number starts with a zero that does not belong there"
	}
	if Peek(src, p) == '.' {
		from = p + 1
		if p = Digits(src, from); p == from {
			return at, "a number ends with its point"
		}
	}
	if c := Peek(src, p); c == 'e' || c == 'E' {
		p++
		if c = Peek(src, p); c == '+' || c == '-' {
			p++
		}
		from = p
		if p = Digits(src, from); p == from {
			return at, "a number has an exponent without digits"
		}
	}
	return p, ""
}

// Digits is the position behind decimal digits.
func Digits(src []byte, p int) int {
	for uint(p) < uint(len(src)) && src[p]-'0' <= 9 {
		p++
	}
	return p
}
