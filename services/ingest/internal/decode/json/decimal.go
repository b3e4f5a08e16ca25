package json

import (
	"bytes"
	"fmt"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
)

// decimalType bounds a decimal: at most precision digits, scale of them behind the point.
type decimalType struct{ precision, scale int }

// decimal decodes a NUMERIC or BIGNUMERIC from a number, or the text of one in a string. Digits are counted as they are written; the value
// never becomes a float. Zeros at its end that the column has no place for are dropped, other digits refuse the record.
func (d *Decoder) decimal(s *step, p, o int) (int, int) {
	at := p
	if jsonscan.Peek(d.src, p) == '"' {
		p++
	}
	if c := jsonscan.Peek(d.src, p); c != '-' && c-'0' > 9 {
		return d.wants(at, "a decimal number"), o
	}
	q := d.skipNumber(p)
	if q < 0 {
		return q, o
	}
	text := d.src[p:q]
	if p > at {
		if jsonscan.Peek(d.src, q) != '"' {
			return d.fail(at, "wants a decimal number, has a string of something else"), o
		}
		q++
	}
	d.putTag(s, o)
	end, reason := s.decimal.write(d.out, o+int(s.tagLen)+1, text)
	if reason != "" {
		return d.fail(at, reason), o
	}
	d.out[o+int(s.tagLen)] = byte(end - o - int(s.tagLen) - 1) // below 128: 76 digits, sign and point
	return q, end
}

// write writes the number at out[o:] without an exponent, and returns the offset behind it.
func (t decimalType) write(out []byte, o int, text []byte) (end int, reason string) {
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	exponent := 0
	if at := bytes.IndexAny(text, "eE"); at >= 0 {
		exponent = power(text[at+1:])
		text = text[:at]
	}
	whole, fraction, _ := bytes.Cut(text, []byte{'.'})
	// digit i of the number, from the first, without the point.
	n := len(whole) + len(fraction)
	digit := func(i int) byte {
		if i < len(whole) {
			return whole[i]
		}
		return fraction[i-len(whole)]
	}
	first, last := 0, n
	for first < n && digit(first) == '0' {
		first++
	}
	for last > first && digit(last-1) == '0' {
		last--
	}
	if first == last {
		out[o] = '0'
		return o + 1, ""
	}
	point := len(whole) + exponent // digits before it, counted from digit 0
	if point-first > t.precision-t.scale || last-point > t.scale {
		return 0, fmt.Sprintf("the number does not fit %d digits before the point and %d behind it", t.precision-t.scale, t.scale)
	}
	if negative {
		out[o] = '-'
		o++
	}
	if point <= first {
		out[o] = '0'
		o++
	}
	for i := min(first, point); i < max(last, point); i++ {
		if i == point {
			out[o] = '.'
			o++
		}
		if out[o] = '0'; i >= first && i < last {
			out[o] = digit(i)
		}
		o++
	}
	return o, ""
}
