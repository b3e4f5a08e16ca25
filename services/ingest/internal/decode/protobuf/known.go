package protobuf

import (
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// known is a message of common schemas that is one value.
type known struct {
	// fields are the numbers and kinds that it has to have.
	fields string
	source decode.Source
	// hint is the column that it becomes where the contract says nothing; nil for a RECORD.
	hint  *decode.Column
	write func(m *machine, f *field, at int, v *values) (reason string)
}

// knowns are such messages (googleapis, "Common Types"; Confluent's decimal.proto). A Money stays a RECORD.
var knowns = map[protoreflect.FullName]*known{
	"google.type.Date": {
		"1int32 2int32 3int32 ", decode.FromDate, &decode.Column{Type: decode.Date}, (*machine).date,
	},
	"google.type.TimeOfDay": {
		"1int32 2int32 3int32 4int32 ", decode.FromClock, &decode.Column{Type: decode.Time}, (*machine).clock,
	},
	"google.type.DateTime": {
		"1int32 2int32 3int32 4int32 5int32 6int32 7int32 8message 9message ", decode.FromCivil, nil, (*machine).civil,
	},
	"google.type.Decimal": {
		"1string ", decode.FromDecimal, &decode.Column{Type: decode.BigNumeric}, (*machine).decimal,
	},
	"google.type.LatLng":     {"1double 2double ", decode.FromShape, nil, (*machine).place},
	"confluent.type.Decimal": {"1bytes 2uint32 3int32 ", decode.FromDecimal, nil, (*machine).scaled},
}

// knownOf is what is known of a message; nil if nothing.
func knownOf(md protoreflect.MessageDescriptor) *known {
	k := knowns[md.FullName()]
	if k == nil {
		return nil
	}
	var fields strings.Builder
	for i := range md.Fields().Len() {
		fmt.Fprintf(&fields, "%d%s ", md.Fields().Get(i).Number(), md.Fields().Get(i).Kind())
	}
	if fields.String() != k.fields {
		return nil
	}
	return k
}

// values are the fields of a known message by their numbers: numbers, and the bytes of those that have a length.
type values struct {
	number [10]uint64
	bytes  [10][]byte
}

func (v *values) int(n int) int64 { return int64(int32(v.number[n])) }

// read reads a known message, src[p:end], whose field starts at src[at:], and writes what it becomes.
func (m *machine) read(f *field, at, p, end int) bool {
	v, src := &m.values, m.src[:end]
	*v = values{}
	for p < end {
		start := p
		tag, q := head(src, p)
		if q < 0 {
			return m.fail(start, varintFault(q))
		}
		number := tag >> 3
		if number == 0 || number >= uint64(len(v.number)) {
			if p = m.skip(start, tag, q, end); p < 0 {
				return false
			}
			continue
		}
		size := protowire.ConsumeFieldValue(protowire.Number(number), protowire.Type(tag&7), src[q:])
		if size < 0 {
			return m.fail(start, protowire.ParseError(size).Error())
		}
		p = q + size
		switch protowire.Type(tag & 7) {
		case protowire.VarintType:
			v.number[number], _ = decode.Varint(src, q)
		case protowire.Fixed64Type:
			v.number[number], _ = protowire.ConsumeFixed64(src[q:])
		case protowire.BytesType:
			m.twice = m.twice || v.bytes[number] != nil
			v.bytes[number], _ = protowire.ConsumeBytes(src[q:])
		default:
			return m.fail(start, "the value is "+wireNames[tag&7]+", which the schema does not have there")
		}
	}
	reason := f.known.write(m, f, at, v)
	*v = values{} // the payload's bytes are others' behind this
	return reason == "" || m.fail(at, reason)
}

// instant writes a moment, or a day.
func (m *machine) instant(f *field, at int, micros int64, ok, before bool) (reason string) {
	m.edit(at)
	m.out, reason = f.cell.AppendMoment(m.out, micros, ok, before, &m.Taken)
	return reason
}

const keepReason = "; columns: {type: RECORD} keeps such values"

func (m *machine) date(f *field, at int, v *values) string {
	micros, ok := decode.CivilMicros(v.int(1), v.int(2), v.int(3), 0)
	if !ok {
		return fmt.Sprintf("the Date %04d-%02d-%02d is no day of the years 1 to 9999", v.int(1), v.int(2), v.int(3)) +
			keepReason
	}
	return m.instant(f, at, micros, true, false)
}

func (m *machine) clock(f *field, at int, v *values) string {
	micros, ok := decode.ClockMicros(v.int(1), v.int(2), v.int(3), v.int(4))
	if !ok {
		return fmt.Sprintf("the TimeOfDay %02d:%02d:%02d is not within a day", v.int(1), v.int(2), v.int(3)) +
			keepReason
	}
	m.edit(at)
	m.out = f.cell.AppendTime(m.out, micros)
	return ""
}

func (m *machine) civil(f *field, at int, v *values) string {
	clock, timely := decode.ClockMicros(v.int(4), v.int(5), v.int(6), v.int(7))
	micros, ok := decode.CivilMicros(v.int(1), v.int(2), v.int(3), clock)
	var offset, nanos int64
	switch {
	case !ok || !timely:
		return fmt.Sprintf("the DateTime %04d-%02d-%02d %02d:%02d:%02d is none of the years 1 to 9999", v.int(1),
			v.int(2), v.int(3), v.int(4), v.int(5), v.int(6)) + keepReason
	case v.bytes[9] != nil:
		return "the DateTime is of a named zone" + keepReason
	case v.bytes[8] != nil && f.cell.Type == decode.DateTime:
		return "the DateTime has an offset: a TIMESTAMP would heed it" + keepReason
	}
	for body := v.bytes[8]; len(body) > 0; {
		number, wire, n := protowire.ConsumeField(body)
		if n < 0 {
			return "the offset is no Duration: " + protowire.ParseError(n).Error()
		}
		if value, _ := protowire.ConsumeVarint(body[1:n]); wire == protowire.VarintType && body[0] < 0x80 {
			switch number {
			case 1:
				offset = int64(value)
			case 2:
				nanos = int64(value)
			}
		}
		body = body[n:]
	}
	if offset < -18*3600 || offset > 18*3600 || nanos != 0 { // datetime.proto
		return "the offset is not within 18 hours, in seconds"
	}
	micros -= offset * 1_000_000
	return m.instant(f, at, micros, micros >= decode.MinMicros && micros <= decode.MaxMicros, micros < 0)
}

// noDigits are 0 (decimal.proto).
var noDigits = []byte{'0'}

func (m *machine) decimal(f *field, at int, v *values) string {
	text := v.bytes[1]
	if len(text) == 0 {
		text = noDigits
	}
	return m.appendText(f, at, text)
}

func (m *machine) scaled(f *field, at int, v *values) (reason string) {
	m.edit(at)
	m.out, reason = f.cell.AppendScaled(m.out, v.bytes[1], v.int(3), &m.Taken)
	return reason
}

func (m *machine) place(f *field, at int, v *values) (reason string) {
	m.edit(at)
	m.out, reason = f.cell.AppendPoint(m.out, math.Float64frombits(v.number[2]), math.Float64frombits(v.number[1]))
	return reason
}
