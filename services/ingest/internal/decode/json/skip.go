package json

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a value that goes into a JSON column: what BigQuery takes (JSON type, "nesting limit of 500"). Values that
// are dropped are held to it as well. Elsewhere the schema bounds the depth.
const maxDepth = 500

// skip checks the value at p, which may nest so deep, and returns the position behind it.
func (d *Decoder) skip(p, depth int) int {
	src := d.src
	d.nest = d.nest[:0]
	for {
		// A value.
		switch c := peek(src, p); c {
		case '"':
			p = d.skipText(p)
		case '{', '[':
			if len(d.nest) == depth {
				return d.fail(p, "values nest deeper than 500 levels, BigQuery's limit")
			}
			q := space(src, p+1)
			if peek(src, q) == c+2 { // the closing one: } and ] are two behind { and [
				p = q + 1
				break
			}
			d.nest = append(d.nest, c)
			if p = q; c == '{' {
				if p = d.skipKey(p); p < 0 {
					return p
				}
			}
			continue
		case 't':
			p = d.literal(p, "true")
		case 'f':
			p = d.literal(p, "false")
		case 'n':
			p = d.literal(p, "null")
		default:
			p = d.skipNumber(p)
		}
		if p < 0 {
			return p
		}
		// What follows it.
		for {
			if len(d.nest) == 0 {
				return p
			}
			open := d.nest[len(d.nest)-1]
			p = space(src, p)
			c := peek(src, p)
			if c == open+2 {
				d.nest = d.nest[:len(d.nest)-1]
				p++
				continue
			}
			if c != ',' {
				return d.fail(p, "a comma or "+string(rune(open+2))+" belongs here, not "+charAt(src, p))
			}
			p = space(src, p+1)
			if open == '{' {
				if p = d.skipKey(p); p < 0 {
					return p
				}
			}
			break
		}
	}
}

// skipKey checks the name of a field and the colon behind it, and returns the position of the value.
func (d *Decoder) skipKey(p int) int {
	if peek(d.src, p) != '"' {
		return d.fail(p, "the name of a field belongs here, in quotes, not "+charAt(d.src, p))
	}
	if p = d.skipText(p); p < 0 {
		return p
	}
	if p = space(d.src, p); peek(d.src, p) != ':' {
		return d.fail(p, "a colon belongs here, not "+charAt(d.src, p))
	}
	return space(d.src, p+1)
}

// skipText checks the text in the quotes at p.
func (d *Decoder) skipText(p int) int {
	src := d.src
	p++
	from := p
	var high uint64
	for {
		for p+8 <= len(src) {
			w := binary.LittleEndian.Uint64(src[p:])
			if stop := stops(w); stop != 0 {
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
		switch c := peek(src, p); {
		case c == '"':
			if high&highs != 0 && !utf8.Valid(src[from:p]) {
				return d.fail(from-1, "text is not valid UTF-8")
			}
			return p + 1
		case c == '\\':
			if _, p = d.escape(p); p < 0 {
				return p
			}
		case p >= len(src):
			return d.fail(p, "the payload ends inside of a text")
		default:
			return d.fail(p, "a control character in a text: it must be written as an escape")
		}
	}
}

// literal checks that a word stands at p.
func (d *Decoder) literal(p int, word string) int {
	if end := p + len(word); end <= len(d.src) && string(d.src[p:end]) == word {
		return end
	}
	return d.fail(p, "no JSON value")
}

// skipNumber checks the number at p.
func (d *Decoder) skipNumber(p int) int {
	src, at := d.src, p
	if peek(src, p) == '-' {
		p++
	}
	from := p
	p = digits(src, p)
	switch {
	case p == from && from == at:
		return d.fail(at, "no JSON value, but "+charAt(src, at))
	case p == from:
		return d.fail(at, "a minus sign without a number")
	case src[from] == '0' && p > from+1:
		return d.fail(at, "a number starts with a zero that does not belong there")
	}
	if peek(src, p) == '.' {
		from = p + 1
		if p = digits(src, from); p == from {
			return d.fail(at, "a number ends with its point")
		}
	}
	if c := peek(src, p); c == 'e' || c == 'E' {
		p++
		if c = peek(src, p); c == '+' || c == '-' {
			p++
		}
		from = p
		if p = digits(src, from); p == from {
			return d.fail(at, "a number has an exponent without digits")
		}
	}
	return p
}

// digits is the position behind decimal digits.
func digits(src []byte, p int) int {
	for uint(p) < uint(len(src)) && src[p]-'0' <= 9 {
		p++
	}
	return p
}
