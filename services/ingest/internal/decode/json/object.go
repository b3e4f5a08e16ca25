package json

import (
	"encoding/binary"
	"math/bits"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// object decodes the fields of an object, behind its brace at p, to d.out[o:].
func (d *Decoder) object(ob *object, p, o int) (int, int) {
	src := d.src
	seen := d.push(ob.words)
	p = jsonscan.Space(src, p)
	c := jsonscan.Peek(src, p)
	if c == '}' {
		return d.end(ob, seen, p, o)
	}
	follows := d.follows[ob.first : ob.first+len(ob.steps)+1]
	last := 0 // the field before, plus one
	for {
		at, i := p, -1
		expect := int(follows[last])
		if len(src)-p >= 24 {
			s, w := &ob.steps[expect], src[p:p+24]
			if (binary.LittleEndian.Uint64(w)^s.head[0])&s.mask[0]|
				(binary.LittleEndian.Uint64(w[8:])^s.head[1])&s.mask[1]|
				(binary.LittleEndian.Uint64(w[16:])^s.head[2])&s.mask[2] == 0 {
				i = expect
				p += s.headLen
			}
		}
		if i < 0 {
			var name []byte
			if name, p = d.key(p); p < 0 {
				return p, o
			}
			if i = ob.find(name); i < 0 {
				if p = d.unknown(name, at, p); p < 0 {
					return p, o
				}
			} else {
				follows[last] = uint16(i)
			}
		}
		if i >= 0 {
			s := &ob.steps[i]
			if bit := uint64(1) << (uint(i) & 63); seen[i>>6]&bit != 0 {
				d.fail(at, "the field is there twice")
				return d.in(s.name), o
			} else {
				seen[i>>6] |= bit
			}
			p = jsonscan.Space(src, p)
			d.room(p, o)
			value, row := p, o
			if s.plain && jsonscan.Peek(src, p) != 'n' {
				p, o = d.single(s, p, o)
			} else {
				p, o = d.field(s, p, o)
			}
			if p < 0 {
				return d.in(s.name), o
			}
			if s.take != 0 && o > row {
				if reason := d.take(s, d.out[row+int(s.tagLen):o]); reason != "" {
					d.fail(value, reason)
					return d.in(s.name), o
				}
			}
			last = i + 1
		}
		if c = jsonscan.Peek(src, p); c != ',' {
			p = jsonscan.Space(src, p)
			c = jsonscan.Peek(src, p)
		}
		if c == '}' {
			return d.end(ob, seen, p, o)
		}
		if c != ',' {
			return d.fail(p, "a comma or } belongs here, not "+jsonscan.At(src, p)), o
		}
		if p++; jsonscan.Peek(src, p) != '"' {
			p = jsonscan.Space(src, p)
		}
	}
}

// push makes room for the set of fields of an object that begins.
func (d *Decoder) push(words int) []uint64 {
	from := d.used
	d.used += words
	if d.used > len(d.seen) {
		d.seen = make([]uint64, 2*d.used) // those of outer objects live on in the array they have
	}
	seen := d.seen[from:d.used]
	clear(seen)
	return seen
}

// end ends an object at its brace: what is missing has a default, is null, or is refused.
func (d *Decoder) end(ob *object, seen []uint64, p, o int) (int, int) {
	d.used -= ob.words
	for w, must := range ob.must {
		for missing := must &^ seen[w]; missing != 0; missing &= missing - 1 {
			s := &ob.steps[64*w+bits.TrailingZeros64(missing)]
			if s.fallback == nil {
				d.fail(p, "the field is missing, and "+s.missing)
				return d.in(s.name), o
			}
			if need := len(s.fallback) + slack; len(d.out)-o < need {
				d.grow(o, need)
			}
			row := o
			o += copy(d.out[o:], s.fallback)
			if s.take != 0 {
				if reason := d.take(s, d.out[row+int(s.tagLen):o]); reason != "" {
					d.fail(p, "default: "+reason)
					return d.in(s.name), o
				}
			}
		}
	}
	return p + 1, o
}

// key reads the name of a field and the colon behind it. The name is valid until the next one is read.
func (d *Decoder) key(p int) (name []byte, _ int) {
	src := d.src
	if jsonscan.Peek(src, p) != '"' {
		return nil, d.fail(p, "the name of a field belongs here, in quotes, not "+jsonscan.At(src, p))
	}
	if name, p = d.raw(p); p < 0 {
		return nil, p
	}
	if p = jsonscan.Space(src, p); jsonscan.Peek(src, p) != ':' {
		return nil, d.fail(p, "a colon belongs here, not "+jsonscan.At(src, p))
	}
	return name, jsonscan.Space(src, p+1)
}

// field decodes the value of a field at p: nothing for null, each item of an array.
func (d *Decoder) field(s *step, p, o int) (int, int) {
	src := d.src
	c := jsonscan.Peek(src, p)
	switch {
	case c == 'n':
		if p = d.literal(p, "null"); p >= 0 && s.notNull && !d.lenient {
			return d.fail(p-4, "null, and the schema requires a value"), o
		}
		return p, o
	case s.deep:
		if s.name != "" {
			d.extra.enter(place{name: s.name})
		}
		if p, o = d.within(s, p, o); p >= 0 && s.name != "" {
			d.extra.leave()
		}
		return p, o
	}
	return d.within(s, p, o)
}

func (d *Decoder) within(s *step, p, o int) (int, int) {
	switch {
	case s.many:
		return d.items(s, p, o)
	case s.kind == shape.Map:
		return d.entries(s, p, o)
	}
	return d.single(s, p, o)
}

// items decodes the items of an array.
func (d *Decoder) items(s *step, p, o int) (int, int) {
	src := d.src
	if jsonscan.Peek(src, p) != '[' {
		return d.wants(p, "an array"), o
	}
	p = jsonscan.Space(src, p+1)
	if jsonscan.Peek(src, p) == ']' {
		return p + 1, o
	}
	for index := 0; ; index++ {
		d.room(p, o)
		if o-d.from > decode.MaxRow {
			return d.fail(p, decode.RowReason), o
		}
		if jsonscan.Peek(src, p) == 'n' && s.kind != shape.Item {
			d.fail(p, "null among the items: BigQuery has no null in a REPEATED column")
			return d.under(index), o
		}
		if s.deep {
			d.extra.enter(place{kind: placeIndex, index: index})
		}
		if p, o = d.single(s, p, o); p < 0 {
			return d.under(index), o
		}
		if s.deep {
			d.extra.leave()
		}
		var more bool
		if p, more = d.next(p, ']'); !more {
			return p, o
		}
	}
}

// next reads what is behind an item or a field: a comma, or the bracket that ends them all, where there is no more.
func (d *Decoder) next(p int, end byte) (_ int, more bool) {
	p = jsonscan.Space(d.src, p)
	switch jsonscan.Peek(d.src, p) {
	case ',':
		return jsonscan.Space(d.src, p+1), true
	case end:
		return p + 1, false
	}
	return d.fail(p, "a comma or "+string(rune(end))+" belongs here, not "+jsonscan.At(d.src, p)), false
}

// single decodes one value that is not null.
func (d *Decoder) single(s *step, p, o int) (int, int) {
	switch s.kind {
	case shape.String:
		return d.text(s, p, o)
	case shape.Int64, shape.Int32:
		return d.whole(s, p, o)
	case shape.Double, shape.Float:
		return d.floating(s, p, o)
	case shape.Bool:
		return d.boolean(s, p, o)
	case shape.Record:
		return d.message(s, p, o)
	case shape.Timestamp:
		return d.timestamp(s, p, o)
	}
	return d.rare(s, p, o)
}

// message decodes an object as a nested message: a RECORD, or a RANGE.
func (d *Decoder) message(s *step, p, o int) (int, int) {
	if jsonscan.Peek(d.src, p) != '{' {
		return d.wants(p, "an object"), o
	}
	at, start := p, d.begin(s, o)
	if p, o = d.object(s.object, p+1, start); p < 0 {
		return p, o
	}
	if s.bounds != nil {
		if reason := s.bounds.Check(d.out[start:o]); reason != "" {
			return d.fail(at, reason), o
		}
	}
	return p, d.finish(s, start, o)
}

// begin writes the tag of a message and leaves room for its length; finish puts it in.
func (d *Decoder) begin(s *step, o int) int {
	binary.LittleEndian.PutUint32(d.out[o:], s.tag)
	return o + int(s.tagLen) + int(d.guess[s.guess])
}

func (d *Decoder) finish(s *step, start, o int) int {
	guessed, n := int(d.guess[s.guess]), o-start
	need := decode.VarintLen(uint64(n))
	if need != guessed {
		d.room(len(d.src), o) // for up to nine bytes more
		copy(d.out[start-guessed+need:], d.out[start:o])
		start += need - guessed
		o += need - guessed
		d.guess[s.guess] = uint8(need)
	}
	decode.PutVarint(d.out, start-need, uint64(n))
	return o
}
