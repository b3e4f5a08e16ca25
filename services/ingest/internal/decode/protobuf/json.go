package protobuf

import (
	"fmt"
	"hash/maphash"
	"slices"

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
	if !f.list {
		return m.one(f, at, tag, p, end)
	}
	j, first, open, shut := &m.json, len(m.json.keys), byte('['), byte(']')
	if f.key != nil {
		open, shut = '{', '}'
	}
	if reason := j.Open(open); reason != "" {
		return m.failed(at, reason)
	}
	for {
		switch {
		case f.key != nil && tag == uint64(f.tag):
			p = m.entry(f, at, p, end)
		case f.packed != 0 && tag == uint64(f.packed):
			size, body := length(m.src[:end], p)
			if body < 0 {
				return m.failed(at, varintFault(body))
			}
			for p = body; p >= 0 && p < body+size; {
				p = m.one(f, p, uint64(f.tag), p, body+size)
			}
		default:
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
	j.Close(shut)
	if keys := j.keys[first:]; len(keys) > 1 {
		slices.Sort(keys)
		for i := 1; i < len(keys); i++ {
			m.twice = m.twice || keys[i] == keys[i-1]
		}
	}
	j.keys = j.keys[:first]
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
		if p = body + size; !m.sized(f, at, body, p) {
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

// entry writes the entry of a map that starts at src[p:], behind its tag.
func (m *machine) entry(f *member, at, p, end int) int {
	size, p := length(m.src[:end], p)
	if p < 0 {
		return m.failed(at, varintFault(p))
	}
	j, src := &m.json, m.src[:p+size]
	var key, value part
	for end = p + size; p < end; {
		start := p
		tag, q := head(src, p)
		if q < 0 {
			return m.failed(start, varintFault(q))
		}
		which := &value
		switch tag >> 3 {
		case 1:
			which = &key
		case 2:
		default:
			if p = m.skip(start, tag, q, end); p < 0 {
				return p
			}
			continue
		}
		m.twice = m.twice || which.end > 0
		*which = part{at: start, tag: tag, body: q}
		if tag&7 == uint64(protowire.BytesType) {
			size, body := length(src, q)
			if body < 0 {
				return m.failed(start, varintFault(body))
			}
			p, which.body = body+size, body
		} else if n := protowire.ConsumeFieldValue(protowire.Number(tag>>3), protowire.Type(tag&7), src[q:]); n >= 0 {
			p = q + n
		} else {
			return m.failed(start, protowire.ParseError(n).Error())
		}
		which.end = p
	}
	from := len(j.Text)
	if key.tag == uint64(f.key.tag) && f.key.form == formText {
		if reason := j.String(m.src, key.body, key.end-key.body); reason != "" {
			return m.failed(key.at, reason)
		}
	} else {
		if !m.part(f.key, &key, end) {
			return -1
		}
		if from += first(j.Text[from:]); j.Text[from] != '"' {
			j.Text = append(slices.Insert(j.Text, from, '"'), '"')
		}
	}
	j.keys = append(j.keys, maphash.Bytes(j.seed, j.Text[from+first(j.Text[from:]):]))
	j.Key()
	if value.tag == uint64(f.value.tag) && f.value.form == formMessage {
		if !m.message(f.value.message, value.at, value.body, value.end) {
			return -1
		}
	} else if !m.part(f.value, &value, end) {
		return -1
	}
	return end
}

// first is where a value starts that may have a comma before it.
func first(text []byte) int {
	if text[0] == ',' {
		return 1
	}
	return 0
}

// part is the key or the value of an entry: where it starts, and where what it holds starts and ends.
type part struct {
	at, body, end int
	tag           uint64
}

// part writes the key or the value of an entry, the zero if there is none.
func (m *machine) part(f *member, is *part, end int) bool {
	switch {
	case is.end == 0 && f.form == formMessage:
		return m.message(f.message, end, end, end)
	case is.end == 0:
		f.zero(&m.json)
		return true
	case is.tag == uint64(f.tag) && f.form >= formText:
		return m.sized(f, is.at, is.body, is.end)
	}
	return m.one(f, is.at, is.tag, is.body, end) >= 0
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
	switch t.op {
	case opTimestamp, opDuration:
		return m.span(t.op, at, p, end)
	}
	j, src, from := &m.json, m.src[:end], len(m.json.met)
	if !t.bare {
		if reason := j.Open('{'); reason != "" {
			return m.fail(at, reason)
		}
		j.met = append(j.met, t.none...)
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
		switch {
		case !t.bare:
			word, bit := &j.met[from+f.bit/64], uint64(1)<<(f.bit%64)
			m.twice = m.twice || *word&bit != 0
			*word |= bit
			j.Name(f.name)
			j.Key()
		case !empty:
			m.twice = true
			j.Text = j.Text[:mark]
		}
		empty = false
		switch {
		case f.list:
			p = m.member(f, at, tag, q, end)
		case f.form == formText && tag == uint64(f.tag):
			size, body := length(src, q)
			if body < 0 {
				return m.fail(at, varintFault(body))
			}
			if reason := j.String(m.src, body, size); reason != "" {
				return m.fail(at, reason)
			}
			p = body + size
		default:
			p = m.one(f, at, tag, q, end)
		}
		if p < 0 {
			return false
		}
	}
	switch j.met = j.met[:from]; {
	case !t.bare:
		j.Close('}')
	case empty:
		if reason := t.zero(j); reason != "" {
			return m.fail(at, reason)
		}
	}
	return true
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
		j.Text = appendDuration(j.Text, seconds, nanos)
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
