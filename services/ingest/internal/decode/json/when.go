package json

import (
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// moments are the kinds of values that say when: what is said of a value that is none, and of such a text.
var moments = map[shape.Kind]struct{ wants, malformed string }{
	shape.Timestamp: {"a timestamp", "wants a timestamp such as 2026-01-31T23:59:59.123Z (RFC 3339)"},
	shape.Date:      {"a date", "wants a date such as 2026-01-31 and nothing behind it"},
	shape.Time:      {"a time", "wants a time such as 23:59:59.123"},
	shape.DateTime:  {"a date and time", "wants a date and time such as 2026-01-31T23:59:59.123, without a zone"},
}

// timestamp is moment of a TIMESTAMP. A number of a contract that says nothing of far dates takes the short way.
func (d *Decoder) timestamp(s *step, p, o int) (int, int) {
	if c := jsonscan.Peek(d.src, p); s.quick && (c == '-' || c-'0' <= 9) {
		v, q := d.integer(p)
		if q < 0 {
			return q, o
		}
		if micros, ok := decode.ToMicros(v, s.unit); ok {
			return q, d.putNumber(s, micros, o)
		}
	}
	return d.moment(s, p, o)
}

// moment decodes a TIMESTAMP, DATE, TIME or DATETIME: from a text, as RFC 3339 writes it, or from a number of the
// step's unit.
func (d *Decoder) moment(s *step, p, o int) (_, _ int) {
	var v int64
	var q int
	var reason string
	counted := false
	switch c := jsonscan.Peek(d.src, p); {
	case c == '"':
		var text []byte
		if text, q = d.raw(p); q < 0 {
			return q, o
		}
		if v, reason = d.read(s, text); reason == "" && s.kind == shape.Timestamp && d.plan.options.Dates == nil {
			return q, d.putNumber(s, v, o) // nearly all are
		}
		if reason != "" && d.lenient && s.numbers && s.kind == shape.Timestamp {
			if n, end, ok := short(text, 0); ok && end == len(text) { // a number in quotes
				v, counted, reason = n, true, ""
			}
		}
	case s.numbers && (c == '-' || c-'0' <= 9):
		if v, q = d.integer(p); q < 0 {
			return q, o
		}
		counted = true
	default:
		return d.wants(p, moments[s.kind].wants), o
	}
	row := d.out[:o]
	switch {
	case counted:
		row, reason = s.cell.AppendNumber(row, v, &d.Taken)
	case reason != "" && (reason != decode.TimestampReason || s.kind == shape.Time):
	case s.kind == shape.Time:
		row = s.cell.AppendTime(row, v)
	default:
		row, reason = s.cell.AppendMoment(row, v, reason == "", v < 0, &d.Taken)
	}
	if reason != "" {
		return d.fail(p, reason), o
	}
	return q, len(row)
}

// read reads a text: microseconds of the day, or since the epoch; 0 and a reason where it is none, or too far away.
// Lenient takes a timestamp without zone for UTC.
func (d *Decoder) read(s *step, text []byte) (v int64, reason string) {
	if s.kind == shape.Time {
		clock, rest, full, ok := decode.ReadClock(text)
		switch zone := string(rest); {
		case !ok || !full:
			return 0, moments[s.kind].malformed
		case zone != "" && zone != "Z" && zone != "z" && zone != "+00:00" && zone != "-00:00":
			return 0, "wants a time such as 23:59:59.123, in UTC: a TIME column has no zone"
		}
		return clock, ""
	}
	var m decode.Moment
	reason = m.Read(text)
	instant, date := s.kind == shape.Timestamp, s.kind == shape.Date
	switch {
	case reason == decode.MalformedReason, reason == "" && (!m.Full || m.HasClock == date || m.HasZone && !instant):
		return 0, moments[s.kind].malformed
	case reason == decode.TimestampReason:
		return -1, reason // the year 0
	case reason != "":
		return 0, reason
	case date:
		return m.Days * decode.DayMicros, ""
	case instant && !m.HasZone && !d.lenient:
		return 0, "a timestamp without a zone: Z or an offset such as +01:00 belongs behind it"
	}
	v, ok := m.Micros()
	if !ok {
		return v, decode.TimestampReason
	}
	return v, ""
}
