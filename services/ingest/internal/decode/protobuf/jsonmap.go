package protobuf

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// entries writes a map as an object: all entries that stand together, of which the first starts at src[p:] behind its
// tag. It returns where they end, or a negative number.
func (m *machine) entries(f *member, at int, tag uint64, p, end int) int {
	j, first := &m.json, len(m.json.keys)
	if reason := j.Open('{'); reason != "" {
		return m.failed(at, reason)
	}
	var met uint64 // a bit for each mark; those of two may be one
	alike, plain := false, f.key.form == formText && f.value.form == formMessage
	for {
		if tag != uint64(f.tag) {
			return m.one(f, at, tag, p, end) // which says what it is
		}
		size, body := length(m.src[:end], p)
		if body < 0 {
			return m.failed(at, varintFault(body))
		}
		p = body + size
		done, ok := false, false
		if plain {
			done, ok = m.plainEntry(f, body, p)
		}
		if !done {
			ok = m.entry(f, body, p)
		}
		if !ok {
			return -1
		}
		bit := uint64(1) << (j.keys[len(j.keys)-1] * 0x9e3779b97f4a7c15 >> 58)
		alike = alike || met&bit != 0
		met |= bit
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
	j.Close('}')
	if alike {
		m.twice = m.twice || repeats(j.keys[first:])
	}
	j.keys = j.keys[:first]
	return p
}

// entry writes the entry src[p:end] of a map, in whatever order it is and with whatever is beside key and value.
func (m *machine) entry(f *member, p, end int) bool {
	j, src := &m.json, m.src[:end]
	var key, value part
	for p < end {
		start := p
		tag, q := head(src, p)
		if q < 0 {
			return m.fail(start, varintFault(q))
		}
		which := &value
		switch tag >> 3 {
		case 1:
			which = &key
		case 2:
		default:
			if p = m.skip(start, tag, q, end); p < 0 {
				return false
			}
			continue
		}
		m.twice = m.twice || which.end > 0
		*which = part{at: start, tag: tag, body: q}
		if tag&7 == uint64(protowire.BytesType) {
			size, body := length(src, q)
			if body < 0 {
				return m.fail(start, varintFault(body))
			}
			p, which.body = body+size, body
		} else if n := protowire.ConsumeFieldValue(protowire.Number(tag>>3), protowire.Type(tag&7), src[q:]); n >= 0 {
			p = q + n
		} else {
			return m.fail(start, protowire.ParseError(n).Error())
		}
		which.end = p
	}
	from := len(j.Text)
	if key.tag == uint64(f.key.tag) && f.key.form == formText {
		if reason := j.String(m.src, key.body, key.end-key.body); reason != "" {
			return m.fail(key.at, reason)
		}
		j.remember(m.src, key.body, key.end-key.body)
	} else {
		if !m.part(f.key, &key, end) {
			return false
		}
		if from += first(j.Text[from:]); j.Text[from] != '"' {
			j.Text = append(slices.Insert(j.Text, from, '"'), '"')
		}
		if f.key.form == formText {
			j.remember(m.src, 0, 0) // there is none
		} else {
			j.keys = append(j.keys, maphash.Bytes(j.seed, j.Text[from:]))
		}
	}
	j.Key()
	if value.tag == uint64(f.value.tag) && f.value.form == formMessage {
		if !m.message(f.value.message, value.at, value.body, value.end) {
			return false
		}
	} else if !m.part(f.value, &value, end) {
		return false
	}
	return true
}

// plainEntry writes the entry src[p:end] if it is a text and a message, in this order and without anything beside them:
// all serializers write entries so. Where it is not, done is false and nothing is written.
func (m *machine) plainEntry(f *member, p, end int) (done, ok bool) {
	src, key := m.src[:end], p+2
	if len(src) < key+2 || uint32(src[p]) != f.key.tag || src[p+1] >= 0x80 {
		return false, false
	}
	size := int(src[p+1])
	at := key + size
	if at >= end || uint32(src[at]) != f.value.tag {
		return false, false
	}
	valueSize, value := length(src, at+1)
	if value < 0 || value+valueSize != end {
		return false, false
	}
	j := &m.json
	if reason := j.String(m.src, key, size); reason != "" {
		return true, m.fail(p, reason)
	}
	j.remember(m.src, key, size)
	j.Key()
	if t := f.value.message; t.bare {
		return true, m.bare(t, at, value, end)
	}
	return true, m.message(f.value.message, at, value, end)
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

// remember keeps a mark of the key of a map that is a text, the n bytes at src[p:], to find out whether it is there
// twice. Keys of up to seven bytes are marks of themselves; others are hashed, and two that only seem to be one cost a
// second look at the payload.
func (j *jsonText) remember(src []byte, p, n int) {
	var mark uint64
	switch {
	case n > 7:
		mark = maphash.Bytes(j.seed, src[p:p+n])
	case len(src)-p >= 8:
		mark = binary.LittleEndian.Uint64(src[p:])&(1<<(8*n)-1) | uint64(n)<<56
	default:
		for i, b := range src[p : p+n] {
			mark |= uint64(b) << (8 * i)
		}
		mark |= uint64(n) << 56
	}
	j.keys = append(j.keys, mark)
}

// repeats reports whether a mark is there twice. It may sort them.
func repeats(marks []uint64) bool {
	if len(marks) > 8 {
		slices.Sort(marks)
		for i := 1; i < len(marks); i++ {
			if marks[i] == marks[i-1] {
				return true
			}
		}
		return false
	}
	for i, mark := range marks {
		if slices.Contains(marks[:i], mark) {
			return true
		}
	}
	return false
}
