package decode

import "strconv"

// Bounds of BigQuery's INTERVAL (GoogleSQL, "Interval type"): each part has its own.
const (
	MaxIntervalMonths = 10_000 * 12
	MaxIntervalDays   = 3_660_000
	MaxIntervalHours  = 87_840_000
)

const intervalReason = "the interval is out of BigQuery's range: 10,000 years, 3,660,000 " +
	"days and 87,840,000 hours, each"

// AppendInterval appends a span of time in BigQuery's canonical form, Y-M D [-]H:M:S.ffffff; reason says that it is out
// of range. Months and days are not negative.
func AppendInterval(dst []byte, months, days, micros int64) (_ []byte, reason string) {
	const most = MaxIntervalHours * 3600_000_000
	if months > MaxIntervalMonths || days > MaxIntervalDays || micros > most || micros < -most {
		return dst, intervalReason
	}
	dst = append(strconv.AppendInt(dst, months/12, 10), '-')
	dst = append(strconv.AppendInt(dst, months%12, 10), ' ')
	dst = append(strconv.AppendInt(dst, days, 10), ' ')
	if micros < 0 {
		dst, micros = append(dst, '-'), -micros
	}
	seconds := micros / 1_000_000
	dst = append(strconv.AppendInt(dst, seconds/3600, 10), ':')
	dst = append(strconv.AppendInt(dst, seconds/60%60, 10), ':')
	dst = strconv.AppendInt(dst, seconds%60, 10)
	if fraction := micros % 1_000_000; fraction != 0 {
		dst = append(dst, '.')
		dst = appendTwo(appendTwo(appendTwo(dst, fraction/10000), fraction/100%100), fraction%100)
	}
	return dst, ""
}

// checkInterval checks that text is an interval in the canonical form [-]Y-M [-]D [-]H:M:S[.F].
func checkInterval(text []byte) (reason string) {
	const syntax = "no interval of the form Y-M D H:M:S.F"
	var part [6]int64
	rest := text
	for i := range part {
		if i == 0 || i == 2 || i == 3 {
			rest, _ = skip(rest, '-')
		}
		var ok bool
		if part[i], rest, ok = parseNumber(rest, 9); !ok {
			return syntax
		}
		if i < 5 {
			if rest, ok = skip(rest, "- ::: "[[...]int{0, 1, 1, 2, 3}[i]]); !ok {
				return syntax
			}
		}
	}
	if after, dot := skip(rest, '.'); dot {
		var ok bool
		if _, rest, ok = parseNumber(after, 6); !ok {
			return syntax
		}
	}
	years, months, days, hours, minutes, seconds := part[0], part[1], part[2], part[3], part[4], part[5]
	switch {
	case len(rest) > 0 || months > 11 || minutes > 59 || seconds > 59:
		return syntax
	case years*12+months > MaxIntervalMonths || days > MaxIntervalDays ||
		hours > MaxIntervalHours, hours == MaxIntervalHours && minutes+seconds > 0:
		return intervalReason
	}
	return ""
}
