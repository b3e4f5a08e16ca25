package protobuf

import (
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

const (
	unsignedReason = "the number is beyond 9223372036854775807, the largest INTEGER of BigQuery"
	dateReason     = "the date is out of BigQuery's range, years 1 to 9999"
)

// rare reads a value at src[p:] that is checked beyond its framing, or written anew. It returns where the value ends,
// or a negative number.
func (m *machine) rare(f *field, at, p, end int) int {
	src := m.src[:end]
	switch f.op {
	case opSkip:
		return m.leave(at, uint64(f.tag), p, end)
	case opJSON:
		return m.asJSON(f, at, uint64(f.tag), p, end)
	case opColumnText:
		return m.columnText(f, at, p, end)
	case opUnsigned, opMicros, opDays:
		next, reason := m.number(f, src, p)
		if reason != "" {
			return m.failed(at, reason)
		}
		return next
	case opEnum, opColumnNumber:
		m.edit(at)
		next, reason := m.number(f, src, p)
		if reason != "" {
			return m.failed(at, reason)
		}
		m.run = next
		return next
	}
	size, body := length(src, p)
	if body < 0 {
		return m.failed(at, varintFault(body))
	}
	next := body + size
	if !m.well(f, at, body, next) {
		return -1
	}
	m.run = next
	return next
}

// number reads a number at src[p:], checks it, and writes what an enum or the column of an override makes of it, tag
// included: of such the caller has made the edit.
func (m *machine) number(f *field, src []byte, p int) (next int, reason string) {
	v, next := f.bits(src, p)
	switch {
	case next < 0:
		reason = varintFault(next)
	case f.op == opEnum:
		if m.out = f.enum.text(append(m.out, f.out...), int32(v)); m.overfull() {
			reason = decode.RowReason
		}
	case f.op == opUnsigned && v > math.MaxInt64, f.op == opColumnNumber && f.form == formUnsigned && f.number(v) < 0:
		reason = unsignedReason
	case f.op == opColumnNumber:
		m.out, reason = f.cell.AppendNumber(m.out, f.number(v), &m.Taken)
	case f.op == opMicros && (int64(v) < decode.MinMicros || int64(v) > decode.MaxMicros):
		reason = decode.TimestampReason
	case f.op == opDays && (int32(v) < decode.MinDays || int32(v) > decode.MaxDays):
		reason = dateReason
	}
	return next, reason
}

// packed reads a field whose wire type is not that of one value: a packed list, if it may be one.
func (m *machine) packed(f *field, at int, tag uint64, p, end int) int {
	if f.op == opSkip {
		return m.leave(at, tag, p, end)
	}
	if f.packed == 0 || uint64(f.packed) != tag {
		return m.failed(at, fmt.Sprintf("the value is %s, the schema says %s", wireNames[tag&7], wireNames[f.tag&7]))
	}
	if f.op == opJSON {
		return m.asJSON(f, at, tag, p, end)
	}
	size, body := length(m.src[:end], p)
	if body < 0 {
		return m.failed(at, varintFault(body))
	}
	next := body + size
	src := m.src[:next]
	if f.op == opEnum || f.op == opColumnNumber {
		m.edit(at)
		m.run = next
	}
	for p = body; p < next; {
		element, reason := p, ""
		switch f.op {
		case opFixed64:
			p += 8
		case opFixed32:
			p += 4
		case opVarint:
			p = skipVarint(src, p)
		default:
			p, reason = m.number(f, src, p)
		}
		switch {
		case p > next:
			reason = endReason
		case p < 0:
			reason = varintFault(p)
		}
		if reason != "" {
			return m.failed(element, reason)
		}
	}
	return next
}

var wireNames = [8]string{
	"a varint", "a fixed 64-bit number", "length-delimited", "the start of a group", "the end of a group",
	"a fixed 32-bit number", "of wire type 6", "of wire type 7",
}

// well reads the body src[p:end] of one of protobuf's own messages and writes what it becomes. at is where its field
// starts.
func (m *machine) well(f *field, at, p, end int) bool {
	switch f.op {
	case opTimestamp, opDuration:
		seconds, nanos, ok := m.pair(p, end)
		if !ok {
			return false
		}
		if f.op == opDuration {
			return m.duration(f, at, seconds, nanos)
		}
		if nanos < 0 || nanos > 999_999_999 {
			return m.fail(at, "the Timestamp's nanos are not within 0 and 999999999")
		}
		micros, ok := decode.ToMicros(seconds, decode.Seconds)
		reason := m.instant(f, at, micros+int64(nanos)/1000, ok, seconds < 0)
		return reason == "" || m.fail(at, reason)
	case opWrapper:
		return m.wrapper(f, at, p, end)
	case opKnown:
		return m.read(f, at, p, end)
	}
	for p < end { // opEmpty
		if p = m.other(p, end); p < 0 {
			return false
		}
	}
	m.edit(at)
	m.out = append(append(m.out, f.out...), 1)
	return true
}

// other skips a field that one of protobuf's own messages does not have. Their tags take a byte: one that takes more
// than it needs may be of a field that they do have, and the payload is then written anew.
func (m *machine) other(p, end int) int {
	at := p
	tag, p := decode.Varint(m.src[:end], p)
	if p < 0 || p-at > maxHead {
		return m.failed(at, varintFault(p))
	}
	if tag < 0x80 && p > at+1 {
		m.twice = true
	}
	return m.skip(at, tag, p, end)
}

// pair reads the seconds and nanos of a Timestamp or Duration.
func (m *machine) pair(p, end int) (seconds int64, nanos int32, ok bool) {
	src := m.src[:end]
	for p < end {
		at := p
		switch src[p] {
		case 1 << 3, 2 << 3:
			v, next := decode.Varint(src, p+1)
			if next < 0 {
				return 0, 0, m.fail(at, varintFault(next))
			}
			if src[p] == 1<<3 {
				seconds = int64(v)
			} else {
				nanos = int32(v)
			}
			p = next
		default:
			if p = m.other(p, end); p < 0 {
				return 0, 0, false
			}
		}
	}
	return seconds, nanos, true
}

// The bounds of a Duration: 10,000 years (duration.proto).
const maxSeconds = 315_576_000_000

// duration writes what a Duration becomes.
func (m *machine) duration(f *field, at int, seconds int64, nanos int32) bool {
	if !isDuration(seconds, nanos) {
		return m.fail(at, durationReason)
	}
	m.edit(at)
	var reason string
	m.out, reason = f.cell.AppendSpan(m.out, spanMicros(seconds, nanos))
	return reason == "" || m.fail(at, reason)
}

const durationReason = "the Duration's seconds or nanos are out of bounds, or of different signs"

func isDuration(seconds int64, nanos int32) bool {
	return seconds >= -maxSeconds && seconds <= maxSeconds && nanos >= -999_999_999 && nanos <= 999_999_999 &&
		!(seconds < 0 && nanos > 0 || seconds > 0 && nanos < 0)
}

// spanMicros is a Duration in microseconds, rounded towards zero.
func spanMicros(seconds int64, nanos int32) int64 { return seconds*1_000_000 + int64(nanos)/1000 }

// wrapper writes the value inside, the zero if there is none.
func (m *machine) wrapper(f *field, at, p, end int) bool {
	src, in := m.src[:end], f.inner
	value := in.zero()
	for p < end {
		start, reason := p, ""
		if uint32(src[p]) != in.tag {
			if p = m.other(p, end); p < 0 {
				return false
			}
			continue
		}
		from := p + 1
		if in.wire == protowire.BytesType {
			size, body := length(src, from)
			if body < 0 {
				return m.fail(start, varintFault(body))
			}
			if p = body + size; in.form == formText && !decode.ValidText(src, body, size) {
				reason = decode.InvalidUTF8
			}
		} else {
			p, reason = m.number(in, src, from)
		}
		if reason != "" {
			return m.fail(start, reason)
		}
		value = src[from:p]
	}
	if f.cell != nil {
		return m.wrapped(f, at, value)
	}
	m.edit(at)
	m.out = append(append(m.out, in.out...), value...)
	return true
}

// leave reads past a field that a contract leaves out. It returns where it ends, or a negative number.
func (m *machine) leave(at int, tag uint64, p, end int) int {
	size := protowire.ConsumeFieldValue(protowire.Number(tag>>3), protowire.Type(tag&7), m.src[p:end])
	if size < 0 {
		return m.failed(at, "a field that the contract leaves out: "+protowire.ParseError(size).Error())
	}
	m.edit(at)
	m.run = p + size
	return m.run
}

// skip leaves out a field that the schema does not have. It returns where it ends, or a negative number.
func (m *machine) skip(at int, tag uint64, p, end int) int {
	number := tag >> 3
	if number < uint64(protowire.MinValidNumber) || number > uint64(protowire.MaxValidNumber) {
		return m.failed(at, "a tag has no field number that protobuf allows")
	}
	size := protowire.ConsumeFieldValue(protowire.Number(number), protowire.Type(tag&7), m.src[p:end])
	if size < 0 {
		return m.failed(at, "a field that the schema does not have: "+protowire.ParseError(size).Error())
	}
	if m.refuse {
		return m.failed(at, "the schema has no field "+strconv.FormatUint(number, 10)+" here")
	}
	return p + size
}
