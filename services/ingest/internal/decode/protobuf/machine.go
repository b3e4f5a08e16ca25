package protobuf

import (
	"encoding/binary"
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// machine walks payloads. It holds what lives for one payload, so that nothing is allocated for the next. Not safe for
// concurrent use.
//
// What is read and right as it stands stays in src until the next edit: src[run:at] is what is still to be copied.
// Messages around an edit change their length, so an edit opens them first; those without one are copied whole, with
// their length.
type machine struct {
	decode.Taken
	refuse bool
	unit   decode.Unit
	dates  *decode.Dates

	src, out []byte
	run      int
	from     int // where the row starts in out
	frames   []frame
	depth    int // messages being read, the payload itself not counted
	opened   int // of those, how many are being written anew; always the outer ones
	seen     []uint64
	top      int // words of seen in use
	twice    bool
	fault    fault
	json     jsonText
	values   values // of the known message being read
}

// frame is a nested message being read.
type frame struct {
	length, body int // in src: where its length and its body start
	start        int // in out: where its body starts, once it is open
}

// fault is why a payload is not what its schema says.
type fault struct {
	at      int
	missing string // a required field that is not in the message that starts at
	reason  string
}

const (
	endReason    = "the value ends behind its message"
	varintReason = "a varint is longer than 64 bits"
)

// decode walks one payload and appends the row's payload message to dst. Where twice is set afterwards the row is not
// to be used.
func (m *machine) decode(n *node, dst, payload []byte) ([]byte, bool) {
	m.src, m.out, m.run, m.from = payload, dst, 0, len(dst)
	m.depth, m.opened, m.top, m.twice = 0, 0, 0, false
	m.Forget()
	ok := m.walk(n, 0, len(payload))
	out := m.out
	if ok {
		out = append(out, payload[m.run:]...)
	}
	m.src, m.out = nil, nil
	if m.json.used {
		m.json.trim()
	}
	return out, ok
}

// overfull reports whether the row is longer than any can be: what the payload leaves out has a value there, and a
// number may be a name.
func (m *machine) overfull() bool { return len(m.out)-m.from > decode.MaxRow }

// fail records a fault.
func (m *machine) fail(at int, reason string) bool {
	m.fault = fault{at: at, reason: reason}
	return false
}

// walk reads the message src[p:end].
func (m *machine) walk(n *node, p, end int) bool {
	src, fields, begin := m.src[:end], n.fields, p
	base := m.top
	m.top += n.words
	seen := m.seen[base:m.top]
	clear(seen)
	var have uint64 // the first word of seen, which is the only one of most messages
	for hint := 0; p < end; {
		at := p
		tag := uint64(src[p])
		if p++; tag >= 0x80 {
			if tag, p = decode.Varint(src, at); p < 0 || p-at > maxHead {
				return m.fail(at, varintFault(p))
			}
		}
		if uint(hint) >= uint(len(fields)) || uint64(fields[hint].tag) != tag {
			if hint = n.find(tag); hint < 0 {
				hint = 0
				if p = m.unknown(at, tag, p, end); p < 0 {
					return false
				}
				continue
			}
		}
		f := &fields[hint]
		switch bit := uint64(1) << (f.bit & 63); {
		case uint32(f.bit) < 64:
			if have&bit != 0 {
				m.twice = true
			}
			have |= bit
			hint++
		case f.bit >= 0:
			word := &seen[f.bit>>6]
			if *word&bit != 0 {
				m.twice = true
			}
			*word |= bit
			hint++
		}
		if uint64(f.tag) != tag {
			if p = m.packed(f, at, tag, p, end); p < 0 {
				return false
			}
			continue
		}
		switch f.op {
		case opVarint:
			if f.take != 0 {
				var v uint64
				if v, p = decode.Varint(src, p); p < 0 {
					return m.fail(at, varintFault(p))
				}
				if reason := m.takeNumber(f, f.number(v)); reason != "" {
					return m.fail(at, reason)
				}
			} else if p = skipVarint(src, p); p < 0 {
				return m.fail(at, varintFault(p))
			}
			continue
		case opText:
			size, body := length(src, p)
			if body < 0 {
				return m.fail(at, varintFault(body))
			}
			if p = body + size; !decode.ValidText(m.src, body, size) {
				return m.fail(at, decode.InvalidUTF8)
			}
			if f.take != 0 {
				m.ID, m.HasID = src[body:p], size > 0 || !f.implicit
			}
			continue
		}
		value := p
		switch f.op {
		case opBytes:
			size, body := length(src, p)
			if body < 0 {
				return m.fail(at, varintFault(body))
			}
			p = body + size
		case opFixed64:
			if p += 8; p > end {
				return m.fail(at, endReason)
			}
		case opFixed32:
			if p += 4; p > end {
				return m.fail(at, endReason)
			}
		case opMessage:
			size, body := length(src, p)
			if body < 0 {
				return m.fail(at, varintFault(body))
			}
			m.frames[m.depth] = frame{length: p, body: body}
			m.depth++
			if !m.walk(f.node, body, body+size) {
				return false
			}
			if f.node.bounds != nil && !m.bounds(f.node, at, body+size) {
				return false
			}
			m.depth--
			p = body + size
			if m.opened > m.depth {
				m.closeMessage(p)
			}
		default:
			if p = m.rare(f, at, p, end); p < 0 {
				return false
			}
		}
		if f.take != 0 {
			if reason := m.take(f, value, p); reason != "" {
				return m.fail(at, reason)
			}
		}
	}
	if n.words > 0 {
		seen[0] = have
	}
	for w, have := range seen {
		if missing := n.required[w] &^ have; missing != 0 {
			m.fault = fault{
				at: begin, missing: n.names[w*64+bits.TrailingZeros64(missing)],
				reason: "the field is required, and missing",
			}
			return false
		}
		if missing := n.fill[w] &^ have; missing != 0 {
			m.edit(end)
			if m.overfull() {
				return m.fail(begin, decode.RowReason)
			}
			for ; missing != 0; missing &= missing - 1 {
				m.out = append(m.out, n.values[w*64+bits.TrailingZeros64(missing)]...)
			}
		}
	}
	m.top = base
	return true
}

// find looks a field up by its tag: as one value or as a packed list. It returns -1 for a number that the schema does
// not have, and the field itself where the wire type is not the field's, which packed refuses.
func (n *node) find(tag uint64) int {
	number := tag >> 3
	if number < uint64(len(n.dense)) {
		return int(n.dense[number]) - 1
	}
	low, high := 0, len(n.fields)
	for low < high {
		if mid := (low + high) / 2; uint64(n.fields[mid].tag>>3) < number {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(n.fields) && uint64(n.fields[low].tag>>3) == number {
		return low
	}
	return -1
}

// unknown leaves a field that the schema does not have out of the row.
func (m *machine) unknown(at int, tag uint64, p, end int) int {
	if p = m.skip(at, tag, p, end); p >= 0 {
		m.edit(at)
		m.run = p
	}
	return p
}

// failed is fail, for functions that return where a value ends.
func (m *machine) failed(at int, reason string) int {
	m.fail(at, reason)
	return -1
}

// edit copies what is right up to at, and opens the messages around it. The caller appends to out what takes the place
// of the bytes up to the run that it sets.
func (m *machine) edit(at int) {
	for ; m.opened < m.depth; m.opened++ {
		f := &m.frames[m.opened]
		m.out = append(m.out, m.src[m.run:f.length]...)
		// The new length takes as many bytes as the old one, most likely.
		m.out = append(m.out, make([]byte, f.body-f.length)...)
		f.start, m.run = len(m.out), f.body
	}
	m.out = append(m.out, m.src[m.run:at]...)
	m.run = at
}

// closeMessage ends the innermost message, which is open, at src[end].
func (m *machine) closeMessage(end int) {
	m.out = append(m.out, m.src[m.run:end]...)
	m.run = end
	m.opened--
	f := &m.frames[m.opened]
	size := len(m.out) - f.start
	have, need := f.body-f.length, protowire.SizeVarint(uint64(size))
	if need > have {
		m.out = append(m.out, make([]byte, need-have)...)
	}
	if need != have {
		copy(m.out[f.start-have+need:], m.out[f.start:f.start+size])
		m.out = m.out[:f.start-have+need+size]
	}
	binary.PutUvarint(m.out[f.start-have:], uint64(size))
}

// skipVarint is where the varint at src[p:] ends; negative if there is none.
func skipVarint(src []byte, p int) int {
	if len(src)-p >= 8 {
		if stop := ^binary.LittleEndian.Uint64(src[p:]) & 0x8080808080808080; stop != 0 {
			return p + bits.TrailingZeros64(stop)>>3 + 1
		}
	}
	_, p = decode.Varint(src, p)
	return p
}

// maxHead bounds the bytes of a tag or a length. No encoder writes more, and protobuf's parser for C++ takes no more
// (parse_context.h, ReadTag and ReadSize): such a payload has no place in a row, which others are to read.
const maxHead = 5

// overlong is a tag or a length of more bytes.
const overlong = -3

// varintFault says why there is no varint, where next is negative, or no tag or length.
func varintFault(next int) string {
	switch next {
	case decode.VarintTooLong:
		return varintReason
	case decode.VarintEnds:
		return endReason
	}
	return "a tag or a length takes more than five bytes"
}

// length reads a length and checks it against what is left; body is negative if there is none.
func length(src []byte, p int) (n, body int) {
	if uint(p) < uint(len(src)) && src[p] < 0x80 {
		n, body = int(src[p]), p+1
		if n <= len(src)-body {
			return n, body
		}
		return 0, decode.VarintEnds
	}
	v, body := decode.Varint(src, p)
	switch {
	case body-p > maxHead:
		return 0, overlong
	case body >= 0 && v > uint64(len(src)-body):
		return 0, decode.VarintEnds
	}
	return int(v), body
}
