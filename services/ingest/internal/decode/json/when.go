package json

import (
	"math"

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

const instantReason = "wants a timestamp such as 2026-01-31T23:59:59.123Z (RFC 3339)"

// instant reads a timestamp. Lenient takes a number in the string, and one without zone for UTC.
func (d *Decoder) instant(text []byte, s *step) (micros int64, reason string) {
	days, text, reason := date(text)
	if reason != "" {
		if v, q, ok := short(text, 0); ok && q == len(text) && d.lenient && s.numbers {
			if micros, ok = decode.ToMicros(v, s.unit); !ok {
				return 0, decode.TimestampReason
			}
			return micros, ""
		}
		return 0, reason
	}
	if len(text) == 0 || text[0]|0x20 != 't' && text[0] != ' ' {
		return 0, instantReason
	}
	clock, text, ok := timeOfDay(text[1:])
	if !ok {
		return 0, instantReason
	}
	offset, ok := zone(text)
	if !ok && (!d.lenient || len(text) != 0) {
		if len(text) == 0 {
			return 0, "a timestamp without a zone: Z or an offset such as +01:00 belongs behind it"
		}
		return 0, instantReason
	}
	micros = days*decode.DayMicros + clock - offset
	if micros < decode.MinMicros || micros > decode.MaxMicros {
		return 0, decode.TimestampReason
	}
	return micros, ""
}

// zone reads Z or an offset, all of text, in microseconds.
func zone(text []byte) (offset int64, ok bool) {
	if len(text) == 1 && text[0]|0x20 == 'z' {
		return 0, true
	}
	if len(text) != 6 || text[0] != '+' && text[0] != '-' || text[3] != ':' {
		return 0, false
	}
	hours, minutes := two(text[1:]), two(text[4:])
	if hours > 23 || minutes > 59 {
		return 0, false
	}
	offset = (hours*60 + minutes) * 60_000_000
	if text[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// two is the number of two digits, out of any range if they are none.
func two(text []byte) int64 {
	a, b := text[0]-'0', text[1]-'0'
	if a > 9 || b > 9 {
		return math.MaxInt32
	}
	return int64(a)*10 + int64(b)
}

// date reads YYYY-MM-DD and returns the days since the epoch and what follows. On error text comes back whole.
func date(text []byte) (days int64, rest []byte, reason string) {
	const malformed = "wants a date such as 2026-01-31"
	if len(text) < 10 || text[4] != '-' || text[7] != '-' {
		return 0, text, malformed
	}
	century, year, month, day := two(text), two(text[2:]), two(text[5:]), two(text[8:])
	if century > 99 || year > 99 || month > 99 || day > 99 {
		return 0, text, malformed
	}
	year += 100 * century
	switch {
	case year == 0:
		return 0, text, decode.TimestampReason
	case month < 1 || month > 12 || day < 1 || day > daysIn(year, month):
		return 0, text, "there is no such day"
	}
	return daysSince(year, month, day), text[10:], ""
}

func daysIn(year, month int64) int64 {
	if month == 2 {
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 30 + (month+month>>3)&1
}

// daysSince counts days since the epoch in years that begin in March, so that a leap day is the last.
func daysSince(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 719469
}

// timeOfDay reads HH:MM:SS, a fraction of any length cut to microseconds, and returns what follows.
func timeOfDay(text []byte) (micros int64, rest []byte, ok bool) {
	if len(text) < 8 || text[2] != ':' || text[5] != ':' {
		return 0, nil, false
	}
	hour, minute, second := two(text), two(text[3:]), two(text[6:])
	if hour > 23 || minute > 59 || second > 59 {
		return 0, nil, false
	}
	micros = ((hour*60+minute)*60 + second) * 1_000_000
	text = text[8:]
	if len(text) > 0 && text[0] == '.' {
		n := 1
		for unit := int64(100_000); n < len(text) && text[n]-'0' <= 9; n++ {
			micros += unit * int64(text[n]-'0')
			unit /= 10
		}
		if n == 1 {
			return 0, nil, false
		}
		text = text[n:]
	}
	return micros, text, true
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
	days, rest, reason := date(text)
	if reason == "" && len(rest) > 0 {
		reason = "wants a date such as 2026-01-31 and nothing behind it"
	}
	if reason != "" {
		return d.fail(p, reason), o
	}
	return q, d.putNumber(s, days, o)
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
		var rest []byte
		var ok bool
		if micros, rest, ok = timeOfDay(text); !ok {
			return d.fail(p, "wants a time such as 23:59:59.123"), o
		}
		if offset, zoned := zone(rest); len(rest) > 0 && (!zoned || offset != 0) {
			return d.fail(p, "wants a time such as 23:59:59.123, in UTC: a TIME column has no zone"), o
		}
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
		days, rest, reason := date(text)
		if reason != "" {
			return d.fail(p, reason), o
		}
		if len(rest) == 0 || rest[0]|0x20 != 't' && rest[0] != ' ' {
			return d.fail(p, "wants a date and time such as 2026-01-31T23:59:59.123, without a zone"), o
		}
		clock, rest, ok := timeOfDay(rest[1:])
		if !ok || len(rest) > 0 {
			return d.fail(p, "wants a date and time such as 2026-01-31T23:59:59.123, without a zone"), o
		}
		micros, q = days*decode.DayMicros+clock, next
	}
	d.putTag(s, o)
	o += int(s.tagLen) + 1
	n := len(decode.AppendDateTime(d.out[o:o], micros))
	d.out[o-1] = byte(n)
	return q, o + n
}
