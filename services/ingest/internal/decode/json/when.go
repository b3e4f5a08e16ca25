package json

import (
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
)

// timestamp decodes a TIMESTAMP: an instant as RFC 3339 writes it, or a number of the schema's unit.
func (d *Decoder) timestamp(s *step, p, o int) (int, int) {
	var micros int64
	var q int
	if jsonscan.Peek(d.src, p) == '"' {
		text, next := d.raw(p)
		if next < 0 {
			return next, o
		}
		var reason string
		if micros, reason = d.instant(text, s); reason != "" {
			return d.fail(p, reason), o
		}
		q = next
	} else {
		if !d.counts(s, p) {
			return d.wants(p, "a timestamp"), o
		}
		if micros, q = d.micros(s, p); q < 0 {
			return q, o
		}
	}
	return q, d.putNumber(s, micros, o)
}

// counts reports whether the value at p is a number, and the step takes numbers.
func (d *Decoder) counts(s *step, p int) bool {
	c := jsonscan.Peek(d.src, p)
	return s.numbers && (c == '-' || c-'0' <= 9)
}

// micros reads a number of the step's unit as microseconds since the epoch.
func (d *Decoder) micros(s *step, p int) (micros int64, q int) {
	v, q := d.integer(p)
	if q < 0 {
		return 0, q
	}
	micros, ok := decode.ToMicros(v, s.unit)
	if !ok {
		return 0, d.fail(p, decode.TimestampReason)
	}
	return micros, q
}

const (
	instantReason = "wants a timestamp such as 2026-01-31T23:59:59.123Z (RFC 3339)"
	dateReason    = "wants a date such as 2026-01-31 and nothing behind it"
	civilReason   = "wants a date and time such as 2026-01-31T23:59:59.123, without a zone"
)

// instant reads a timestamp. Lenient takes a number in the string, and one without zone for UTC.
func (d *Decoder) instant(text []byte, s *step) (micros int64, reason string) {
	var m decode.Moment
	if reason = m.Read(text); reason != "" {
		if v, q, ok := short(text, 0); ok && q == len(text) && d.lenient && s.numbers {
			if micros, ok = decode.ToMicros(v, s.unit); !ok {
				return 0, decode.TimestampReason
			}
			return micros, ""
		}
		if reason == decode.MalformedReason {
			reason = instantReason
		}
		return 0, reason
	}
	switch {
	case !m.HasClock || !m.Full:
		return 0, instantReason
	case !m.HasZone && !d.lenient:
		return 0, "a timestamp without a zone: Z or an offset such as +01:00 belongs behind it"
	}
	micros, ok := m.Micros()
	if !ok {
		return 0, decode.TimestampReason
	}
	return micros, ""
}

// day decodes a DATE.
func (d *Decoder) day(s *step, p, o int) (int, int) {
	if d.counts(s, p) {
		days, q := d.integer(p)
		if q < 0 {
			return q, o
		}
		if s.unit != decode.Auto {
			micros, ok := decode.ToMicros(days, s.unit)
			if !ok {
				return d.fail(p, decode.TimestampReason), o
			}
			if days = micros / decode.DayMicros; micros%decode.DayMicros < 0 {
				days--
			}
		}
		if days < decode.MinDays || days > decode.MaxDays {
			return d.fail(p, "the date is out of BigQuery's range, years 1 to 9999"), o
		}
		return q, d.putNumber(s, days, o)
	}
	if jsonscan.Peek(d.src, p) != '"' {
		return d.wants(p, "a date"), o
	}
	text, q := d.raw(p)
	if q < 0 {
		return q, o
	}
	m, reason := decode.ReadMoment(text)
	if reason == decode.MalformedReason || reason == "" && (m.HasClock || m.HasZone || !m.Full) {
		reason = dateReason
	}
	if reason != "" {
		return d.fail(p, reason), o
	}
	return q, d.putNumber(s, m.Days, o)
}

// clock decodes a TIME.
func (d *Decoder) clock(s *step, p, o int) (int, int) {
	var micros int64
	var q int
	if d.counts(s, p) {
		if micros, q = d.integer(p); q < 0 {
			return q, o
		}
		var ok bool
		if micros, ok = decode.ToMicros(micros, s.unit); !ok || micros < 0 || micros >= decode.DayMicros {
			return d.fail(p, "the time is not within a day"), o
		}
	} else {
		if jsonscan.Peek(d.src, p) != '"' {
			return d.wants(p, "a time"), o
		}
		text, next := d.raw(p)
		if next < 0 {
			return next, o
		}
		clock, rest, full, ok := decode.ReadClock(text)
		if !ok || !full {
			return d.fail(p, "wants a time such as 23:59:59.123"), o
		}
		if zone := string(rest); zone != "" && zone != "Z" && zone != "z" && zone != "+00:00" && zone != "-00:00" {
			return d.fail(p, "wants a time such as 23:59:59.123, in UTC: a TIME column has no zone"), o
		}
		micros = clock
		q = next
	}
	d.putTag(s, o)
	o += int(s.tagLen) + 1
	n := len(decode.AppendTime(d.out[o:o], micros))
	d.out[o-1] = byte(n)
	return q, o + n
}

// civil decodes a DATETIME.
func (d *Decoder) civil(s *step, p, o int) (int, int) {
	var micros int64
	var q int
	if d.counts(s, p) {
		if micros, q = d.micros(s, p); q < 0 {
			return q, o
		}
	} else {
		if jsonscan.Peek(d.src, p) != '"' {
			return d.wants(p, "a date and time"), o
		}
		text, next := d.raw(p)
		if next < 0 {
			return next, o
		}
		m, reason := decode.ReadMoment(text)
		if reason == decode.MalformedReason || reason == "" && (!m.HasClock || m.HasZone || !m.Full) {
			reason = civilReason
		}
		if reason != "" {
			return d.fail(p, reason), o
		}
		micros, q = m.Days*decode.DayMicros+m.Clock, next
	}
	d.putTag(s, o)
	o += int(s.tagLen) + 1
	n := len(decode.AppendDateTime(d.out[o:o], micros))
	d.out[o-1] = byte(n)
	return q, o + n
}
