package decode

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// messageTargets are what the messages become that are one value.
var messageTargets = map[Source]struct {
	name string
	of   []Target
}{
	FromMoment: {"a moment", []Target{Timestamp, DateTime, Date, Time, Integer, String}},
	FromSpan:   {"a span of time", []Target{Interval, Integer, Float, Time, String}},
	FromDate:   {"a date", []Target{Date, DateTime, Timestamp, String}},
	FromClock:  {"a time of day", []Target{Time, String}},
	FromCivil:  {"a date and time", []Target{DateTime, Timestamp}},
	FromShape:  {"a place", []Target{Geography}},
}

// checkMessage is Check of a message that is one value.
func (c *Column) checkMessage(s Source) string {
	switch t := messageTargets[s]; {
	case !slices.Contains(t.of, c.Type):
		return fmt.Sprintf("%s becomes one of %v, and not %s", t.name, t.of, c.Type)
	case c.Unit != Auto && c.Type != Integer:
		return "only an INTEGER has a unit here"
	}
	return ""
}

// AppendInstant appends what a moment becomes in the column, of FromMoment or FromDate, as the row has it: the bytes
// behind the tag.
func (c *Column) AppendInstant(dst []byte, micros int64, day bool) (_ []byte, reason string) {
	at := len(dst)
	switch c.Type {
	case Integer:
		v, reason := c.count(micros)
		return protowire.AppendVarint(dst, uint64(v)), reason
	case String:
		if dst = AppendDateTime(append(dst, 0), micros); day {
			dst = dst[:at+1+len("2006-01-02")]
		} else {
			dst = append(dst, 'Z')
			dst[at+1+len("2006-01-02")] = 'T'
		}
	case Time:
		dst = AppendTime(append(dst, 0), micros-floorDiv(micros, DayMicros)*DayMicros)
	default:
		return c.AppendMoment(dst, micros), ""
	}
	dst[at] = byte(len(dst) - at - 1)
	return dst, ""
}

// AppendSpan appends what a span of time becomes in the column, as the row has it, but for INTERVAL and STRING.
func (c *Column) AppendSpan(dst []byte, micros int64) (_ []byte, reason string) {
	switch c.Type {
	case Float:
		return protowire.AppendFixed64(dst, math.Float64bits(float64(micros)/1e6)), ""
	case Time:
		if micros < 0 || micros >= DayMicros {
			return dst, "the time is not within a day"
		}
		at := len(dst)
		dst = AppendTime(append(dst, 0), micros)
		dst[at] = byte(len(dst) - at - 1)
		return dst, ""
	}
	v, reason := c.count(micros)
	return protowire.AppendVarint(dst, uint64(v)), reason
}

// count is how many of the column's units there are in so many microseconds, rounded down.
func (c *Column) count(micros int64) (v int64, reason string) {
	switch c.Unit {
	case Seconds:
		return floorDiv(micros, 1_000_000), ""
	case Millis:
		return floorDiv(micros, 1000), ""
	case Nanos:
		if micros > math.MaxInt64/1000 || micros < math.MinInt64/1000 {
			return 0, "an INTEGER does not hold so many nanoseconds"
		}
		return micros * 1000, ""
	}
	return micros, ""
}

// CivilMicros is a date and a time of day in microseconds since the epoch, and whether there is such a date
// within the years 1 to 9999.
func CivilMicros(year, month, day int64, clock int64) (micros int64, ok bool) {
	if year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	return daysFrom(year, month, day)*DayMicros + clock, true
}

// ClockMicros is a time of day in microseconds, and whether there is such a time; nanoseconds are cut.
func ClockMicros(hours, minutes, seconds, nanos int64) (micros int64, ok bool) {
	ok = uint64(hours) < 24 && uint64(minutes) < 60 && uint64(seconds) < 60 && uint64(nanos) < 1_000_000_000
	return ((hours*60+minutes)*60+seconds)*1_000_000 + nanos/1000, ok
}
