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

// parseDate reads YYYY-[M]M-[D]D (GoogleSQL, "Canonical format" of DATE) as days since the epoch.
func parseDate(text []byte) (days int64, rest []byte, ok bool) {
	year, rest, _ := parseNumber(text, 4)
	if len(text)-len(rest) != 4 {
		return 0, text, false
	}
	if rest, ok = skip(rest, '-'); !ok {
		return 0, text, false
	}
	month, rest, ok := parseNumber(rest, 2)
	if !ok {
		return 0, text, false
	}
	if rest, ok = skip(rest, '-'); !ok {
		return 0, text, false
	}
	day, rest, ok := parseNumber(rest, 2)
	if !ok || year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, text, false
	}
	return daysFrom(year, month, day), rest, true
}

func daysIn(year, month int64) int64 {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysFrom counts the days from the epoch to a date of the Gregorian calendar. Years begin in March here, so that the leap day is the last.
func daysFrom(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
}

// parseClock reads [H]H:[M]M:[S]S[.F] as microseconds of the day. Digits behind the sixth of the fraction, of nine, are cut off.
func parseClock(text []byte) (micros int64, rest []byte, ok bool) {
	hour, rest, ok := parseNumber(text, 2)
	if !ok || hour > 23 {
		return 0, text, false
	}
	if rest, ok = skip(rest, ':'); !ok {
		return 0, text, false
	}
	minute, rest, ok := parseNumber(rest, 2)
	if !ok || minute > 59 {
		return 0, text, false
	}
	if rest, ok = skip(rest, ':'); !ok {
		return 0, text, false
	}
	second, rest, ok := parseNumber(rest, 2)
	if !ok || second > 59 {
		return 0, text, false
	}
	micros = (hour*3600 + minute*60 + second) * 1_000_000
	if after, dot := skip(rest, '.'); dot {
		var fraction int64
		start := after
		if fraction, after, ok = parseNumber(after, 9); !ok {
			return 0, text, false
		}
		for n := len(start) - len(after); n < 9; n++ {
			fraction *= 10
		}
		micros += fraction / 1000
		rest = after
	}
	return micros, rest, true
}

// parseMoment reads a date, and a time behind a T or a space if there is one, as microseconds.
func parseMoment(text []byte) (micros int64, rest []byte, ok bool) {
	days, rest, ok := parseDate(text)
	if !ok {
		return 0, text, false
	}
	micros = days * DayMicros
	if len(rest) > 1 && (rest[0] == 'T' || rest[0] == 't' || rest[0] == ' ') && rest[1]-'0' <= 9 {
		clock, after, ok := parseClock(rest[1:])
		if !ok {
			return 0, text, false
		}
		return micros + clock, after, true
	}
	return micros, rest, true
}

// parseDateTime reads a DATETIME.
func parseDateTime(text []byte) (micros int64, ok bool) {
	micros, rest, ok := parseMoment(text)
	return micros, ok && len(rest) == 0
}

// parseTimestamp reads a TIMESTAMP: a DATETIME and Z, UTC or an offset from it such as +01:00, +0100 or +1. Without any it is in UTC.
func parseTimestamp(text []byte) (micros int64, ok bool) {
	micros, rest, ok := parseMoment(text)
	if !ok {
		return 0, false
	}
	if len(rest) > 1 && rest[0] == ' ' {
		rest = rest[1:]
	}
	switch {
	case len(rest) == 0, len(rest) == 1 && rest[0]|0x20 == 'z', string(rest) == "UTC":
		return micros, true
	case rest[0] != '+' && rest[0] != '-':
		return 0, false
	}
	sign := int64(1)
	if rest[0] == '+' {
		sign = -1
	}
	hours, after, ok := parseNumber(rest[1:], 2)
	if !ok || hours > 14 { // the offsets that GoogleSQL takes
		return 0, false
	}
	var minutes int64
	if len(after) > 0 {
		after, _ = skip(after, ':')
		if minutes, after, ok = parseNumber(after, 2); !ok || len(after) > 0 || minutes > 59 {
			return 0, false
		}
	}
	micros += sign * (hours*60 + minutes) * 60_000_000
	return micros, micros >= MinMicros && micros <= MaxMicros
}
