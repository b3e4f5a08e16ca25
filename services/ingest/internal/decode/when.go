package decode

import "time"

// Ranges of BigQuery's DATE, DATETIME and TIMESTAMP: years 1 to 9999 (data types of GoogleSQL).
const (
	// MinDays and MaxDays bound a DATE, in days since the epoch.
	MinDays = -719162
	MaxDays = 2932896
	// DayMicros is the length of a day in microseconds.
	DayMicros = 24 * 60 * 60 * 1_000_000

	// MinMicros and MaxMicros bound a TIMESTAMP or DATETIME, in microseconds since the epoch.
	MinMicros = MinDays * DayMicros
	MaxMicros = (MaxDays+1)*DayMicros - 1

	// TimestampReason is the reason of an Error about a time outside of them.
	TimestampReason = "the timestamp is out of BigQuery's range, years 1 to 9999"
)

// Unit is the unit of a number that counts time since the epoch.
type Unit uint8

// Auto tells the unit by the number's magnitude: below 1e11 seconds (until the year 5138), below 1e14 milliseconds,
// below 1e17 microseconds, else nanoseconds.
const (
	Auto Unit = iota
	Seconds
	Millis
	Micros
	Nanos
)

// ToMicros converts to microseconds, rounding down; ok is false outside BigQuery's range.
func ToMicros(v int64, unit Unit) (micros int64, ok bool) {
	if unit == Auto {
		abs := uint64(v)
		if v < 0 {
			abs = -abs
		}
		switch {
		case abs < 1e11:
			unit = Seconds
		case abs < 1e14:
			unit = Millis
		case abs < 1e17:
			unit = Micros
		default:
			unit = Nanos
		}
	}
	// The bounds are constants: dividing by a variable takes longer than all the rest.
	low, high, factor := int64(MinMicros), int64(MaxMicros), int64(1)
	switch unit {
	case Seconds:
		low, high, factor = MinMicros/1_000_000, MaxMicros/1_000_000, 1_000_000
	case Millis:
		low, high, factor = MinMicros/1000, MaxMicros/1000, 1000
	case Nanos:
		rest := v % 1000
		v /= 1000
		if rest < 0 {
			v--
		}
	}
	if v > high || v < low {
		return 0, false
	}
	return v * factor, true
}

// AppendTime appends a time of day, in microseconds, as HH:MM:SS.ffffff.
func AppendTime(dst []byte, micros int64) []byte {
	second := micros / 1_000_000
	dst = append(appendTwo(dst, second/3600), ':')
	dst = append(appendTwo(dst, second/60%60), ':')
	dst = append(appendTwo(dst, second%60), '.')
	fraction := micros % 1_000_000
	return appendTwo(appendTwo(appendTwo(dst, fraction/10000), fraction/100%100), fraction%100)
}

func appendTwo(dst []byte, v int64) []byte { return append(dst, '0'+byte(v/10), '0'+byte(v%10)) }

// AppendDateTime appends microseconds since the epoch as YYYY-MM-DD HH:MM:SS.ffffff.
func AppendDateTime(dst []byte, micros int64) []byte {
	return time.UnixMicro(micros).UTC().AppendFormat(dst, "2006-01-02 15:04:05.000000")
}
