package json

import "github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"

// decimal decodes a NUMERIC or BIGNUMERIC from a number, or the text of one in a string. The value never becomes a
// float.
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
	return d.convert(s, text, at, q, o)
}
