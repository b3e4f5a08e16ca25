package protobuf

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strconv"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// jsonText is the text that a Struct, Value or ListValue becomes.
type jsonText struct {
	text []byte
	// keys are hashes of the keys of the objects being written, outer ones first.
	keys []uint64
	seed maphash.Seed
}

func (j *jsonText) begin() {
	if j.seed == (maphash.Seed{}) {
		j.seed = maphash.MakeSeed()
	}
	j.text, j.keys = j.text[:0], j.keys[:0]
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
	j.text = append(appendQuoted(j.text, key), ':')
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
			j.text = appendNumber(j.text, v)
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
				j.text = appendQuoted(j.text, src[body:p])
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

// appendNumber appends a number as JavaScript prints it: digits alone where that is short.
func appendNumber(dst []byte, v float64) []byte {
	if abs := math.Abs(v); abs == 0 || abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'e', -1, 64)
}

// appendQuoted appends UTF-8 text as a JSON string.
func appendQuoted(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i, b := range text {
		if b >= 0x20 && b != '"' && b != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
	}
	return append(append(dst, text[from:]...), '"')
}
