package json

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
)

// unquote copies the text behind the quote at p-1 to out[o:], which has room for what is left of the payload and eight
// bytes, its escapes resolved. It returns the positions behind the closing quote and behind the text.
func (d *Decoder) unquote(out []byte, p, o int) (_, end int) {
	src, from, at := d.src, o, p-1
	var high uint64 // the bits of all bytes: the high ones tell of text beyond ASCII
	for {
		for p+8 <= len(src) {
			w := binary.LittleEndian.Uint64(src[p:])
			binary.LittleEndian.PutUint64(out[o:], w)
			if stop := jsonscan.Stops(w); stop != 0 {
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
		switch jsonscan.Peek(src, p) {
		case '"':
			if high&jsonscan.Highs != 0 && !decode.ValidWords(out[from:o]) {
				return d.fail(at, jsonscan.InvalidUTF8), 0
			}
			return p + 1, o
		case '\\':
			r, q, reason := jsonscan.Escape(src, p)
			if reason != "" {
				return d.fail(q, reason), 0
			}
			if r < utf8.RuneSelf {
				out[o] = byte(r)
				o++
			} else {
				o += utf8.EncodeRune(out[o:o+4:len(out)], r)
			}
			p = q
		default:
			return d.fail(p, jsonscan.TextReason(src, p)), 0
		}
	}
}

// raw returns the text in the quotes at p and the position behind them. It aliases the payload, or scratch if there are
// escapes.
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
	if jsonscan.Peek(d.src, p) != '"' {
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
	if n := end - k - 1; n < 0x80 {
		out[k] = byte(n)
		return q, end
	}
	return q, closeText(out, k, end)
}

// closeText puts the length of the text at out[k+1:end] before it, at out[k], and returns where it ends then.
func closeText(out []byte, k, end int) int {
	n := end - k - 1
	size := decode.VarintLen(uint64(n))
	copy(out[k+size:], out[k+1:end])
	decode.PutVarint(out, k, uint64(n))
	return end + size - 1
}

// put writes a tag and a text, which may be longer than what is left of the payload.
func (d *Decoder) put(s *step, text []byte, o int) int {
	if need := len(text) + slack; len(d.out)-o < need {
		d.grow(o, need)
	}
	binary.LittleEndian.PutUint32(d.out[o:], s.tag)
	o = decode.PutVarint(d.out, o+int(s.tagLen), uint64(len(text)))
	return o + copy(d.out[o:], text)
}

// convert writes what a text becomes in the column of a step. The value stands between at and q.
func (d *Decoder) convert(s *step, text []byte, at, q, o int) (int, int) {
	row, reason := s.cell.AppendText(d.out[:o], text, &d.Taken)
	if reason != "" {
		return d.fail(at, reason), o
	}
	d.out = row[:cap(row)]
	return q, len(row)
}

// textOf takes a number or a boolean for the text that it is written as.
func (d *Decoder) textOf(s *step, p, o int) (int, int) {
	switch jsonscan.Peek(d.src, p) {
	case '{', '[', '"':
		return d.wants(p, "a string"), o
	}
	q := d.skip(p, jsonscan.MaxNesting)
	if q < 0 {
		return q, o
	}
	return q, d.put(s, d.src[p:q], o)
}

// putTag writes a tag.
func (d *Decoder) putTag(s *step, o int) { binary.LittleEndian.PutUint32(d.out[o:], s.tag) }
