package json

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// rare decodes a value of the kinds that are not worth a place in single.
func (d *Decoder) rare(s *step, p, o int) (int, int) {
	switch s.kind {
	case shape.Enum:
		return d.enum(s, p, o)
	case shape.Bytes:
		return d.bytes(s, p, o)
	case shape.Date, shape.Time, shape.DateTime:
		return d.moment(s, p, o)
	case shape.Decimal:
		return d.decimal(s, p, o)
	case shape.JSON:
		q := d.skip(p, jsonscan.MaxNesting)
		if q < 0 || s.skip {
			return q, o
		}
		return q, d.put(s, d.src[p:q], o)
	case shape.Union:
		return d.union(s, p, o)
	case shape.Item:
		start := d.begin(s, o)
		if p, o = d.field(s.value, p, start); p < 0 {
			return p, o
		}
		return p, d.finish(s, start, o)
	case shape.Geography, shape.Interval:
		return d.checked(s, p, o)
	case shape.Range:
		return d.message(s, p, o)
	case kindComposed:
		return d.composed(s, p, o)
	}
	return d.wants(p, "null"), o // shape.Null
}

// checked decodes a text that BigQuery reads: a GEOGRAPHY, which may also be GeoJSON as an object, or an INTERVAL.
func (d *Decoder) checked(s *step, p, o int) (int, int) {
	var text []byte
	var q int
	switch c := jsonscan.Peek(d.src, p); {
	case c == '"':
		text, q = d.raw(p)
	case c == '{' && s.kind == shape.Geography:
		if q = d.skip(p, jsonscan.MaxNesting); q >= 0 {
			text = d.src[p:q]
		}
	default:
		return d.wants(p, "a text of type "+s.kind.String()), o
	}
	if q < 0 {
		return q, o
	}
	return d.convert(s, text, p, q, o)
}

// symbols are those of an enum, and what stands for others, if anything.
type symbols struct {
	known    map[string]bool
	fallback []byte
}

func newSymbols(n *shape.Node) *symbols {
	s := &symbols{known: map[string]bool{}, fallback: []byte(n.Fallback)}
	for _, symbol := range n.Symbols {
		s.known[symbol] = true
	}
	return s
}

// enum decodes a symbol.
func (d *Decoder) enum(s *step, p, o int) (int, int) {
	if jsonscan.Peek(d.src, p) != '"' {
		return d.wants(p, "a symbol in a string"), o
	}
	text, q := d.raw(p)
	switch {
	case q < 0:
		return q, o
	case s.symbols.known[string(text)]:
	case len(s.symbols.fallback) > 0:
		text = s.symbols.fallback
	case !d.lenient:
		return d.fail(p, "the schema's enum has no such symbol"), o
	}
	return q, d.put(s, text, o)
}

// bytes decodes BYTES from base64.
func (d *Decoder) bytes(s *step, p, o int) (int, int) {
	binary.LittleEndian.PutUint32(d.out[o:], s.tag)
	k := o + int(s.tagLen)
	n, q := d.base64(p, k+1)
	switch {
	case q < 0:
		return q, o
	case s.size > 0 && n != s.size:
		return d.fail(p, fmt.Sprintf("%d bytes, and the schema wants %d", n, s.size)), o
	}
	return q, closeText(d.out, k, k+1+n)
}

// base64 decodes a text to d.out[o:], which has room for what is left of the payload. n is the number of bytes.
func (d *Decoder) base64(p, o int) (n, q int) {
	if jsonscan.Peek(d.src, p) != '"' {
		return 0, d.wants(p, "base64 in a string")
	}
	text, q := d.raw(p)
	if q < 0 {
		return 0, q
	}
	n, err := encoding.Decode(d.out[o:], text)
	if err != nil || bytes.ContainsAny(text, "\r\n") {
		return 0, d.fail(p, "the string is not base64 (RFC 4648, section 4, with padding)")
	}
	return n, q
}

var encoding = base64.StdEncoding.Strict()

// union decodes a value into the branch that takes its kind.
func (d *Decoder) union(s *step, p, o int) (int, int) {
	var kind takes
	switch c := jsonscan.Peek(d.src, p); {
	case c == '"':
		kind = takesString
	case c == '{':
		kind = takesObject
	case c == '[':
		kind = takesArray
	case c == 't' || c == 'f':
		kind = takesBool
	case c == '-' || c-'0' <= 9:
		kind = takesNumber
	default:
		return d.wants(p, "a value of the union"), o
	}
	branch := s.branches[bits.TrailingZeros8(uint8(kind))]
	if branch == nil {
		return d.fail(p, "the union has no type for "+kindAt(d.src, p)), o
	}
	if branch.skip {
		return d.field(branch, p, o)
	}
	start := d.begin(s, o)
	if p, o = d.field(branch, p, start); p < 0 {
		return p, o
	}
	return p, d.finish(s, start, o)
}

// entries decodes an object as the entries of a map.
func (d *Decoder) entries(s *step, p, o int) (int, int) {
	src := d.src
	if jsonscan.Peek(src, p) != '{' {
		return d.wants(p, "an object"), o
	}
	p = jsonscan.Space(src, p+1)
	if jsonscan.Peek(src, p) == '}' {
		return p + 1, o
	}
	known := d.keys.table(16)
	outermost := known.from
	for {
		d.room(p, o)
		if o-d.from > decode.MaxRow {
			return d.fail(p, decode.RowReason), o
		}
		start, at := d.begin(s, o), p
		d.out[start] = 1<<3 | 2
		k := start + 1
		if jsonscan.Peek(src, p) != '"' {
			return d.fail(p, "a key belongs here, in quotes, not "+jsonscan.At(src, p)), o
		}
		q, end := d.unquote(d.out, p+1, k+1)
		if q < 0 {
			return q, o
		}
		end = closeText(d.out, k, end)
		if p = jsonscan.Space(src, q); jsonscan.Peek(src, p) != ':' {
			return d.fail(p, "a colon belongs here, not "+jsonscan.At(src, p)), o
		}
		p = jsonscan.Space(src, p+1)
		d.room(p, end)
		if s.deep {
			d.extra.enter(place{kind: placeKey, key: at})
		}
		if p, o = d.field(s.value, p, end); p < 0 {
			key, _ := d.rawAgain(at)
			return d.in(shown(key)), o
		}
		if s.deep {
			d.extra.leave()
		}
		body := o - start
		o = d.finish(s, start, o)
		if !d.keys.add(&known, d.out, o-body+1) {
			d.fail(at, "the key is there twice")
			key, _ := d.rawAgain(at)
			return d.in(shown(key)), o
		}
		var more bool
		if p, more = d.next(p, '}'); !more {
			d.keys.drop(outermost)
			return p, o
		}
	}
}

// rawAgain reads a text that was read before, and leaves the fault as it is.
func (d *Decoder) rawAgain(p int) (text []byte, q int) {
	kept := d.fault
	text, q = d.raw(p)
	d.fault = kept
	return text, q
}
