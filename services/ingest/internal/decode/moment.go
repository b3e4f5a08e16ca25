package decode

// parseNumber reads one to most digits.
func parseNumber(text []byte, most int) (v int64, rest []byte, ok bool) {
	n := 0
	for n < len(text) && n < most && text[n]-'0' <= 9 {
		v = v*10 + int64(text[n]-'0')
		n++
	}
	return v, text[n:], n > 0
}

// skip reads one byte.
func skip(text []byte, c byte) (rest []byte, ok bool) {
	if len(text) == 0 || text[0] != c {
		return text, false
	}
	return text[1:], true
}

// Moment is what a text says of a moment: a date, and perhaps a time of day and a zone.
type Moment struct {
	// Days are since the epoch; Clock and Offset are microseconds, the offset that of the zone from UTC.
	Days, Clock, Offset int64
	HasClock, HasZone   bool
	// Full says that every part has all of its digits, and that the zone is Z or an offset such as +01:00, as RFC 3339
	// writes it.
	Full bool
}

// Micros are since the epoch, in UTC; ok is false outside of BigQuery's range.
func (m *Moment) Micros() (micros int64, ok bool) {
	micros = m.Days*DayMicros + m.Clock - m.Offset
	return micros, micros >= MinMicros && micros <= MaxMicros
}

// The reasons of ReadMoment, and that of text behind a moment.
const (
	MalformedReason = "it is no date such as 2026-01-31, or date and time such as 2026-01-31T23:59:59.123+01:00"
	NoDayReason     = "there is no such day"
)

// ReadMoment reads [Y]YYY-[M]M-[D]D, behind it a T or space and [H]H:[M]M:[S]S[.F], and behind that Z, UTC or an offset
// such as +01:00, +0100 or +1: the canonical forms of GoogleSQL ("Canonical format" of DATE, DATETIME and TIMESTAMP),
// which those of RFC 3339 are among. Digits of the fraction beyond microseconds are cut off. It is the one reader of
// such texts, of all formats: whoever calls it says which parts have to be there. The reason is empty for a moment.
func ReadMoment(text []byte) (m Moment, reason string) {
	reason = m.Read(text)
	return m, reason
}

// Read is ReadMoment into a zero moment.
func (m *Moment) Read(text []byte) (reason string) {
	rest, reason := m.date(text)
	if reason != "" {
		return reason
	}
	if len(rest) > 1 && (rest[0]|0x20 == 't' || rest[0] == ' ') && rest[1]-'0' <= 9 {
		var full bool
		if m.Clock, rest, full, m.HasClock = ReadClock(rest[1:]); !m.HasClock {
			return MalformedReason
		}
		m.Full = m.Full && full
	}
	if len(rest) == 1 && rest[0]|0x20 == 'z' {
		m.HasZone = true
	} else if len(rest) > 0 && !m.zone(rest) {
		return MalformedReason
	}
	return ""
}

// date reads a date and returns what follows.
func (m *Moment) date(text []byte) (rest []byte, reason string) {
	var year, month, day int64
	if len(text) >= 10 && text[4] == '-' && text[7] == '-' {
		var low int64
		year, low, month, day, rest = two(text), two(text[2:]), two(text[5:]), two(text[8:]), text[10:]
		m.Full = year|low|month|day <= 127
		year = 100*year + low
	}
	if !m.Full {
		var ok bool
		if year, month, day, rest, ok = looseDate(text); !ok {
			return text, MalformedReason
		}
	}
	switch {
	case year == 0:
		return text, TimestampReason
	case month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(year, month):
		return text, NoDayReason
	}
	m.Days = daysFrom(year, month, day)
	return rest, ""
}

// looseDate reads a date whose month and day may have one digit.
func looseDate(text []byte) (year, month, day int64, rest []byte, ok bool) {
	if year, rest, _ = parseNumber(text, 4); len(text)-len(rest) != 4 {
		return 0, 0, 0, text, false
	}
	if month, rest, ok = parsePart(rest, '-'); ok {
		day, rest, ok = parsePart(rest, '-')
	}
	return year, month, day, rest, ok
}

// parsePart reads a separator and one or two digits.
func parsePart(text []byte, separator byte) (v int64, rest []byte, ok bool) {
	if rest, ok = skip(text, separator); !ok {
		return 0, text, false
	}
	return parseNumber(rest, 2)
}

// two is the number of two digits, out of any range if they are none.
func two(text []byte) int64 {
	a, b := text[0]-'0', text[1]-'0'
	if a > 9 || b > 9 {
		return 1 << 20
	}
	return int64(a)*10 + int64(b)
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

// daysFrom counts the days from the epoch to a date of the Gregorian calendar. Years begin in March here, so that the
// leap day is the last.
func daysFrom(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
}

// ReadClock reads [H]H:[M]M:[S]S[.F], microseconds of the day, and returns what follows. full is that of Moment.
func ReadClock(text []byte) (micros int64, rest []byte, full, ok bool) {
	var hour, minute, second int64
	if full = len(text) >= 8 && text[2] == ':' && text[5] == ':'; full {
		hour, minute, second, rest = two(text), two(text[3:]), two(text[6:]), text[8:]
		full = hour|minute|second <= 127
	}
	if !full {
		if hour, rest, ok = parseNumber(text, 2); ok {
			if minute, rest, ok = parsePart(rest, ':'); ok {
				second, rest, ok = parsePart(rest, ':')
			}
		}
		if !ok {
			return 0, text, false, false
		}
	}
	if hour > 23 || minute > 59 || second > 59 {
		return 0, text, false, false
	}
	micros = ((hour*60+minute)*60 + second) * 1_000_000
	if len(rest) > 0 && rest[0] == '.' {
		n := 1
		for unit := int64(100_000); n < len(rest) && rest[n]-'0' <= 9; n++ {
			micros += unit * int64(rest[n]-'0')
			unit /= 10
		}
		if n == 1 {
			return 0, text, false, false
		}
		rest = rest[n:]
	}
	return micros, rest, full, true
}

// zone reads a zone, which is all of text.
func (m *Moment) zone(text []byte) bool {
	m.HasZone = true
	if len(text) > 1 && text[0] == ' ' {
		text = text[1:]
		m.Full = false
	}
	if string(text) == "UTC" || len(text) == 1 && text[0]|0x20 == 'z' {
		m.Full = false
		return true
	}
	if len(text) < 2 || text[0] != '+' && text[0] != '-' {
		return false
	}
	m.Full = m.Full && len(text) == 6 && text[3] == ':'
	hours, rest, ok := parseNumber(text[1:], 2)
	if !ok || hours > 14 { // the offsets that GoogleSQL takes
		return false
	}
	var minutes int64
	if len(rest) > 0 {
		rest, _ = skip(rest, ':')
		if minutes, rest, ok = parseNumber(rest, 2); !ok || len(rest) > 0 || minutes > 59 {
			return false
		}
	}
	if m.Offset = (hours*60 + minutes) * 60_000_000; text[0] == '-' {
		m.Offset = -m.Offset
	}
	return true
}
