package protobuf

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// jsonText is the text that a Struct, Value or ListValue becomes.
type jsonText struct {
	text []byte
	// keys are hashes of the keys of the objects being written, outer ones first.
	keys []uint64
	// met are the numbers of the fields of the messages being written, outer ones first; a oneof's is that of its first.
	met  []protowire.Number
	seed maphash.Seed
}

func (j *jsonText) begin() {
	if j.seed == (maphash.Seed{}) {
		j.seed = maphash.MakeSeed()
	}
	j.text, j.keys, j.met = j.text[:0], j.keys[:0], j.met[:0]
}

// The tags of struct.proto.
const (
	tagEntries = 1<<3 | 2 // Struct.fields
	tagKey     = 1<<3 | 2
	tagEntry   = 2<<3 | 2 // the value of an entry
	tagValues  = 1<<3 | 2 // ListValue.values

	tagNull   = 1 << 3
	tagNumber = 2<<3 | 1
	tagString = 3<<3 | 2
	tagBool   = 4 << 3
	tagStruct = 5<<3 | 2
	tagList   = 6<<3 | 2
)

// object writes the Struct src[p:end].
func (m *machine) object(p, end, level int) bool {
	if level > decode.MaxJSONNesting {
		return m.fail(p, fmt.Sprintf("it is nested deeper than %d levels", decode.MaxJSONNesting))
	}
	j := &m.json
	first := len(j.keys)
	j.text = append(j.text, '{')
	for p < end {
		at := p
		if m.src[p] != tagEntries {
			if p = m.other(p, end); p < 0 {
				return false
			}
			continue
		}
		size, body := length(m.src[:end], p+1)
		if body < 0 {
			return m.fail(at, varintFault(body))
		}
		if len(j.keys) > first {
			j.text = append(j.text, ',')
		}
		if p = body + size; !m.entry(body, p, level) {
			return false
		}
	}
	j.text = append(j.text, '}')
	keys := j.keys[first:]
	slices.Sort(keys)
	for i := 1; i < len(keys); i++ {
		if keys[i] == keys[i-1] {
			m.twice = true
		}
	}
	j.keys = j.keys[:first]
	return true
}

// entry writes one key and its value.
func (m *machine) entry(p, end, level int) bool {
	var key []byte
	value, valueEnd := -1, -1
	keys := 0
	for p < end {
		at := p
		tag := m.src[p]
		if tag != tagKey && tag != tagEntry {
			if p = m.other(p, end); p < 0 {
				return false
			}
			continue
		}
		size, body := length(m.src[:end], p+1)
		if body < 0 {
			return m.fail(at, varintFault(body))
		}
		p = body + size
		if tag == tagKey {
			if keys++; keys > 1 {
				m.twice = true
			}
			if key = m.src[body:p]; !decode.ValidText(key, 0, len(key)) {
				return m.fail(at, decode.InvalidUTF8)
			}
			continue
		}
		if value >= 0 {
			m.twice = true
			// What is overwritten has to be well-formed too.
			mark := len(m.json.text)
			if !m.value(value, valueEnd, level+1) {
				return false
			}
			m.json.text = m.json.text[:mark]
		}
		value, valueEnd = body, p
	}
	j := &m.json
	j.keys = append(j.keys, maphash.Bytes(j.seed, key))
	j.text = append(decode.AppendQuoted(j.text, key), ':')
	if value < 0 {
		j.text = append(j.text, "null"...)
		return true
	}
	return m.value(value, valueEnd, level+1)
}

// list writes the ListValue src[p:end].
func (m *machine) list(p, end, level int) bool {
	if level > decode.MaxJSONNesting {
		return m.fail(p, fmt.Sprintf("it is nested deeper than %d levels", decode.MaxJSONNesting))
	}
	j := &m.json
	j.text = append(j.text, '[')
	for first := true; p < end; {
		at := p
		if m.src[p] != tagValues {
			if p = m.other(p, end); p < 0 {
				return false
			}
			continue
		}
		size, body := length(m.src[:end], p+1)
		if body < 0 {
			return m.fail(at, varintFault(body))
		}
		if !first {
			j.text = append(j.text, ',')
		}
		first = false
		if p = body + size; !m.value(body, p, level+1) {
			return false
		}
	}
	j.text = append(j.text, ']')
	return true
}

// value writes the Value src[p:end]; one of no kind is null.
func (m *machine) value(p, end, level int) bool {
	j := &m.json
	src, mark, kinds := m.src[:end], len(j.text), 0
	for p < end {
		at := p
		tag := src[p]
		switch tag {
		case tagNull, tagNumber, tagString, tagBool, tagStruct, tagList:
		default:
			if p = m.other(p, end); p < 0 {
				return false
			}
			continue
		}
		p++
		if kinds++; kinds > 1 {
			m.twice = true
			j.text = j.text[:mark]
		}
		switch tag {
		case tagNull, tagBool:
			v, next := varint(src, p)
			if next < 0 {
				return m.fail(at, varintFault(next))
			}
			p = next
			if tag == tagNull {
				j.text = append(j.text, "null"...)
			} else {
				j.text = strconv.AppendBool(j.text, v != 0)
			}
		case tagNumber:
			if end-p < 8 {
				return m.fail(at, endReason)
			}
			v := math.Float64frombits(binary.LittleEndian.Uint64(src[p:]))
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return m.fail(at, "the number is NaN or infinite, which JSON does not have")
			}
			j.text = decode.AppendNumber(j.text, v, 64)
			p += 8
		default:
			size, body := length(src, p)
			if body < 0 {
				return m.fail(at, varintFault(body))
			}
			p = body + size
			switch tag {
			case tagString:
				if !decode.ValidText(src, body, size) {
					return m.fail(at, decode.InvalidUTF8)
				}
				j.text = decode.AppendQuoted(j.text, src[body:p])
			case tagStruct:
				if !m.object(body, p, level) {
					return false
				}
			default:
				if !m.list(body, p, level) {
					return false
				}
			}
		}
	}
	if kinds == 0 {
		j.text = append(j.text, "null"...)
	}
	return true
}
