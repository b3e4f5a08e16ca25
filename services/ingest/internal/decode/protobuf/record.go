package protobuf

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// record writes the message src[p:end] as JSON: fields by their names in the schema, in the order in which they came,
// and none that is absent. An enum is the name of its symbol, bytes are base64, the key of a map is text. The elements
// of a list that does not stand in one place are looked for in the rest of the message.
func (m *machine) record(md protoreflect.MessageDescriptor, p, end, level int) bool {
	j := &m.json
	switch {
	case level > decode.MaxJSONNesting:
		return m.fail(p, "it is nested deeper than "+strconv.Itoa(decode.MaxJSONNesting)+" levels")
	case len(j.text) > decode.MaxRow:
		return m.fail(p, decode.RowReason)
	}
	from, first := len(j.met), len(j.text)
	for p < end {
		at := p
		fd, q, next, ok := m.field(md, p, end)
		if !ok {
			return false
		}
		if p = next; fd == nil {
			if m.skip(at, m.tag(at, end), q, end) < 0 {
				return false
			}
			continue
		}
		number := fd.Number()
		if o := fd.ContainingOneof(); o != nil {
			number = o.Fields().Get(0).Number()
		}
		if slices.Contains(j.met[from:], number) {
			if fd.Cardinality() == protoreflect.Repeated {
				continue // it has been written
			}
			m.twice = true
		}
		j.met = append(j.met, number)
		j.text = append(j.text, between(len(j.text) == first))
		j.text = append(decode.AppendQuoted(j.text, string(fd.Name())), ':')
		if fd.Cardinality() == protoreflect.Repeated {
			ok = m.elements(fd, md, at, end, level)
		} else {
			ok = m.one(fd, at, q, next, level)
		}
		if !ok {
			return false
		}
	}
	if len(j.text) == first {
		j.text = append(j.text, '{')
	}
	j.text, j.met = append(j.text, '}'), j.met[:from]
	return true
}

func between(first bool) byte {
	if first {
		return '{'
	}
	return ','
}

func (m *machine) tag(p, end int) uint64 {
	tag, _ := varint(m.src[:end], p)
	return tag
}

// field reads the tag at src[p:]: the field that it is of, nil if the message has none, and where its value starts and
// ends.
func (m *machine) field(md protoreflect.MessageDescriptor, p, end int) (_ protoreflect.FieldDescriptor, q, next int,
	ok bool,
) {
	tag, q := varint(m.src[:end], p)
	if q < 0 || q-p > maxHead {
		return nil, 0, 0, m.fail(p, varintFault(q))
	}
	number := protowire.Number(tag >> 3)
	size := protowire.ConsumeFieldValue(number, protowire.Type(tag&7), m.src[q:end])
	if size < 0 {
		return nil, 0, 0, m.fail(p, protowire.ParseError(size).Error())
	}
	return md.Fields().ByNumber(number), q, q + size, true
}

// elements writes a list or a map, whose first elements are those at src[p:].
func (m *machine) elements(fd protoreflect.FieldDescriptor, md protoreflect.MessageDescriptor, p, end, level int) bool {
	j, open, after := &m.json, byte('['), byte(']')
	if fd.IsMap() {
		open, after = '{', '}'
	}
	j.text = append(j.text, open)
	for first := true; p < end; {
		at := p
		found, q, next, ok := m.field(md, p, end)
		if !ok {
			return false
		}
		if p = next; found == nil || found.Number() != fd.Number() {
			continue
		}
		if op := scalarCode(fd.Kind(), 0); fd.Kind() != protoreflect.MessageKind && wireOf(op) != protowire.BytesType &&
			m.tag(at, end)&7 == 2 {
			_, q = length(m.src[:next], q)
			for ok = true; ok && q < next; first = false {
				size := protowire.ConsumeFieldValue(fd.Number(), wireOf(op), m.src[q:next])
				if size < 0 {
					return m.fail(q, protowire.ParseError(size).Error())
				}
				m.comma(first)
				ok = m.scalar(fd, at, q, q+size)
				q += size
			}
		} else {
			m.comma(first)
			first = false
			ok = m.one(fd, at, q, next, level)
		}
		if !ok {
			return false
		}
		if len(j.text) > decode.MaxRow {
			return m.fail(at, decode.RowReason)
		}
	}
	j.text = append(j.text, after)
	return true
}

func (m *machine) comma(first bool) {
	if !first {
		m.json.text = append(m.json.text, ',')
	}
}

// one writes one value, src[p:end]; at is where its field starts.
func (m *machine) one(fd protoreflect.FieldDescriptor, at, p, end, level int) bool {
	j := &m.json
	if fd.Message() == nil {
		if wire := protowire.Type(m.tag(at, len(m.src)) & 7); wire != wireOf(scalarCode(fd.Kind(), 0)) {
			return m.fail(at, "the value is "+wireNames[wire]+", the schema has a "+fd.Kind().String())
		}
		return m.scalar(fd, at, p, end)
	}
	size, body := length(m.src[:end], p)
	if wire := m.tag(at, len(m.src)) & 7; wire != uint64(protowire.BytesType) || body < 0 {
		return m.fail(at, "the value is "+wireNames[wire]+", the schema has a message")
	}
	p, end = body, body+size
	if fd.IsMap() {
		return m.pairOf(fd, p, end, level)
	}
	switch what := cellOf(fd); what {
	case cellTimestamp, cellDuration:
		seconds, nanos, ok := m.pair(p, end)
		if !ok {
			return false
		}
		if what == cellDuration {
			if !isDuration(seconds, nanos) {
				return m.fail(at, durationReason)
			}
			j.text = append(appendDuration(append(j.text, '"'), seconds, nanos), '"')
			return true
		}
		micros, ok := decode.ToMicros(seconds, decode.Seconds)
		if !ok || nanos < 0 || nanos > 999_999_999 {
			return m.fail(at, decode.TimestampReason)
		}
		from := len(j.text) + 1
		j.text = append(decode.AppendDateTime(append(j.text, '"'), micros+int64(nanos)/1000), 'Z', '"')
		j.text[from+len("2006-01-02")] = 'T'
		return true
	case cellWrapper:
		return m.last(fd.Message().Fields().ByNumber(1), fd.Message(), p, end, level)
	case cellJSON:
		switch fd.Message().Name() {
		case "Struct":
			return m.object(p, end, level+1)
		case "ListValue":
			return m.list(p, end, level+1)
		}
		return m.value(p, end, level+1)
	}
	return m.record(fd.Message(), p, end, level+1)
}

// pairOf writes the entry of a map.
func (m *machine) pairOf(fd protoreflect.FieldDescriptor, p, end, level int) bool {
	j, md, from := &m.json, fd.Message(), len(m.json.text)
	if !m.last(fd.MapKey(), md, p, end, level) {
		return false
	}
	if j.text[from] != '"' {
		j.text = append(slices.Insert(j.text, from, '"'), '"')
	}
	j.text = append(j.text, ':')
	return m.last(fd.MapValue(), md, p, end, level)
}

// last writes the last value of a field in the message src[p:end], its default if there is none.
func (m *machine) last(fd protoreflect.FieldDescriptor, md protoreflect.MessageDescriptor, p, end, level int) bool {
	at, from, to := -1, 0, 0
	for p < end {
		found, q, next, ok := m.field(md, p, end)
		if !ok {
			return false
		}
		if found != nil && found.Number() == fd.Number() {
			m.twice = m.twice || at >= 0
			at, from, to = p, q, next
		}
		p = next
	}
	switch {
	case at >= 0:
		return m.one(fd, at, from, to, level)
	case fd.Message() != nil:
		m.json.text = append(m.json.text, "{}"...)
	case fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.BytesKind:
		m.json.text = append(m.json.text, `""`...)
	case fd.Kind() == protoreflect.EnumKind:
		m.json.text = decode.AppendQuoted(m.json.text, string(fd.Enum().Values().Get(0).Name()))
	case fd.Kind() == protoreflect.BoolKind:
		m.json.text = append(m.json.text, "false"...)
	default:
		m.json.text = append(m.json.text, '0')
	}
	return true
}

// scalar writes a value without parts.
func (m *machine) scalar(fd protoreflect.FieldDescriptor, at, p, end int) bool {
	j, value := &m.json, m.src[p:end]
	switch k := fd.Kind(); k {
	case protoreflect.StringKind, protoreflect.BytesKind:
		text, _ := protowire.ConsumeBytes(value)
		if k == protoreflect.BytesKind {
			j.text = append(base64.StdEncoding.AppendEncode(append(j.text, '"'), text), '"')
			return true
		}
		if !decode.ValidText(text, 0, len(text)) {
			return m.fail(at, decode.InvalidUTF8)
		}
		j.text = decode.AppendQuoted(j.text, text)
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		var v float64
		bits := 64
		if k == protoreflect.FloatKind {
			v, bits = float64(math.Float32frombits(binary.LittleEndian.Uint32(value))), 32
		} else {
			v = math.Float64frombits(binary.LittleEndian.Uint64(value))
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return m.fail(at, "the number is NaN or infinite, which JSON does not have")
		}
		j.text = decode.AppendNumber(j.text, v, bits)
	case protoreflect.BoolKind:
		v, _ := varint(value, 0)
		j.text = strconv.AppendBool(j.text, v != 0)
	default:
		v, _ := number(k, value)
		if k == protoreflect.EnumKind {
			if symbol := fd.Enum().Values().ByNumber(protoreflect.EnumNumber(v)); symbol != nil {
				j.text = decode.AppendQuoted(j.text, string(symbol.Name()))
				return true
			}
		}
		if k == protoreflect.Uint64Kind || k == protoreflect.Fixed64Kind {
			j.text = strconv.AppendUint(j.text, uint64(v), 10)
		} else {
			j.text = strconv.AppendInt(j.text, v, 10)
		}
	}
	return true
}
