package decode

import (
	"fmt"
	"slices"
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
