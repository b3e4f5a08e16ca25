package json

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"
)

// peek is the byte at p; 0, which no JSON has there, at the end.
func peek(src []byte, p int) byte {
	if uint(p) < uint(len(src)) {
		return src[p]
	}
	return 0
}

// space is the position behind white space.
func space(src []byte, p int) int {
	for uint(p) < uint(len(src)) && src[p] <= ' ' && (src[p] == ' ' || src[p] == '\n' || src[p] == '\t' || src[p] == '\r') {
		p++
	}
	return p
}

// charAt says in words what is at p.
func charAt(src []byte, p int) string {
	if p >= len(src) {
		return "the end of the payload"
	}
	r, _ := utf8.DecodeRune(src[p:])
	return strconv.QuoteRune(r)
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// stops marks, in the high bit of its byte, the first of eight bytes that ends a run of plain text: a quote, a backslash or a control
// character. Marks above the first may be wrong.
func stops(w uint64) uint64 {
	return ((w - 0x20*ones) | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones)) &^ w & highs
}

// unquote copies the text behind the quote at p-1 to out[o:], which has room for what is left of the payload and eight bytes, its escapes
// resolved. It returns the positions behind the closing quote and behind the text.
func (d *Decoder) unquote(out []byte, p, o int) (_, end int) {
	src, from, at := d.src, o, p-1
	var high uint64 // the bits of all bytes: the high ones tell of text beyond ASCII
	for {
		for p+8 <= len(src) {
			w := binary.LittleEndian.Uint64(src[p:])
			binary.LittleEndian.PutUint64(out[o:], w)
			if stop := stops(w); stop != 0 {
				n := bits.TrailingZeros64(stop) >> 3
				high |= w & (1<<(8*uint(n)&63) - 1)
				p += n
				o += n
				break
			}
			high |= w
			p += 8
			o += 8
		}
		for uint(p) < uint(len(src)) && src[p] != '"' && src[p] != '\\' && src[p] >= ' ' {
			high |= uint64(src[p])
			out[o] = src[p]
			p++
			o++
		}
		switch c := peek(src, p); {
		case c == '"':
			if high&highs != 0 && !utf8.Valid(out[from:o]) {
				return d.fail(at, "text is not valid UTF-8"), 0
			}
			return p + 1, o
		case c == '\\':
			r, q := d.escape(p)
			if q < 0 {
				return q, 0
			}
			if r < utf8.RuneSelf {
				out[o] = byte(r)
				o++
			} else {
				o += utf8.EncodeRune(out[o:o+4:len(out)], r)
			}
			p = q
		case p >= len(src):
			return d.fail(p, "the payload ends inside of a text"), 0
		default:
			return d.fail(p, "a control character in a text: it must be written as an escape"), 0
		}
	}
}

// escape reads the escape at p.
func (d *Decoder) escape(p int) (r rune, _ int) {
	src := d.src
	switch c := peek(src, p+1); c {
	case '"', '\\', '/':
		return rune(c), p + 2
	case 'b':
		return '\b', p + 2
	case 'f':
		return '\f', p + 2
	case 'n':
		return '\n', p + 2
	case 'r':
		return '\r', p + 2
	case 't':
		return '\t', p + 2
	case 'u':
		u, ok := hex4(src, p+2)
		if !ok {
			return 0, d.fail(p, `\u wants four hexadecimal digits`)
		}
		if u < 0xd800 || u > 0xdfff {
			return u, p + 6
		}
		if u < 0xdc00 && peek(src, p+6) == '\\' && peek(src, p+7) == 'u' {
			if low, ok := hex4(src, p+8); ok && low >= 0xdc00 && low <= 0xdfff {
				return 0x10000 + (u-0xd800)<<10 + (low - 0xdc00), p + 12
			}
		}
		return 0, d.fail(p, "half of a surrogate pair stands alone: no character")
	}
	return 0, d.fail(p, "there is no such escape")
}

func hex4(src []byte, p int) (r rune, ok bool) {
	for i := range 4 {
		c := peek(src, p+i)
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

// raw returns the text in the quotes at p and the position behind them. It aliases the payload, or scratch if there are escapes.
func (d *Decoder) raw(p int) (text []byte, _ int) {
	q := d.skipText(p)
	if q < 0 {
		return nil, q
	}
	text = d.src[p+1 : q-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		return d.unescaped(p)
	}
	return text, q
}

func (d *Decoder) unescaped(p int) (text []byte, _ int) {
	d.scratch = slices.Grow(d.scratch[:0], len(d.src)-p+slack)
	d.scratch = d.scratch[:cap(d.scratch)]
	q, end := d.unquote(d.scratch, p+1, 0)
	if q < 0 {
		return nil, q
	}
	return d.scratch[:end], q
}

// text decodes a string.
func (d *Decoder) text(s *step, p, o int) (int, int) {
	if peek(d.src, p) != '"' {
		if d.lenient || s.written {
			return d.textOf(s, p, o)
		}
		return d.wants(p, "a string"), o
	}
	out := d.out
	binary.LittleEndian.PutUint32(out[o:], s.tag)
	k := o + int(s.tagLen)
	q, end := d.unquote(out, p+1, k+1)
	if q < 0 {
		return q, o
	}
	n := end - k - 1
	if n < 0x80 {
		out[k] = byte(n)
		return q, end
	}
	size := varintLen(uint64(n))
	copy(out[k+size:], out[k+1:end])
	putVarint(out, k, uint64(n))
	return q, end + size - 1
}

// put writes a tag and a text, which may be longer than what is left of the payload.
func (d *Decoder) put(s *step, text []byte, o int) int {
	if need := len(text) + slack; len(d.out)-o < need {
		d.grow(o, need)
	}
	binary.LittleEndian.PutUint32(d.out[o:], s.tag)
	o = putVarint(d.out, o+int(s.tagLen), uint64(len(text)))
	return o + copy(d.out[o:], text)
}

// textOf takes a number or a boolean for the text that it is written as.
func (d *Decoder) textOf(s *step, p, o int) (int, int) {
	switch peek(d.src, p) {
	case '{', '[', '"':
		return d.wants(p, "a string"), o
	}
	q := d.skip(p, maxDepth)
	if q < 0 {
		return q, o
	}
	return q, d.put(s, d.src[p:q], o)
}

// putTag writes a tag.
func (d *Decoder) putTag(s *step, o int) { binary.LittleEndian.PutUint32(d.out[o:], s.tag) }
