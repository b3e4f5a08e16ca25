package decode

import "fmt"

// Beyond is what becomes of dates and times that are far away.
type Beyond uint8

// Refuse makes the record a dead letter, Null leaves the value out, Clamp puts the nearest one in its place that is not
// far away.
const (
	RefuseFar Beyond = iota
	NullFar
	ClampFar
)

// Dates say which DATE, DATETIME and TIMESTAMP values are far away: what is out of BigQuery's range, and what a
// contract wants to have like that, such as 0001-01-01 and 9999-12-31 in place of none. Nil is BigQuery's range alone,
// refused.
type Dates struct {
	// From and To are the first and the last value that is not far away, in microseconds since the epoch.
	From, To int64
	Beyond   Beyond
}

// FarReason is the reason of an Error about a date or time that is far away by its contract.
const FarReason = "the date or time is far away: it is not within dates.from and dates.to of the contract"

// FarItemReason is that of one that would be null where there is no null.
const FarItemReason = "the date or time is far away, and BigQuery has no null in a REPEATED column"

// Far settles a date or time of so many microseconds since the epoch. ok is false outside of BigQuery's range, and
// before says on which side. A null one has no value in the row. FarDates counts those that were not refused.
func (t *Taken) Far(d *Dates, micros int64, ok, before bool) (_ int64, null bool, reason string) {
	switch {
	case d == nil && ok:
		return micros, false, ""
	case d == nil, d.Beyond == RefuseFar && !ok:
		return 0, false, TimestampReason
	case ok && micros >= d.From && micros <= d.To:
		return micros, false, ""
	case d.Beyond == RefuseFar:
		return 0, false, FarReason
	}
	t.far++
	switch {
	case d.Beyond == NullFar:
		return 0, true, ""
	case before && !ok, ok && micros < d.From:
		return d.From, false, ""
	}
	return d.To, false, ""
}

// TakeTime takes the time of the event, as Far settles it; a null one is none. counted says that the column of the
// value is a moment itself, which counts it. It is small enough to be inlined: most contracts say nothing of far dates.
func (t *Taken) TakeTime(d *Dates, micros int64, ok, before, counted bool) (reason string) {
	if d == nil && ok {
		t.Micros, t.HasTime = micros, true
		return ""
	}
	return t.takeFar(d, micros, ok, before, counted)
}

func (t *Taken) takeFar(d *Dates, micros int64, ok, before, counted bool) (reason string) {
	far := t.far
	micros, null, reason := t.Far(d, micros, ok, before)
	t.Micros, t.HasTime = micros, reason == "" && !null
	if counted {
		t.far = far
	}
	return reason
}

// FarDates is how many dates and times of the payload last appended were far away and became null, or another one.
func (t *Taken) FarDates() int { return t.far }

// IsMoment says that the column's values are on a calendar: DATE, DATETIME or TIMESTAMP.
func (c *Column) IsMoment() bool { return c.Type == Date || c.Type == DateTime || c.Type == Timestamp }

// OfNumber is the moment of a whole number, for Far.
func (c *Column) OfNumber(v int64) (micros int64, ok, before bool) {
	if c.Type == Date && c.Unit == Auto {
		return v * DayMicros, v >= MinDays && v <= MaxDays, v < 0
	}
	micros, ok = ToMicros(v, c.Unit)
	return micros, ok, v < 0
}

// OfText is the moment of a text, for Far. The reason says why it is none, its range apart.
func (c *Column) OfText(text []byte) (micros int64, ok, before bool, reason string) {
	m, reason := ReadMoment(text)
	micros, ok = m.Micros()
	switch {
	case reason == TimestampReason: // the year 0
		return 0, false, true, ""
	case reason == "" && (c.Type != Date || !m.HasClock && !m.HasZone) && (c.Type != DateTime || !m.HasZone):
		return micros, ok, m.Days < 0, ""
	case c.Type == Date:
		return 0, false, false, fmt.Sprintf("%.60q is no date such as 2026-02-28, years 1 to 9999", string(text))
	case c.Type == DateTime:
		return 0, false, false, fmt.Sprintf("%.60q is no date and time such as 2026-02-28 13:05:00.25, years 1 to 9999",
			string(text))
	}
	return 0, false, false, fmt.Sprintf("%.60q is no timestamp such as 2026-02-28T13:05:00.25+01:00, years 1 to 9999",
		string(text))
}
