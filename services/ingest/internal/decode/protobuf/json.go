package protobuf

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// jsonText is the text that a JSON column becomes.
type jsonText struct {
	decode.JSONWriter
	// keys are hashes of the keys of the maps being written, outer ones first.
	keys []uint64
	// met are the bits of the fields of the messages being written, outer ones first.
	met  []uint64
	seed maphash.Seed
	// used says that something was written since trim. Most payloads have no JSON column.
	used bool
}

func (j *jsonText) begin() {
	if j.seed == (maphash.Seed{}) {
		j.seed = maphash.MakeSeed()
	}
	j.used = true
	j.Reset()
	j.keys, j.met = j.keys[:0], j.met[:0]
}

// trim releases memory that only a huge text needed.
func (j *jsonText) trim() {
	j.used = false
	j.Trim()
	j.keys, j.met = decode.Trim(j.keys), decode.Trim(j.met)
}

// asJSON writes the field that starts at src[at:] as the text of a column: a message, or a whole list or map. It
// returns where it ends, or a negative number.
func (m *machine) asJSON(f *field, at int, tag uint64, p, end int) int {
	m.json.begin()
	if p = m.member(f.json, at, tag, p, end); p < 0 {
		return p
	}
	m.edit(at)
	m.out = protowire.AppendBytes(append(m.out, f.out...), m.json.Text)
	m.run = p
	return p
}

// member writes a member's value, which starts at src[p:] behind its tag, and returns where it ends. Of a list or a map
// it takes all elements that stand together: others are merged first, as those of any field that is there twice.
func (m *machine) member(f *member, at int, tag uint64, p, end int) int {
	switch {
	case f.key != nil:
		return m.entries(f, at, tag, p, end)
	case !f.list:
		return m.one(f, at, tag, p, end)
	}
	j := &m.json
	if reason := j.Open('['); reason != "" {
		return m.failed(at, reason)
	}
	for {
		if f.packed != 0 && tag == uint64(f.packed) {
			size, body := length(m.src[:end], p)
			if body < 0 {
				return m.failed(at, varintFault(body))
			}
			for p = body; p >= 0 && p < body+size; {
				p = m.one(f, p, uint64(f.tag), p, body+size)
			}
		} else {
			p = m.one(f, at, tag, p, end)
		}
		if p < 0 {
			return p
		}
		if reason := j.Check(); reason != "" {
			return m.failed(at, reason)
		}
		if p >= end {
			break
		}
		next, q := head(m.src[:end], p)
		if q < 0 || next>>3 != uint64(f.tag)>>3 {
			break
		}
		at, tag, p = p, next, q
	}
	j.Close(']')
	return p
}

// head reads the tag at src[p:]; next is negative if there is none.
func head(src []byte, p int) (tag uint64, next int) {
	if uint(p) < uint(len(src)) && src[p] < 0x80 {
		return uint64(src[p]), p + 1
	}
	return longHead(src, p)
}

func longHead(src []byte, p int) (tag uint64, next int) {
	if tag, next = decode.Varint(src, p); next-p > maxHead {
		return 0, overlong
	}
	return tag, next
}

// one writes one value.
func (m *machine) one(f *member, at int, tag uint64, p, end int) int {
	j, src := &m.json, m.src[:end]
	if tag != uint64(f.tag) {
		return m.failed(at, fmt.Sprintf("the value is %s, the schema says %s", wireNames[tag&7], wireNames[f.tag&7]))
	}
	if f.wire == protowire.BytesType {
		size, body := length(src, p)
		if body < 0 {
			return m.failed(at, varintFault(body))
		}
		p = body + size
		if t := f.message; t != nil && t.bare {
			if !m.bare(t, at, body, p) {
				return -1
			}
			return p
		}
		if !m.sized(f, at, body, p) {
			return -1
		}
		return p
	}
	v, p := f.bits(src, p)
	if p < 0 {
		return m.failed(at, varintFault(p))
	}
	if reason := f.write(j, v); reason != "" {
		return m.failed(at, reason)
	}
	return p
}

// sized writes a text, bytes or a message, src[p:end].
func (m *machine) sized(f *member, at, p, end int) bool {
	reason := ""
	switch f.form {
	case formText:
		reason = m.json.String(m.src, p, end-p)
	case formBytes:
		m.json.Bytes(m.src[p:end])
	default:
		return m.message(f.message, at, p, end)
	}
	return reason == "" || m.fail(at, reason)
}

// message writes the message src[p:end], whose field starts at src[at:]: members by the names of the schema, in the
// order in which they came, and none that is absent.
func (m *machine) message(t *text, at, p, end int) bool {
	switch {
	case t.bare:
		return m.bare(t, at, p, end)
	case t.op == opTimestamp || t.op == opDuration:
		return m.span(t.op, at, p, end)
	}
	j, src, from := &m.json, m.src[:end], len(m.json.met)
	if reason := j.Open('{'); reason != "" {
		return m.fail(at, reason)
	}
	j.met = append(j.met, t.none...)
	for p < end {
		at := p
		tag, q := head(src, p)
		if q < 0 {
			return m.fail(p, varintFault(q))
		}
		f := t.find(tag >> 3)
		if f == nil {
			if p = m.skip(at, tag, q, end); p < 0 {
				return false
			}
			continue
		}
		word, bit := &j.met[from+f.bit/64], uint64(1)<<(f.bit%64)
		m.twice = m.twice || *word&bit != 0
		*word |= bit
		j.Name(f.name)
		j.Key()
		if p = m.field(f, at, tag, q, end); p < 0 {
			return false
		}
	}
	j.met = j.met[:from]
	j.Close('}')
	return true
}

// bare writes a message that stands for the value of the one field that is there.
func (m *machine) bare(t *text, at, p, end int) bool {
	j, src := &m.json, m.src[:end]
	if end-p > 1 && src[p] < 0x80 {
		// Nearly all are a text or a double, and nothing beside it.
		tag, from := uint32(src[p]), p+2
		switch f := t.find(uint64(tag >> 3)); {
		case f == nil || f.tag != tag:
		case f.form == formText && src[p+1] < 0x80 && from+int(src[p+1]) == end:
			reason := j.String(m.src, from, end-from)
			return reason == "" || m.fail(p, reason)
		case f.form == formFloat && f.wire == protowire.Fixed64Type && end-p == 9:
			reason := j.Float(math.Float64frombits(binary.LittleEndian.Uint64(src[p+1:])), 64)
			return reason == "" || m.fail(p, reason)
		}
	}
	empty, mark := true, len(j.Text)
	for p < end {
		at := p
		tag, q := head(src, p)
		if q < 0 {
			return m.fail(p, varintFault(q))
		}
		f := t.find(tag >> 3)
		if f == nil {
			if p = m.skip(at, tag, q, end); p < 0 {
				return false
			}
			continue
		}
		if !empty {
			m.twice = true
			j.Text = j.Text[:mark]
		}
		empty = false
		if p = m.field(f, at, tag, q, end); p < 0 {
			return false
		}
	}
	if empty {
		if reason := t.zero(j); reason != "" {
			return m.fail(at, reason)
		}
	}
	return true
}

// field writes the value of a message's field, which starts at src[p:] behind its tag, and returns where it ends.
func (m *machine) field(f *member, at int, tag uint64, p, end int) int {
	switch {
	case f.list:
		return m.member(f, at, tag, p, end)
	case f.form == formText && tag == uint64(f.tag):
		size, body := length(m.src[:end], p)
		if body < 0 {
			return m.failed(at, varintFault(body))
		}
		if reason := m.json.String(m.src, body, size); reason != "" {
			return m.failed(at, reason)
		}
		return body + size
	}
	return m.one(f, at, tag, p, end)
}

// absent is the text of a list or a map without elements, or of a message without fields.
func (f *member) absent() []byte {
	switch {
	case f.list && f.key != nil:
		return []byte("{}")
	case f.list:
		return []byte("[]")
	}
	var m machine
	m.json.begin()
	m.message(f.message, 0, 0, 0)
	return m.json.Text
}

// span writes a Timestamp or a Duration.
func (m *machine) span(what code, at, p, end int) bool {
	seconds, nanos, ok := m.pair(p, end)
	j := &m.json
	switch {
	case !ok:
		return false
	case what == opDuration:
		if !isDuration(seconds, nanos) {
			return m.fail(at, durationReason)
		}
		j.Quote()
		j.Text, _ = decode.AppendInterval(j.Text, 0, 0, spanMicros(seconds, nanos)) // they are within its bounds
		j.Unquote()
		return true
	}
	micros, ok := decode.ToMicros(seconds, decode.Seconds)
	if !ok || nanos < 0 || nanos > 999_999_999 {
		return m.fail(at, decode.TimestampReason)
	}
	j.Moment(micros+int64(nanos)/1000, "Z")
	return true
}
