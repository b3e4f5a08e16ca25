package decode

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Cell is a column as values are written into it, whatever the format that they come of. It is immutable.
type Cell struct {
	*Column
	// Tag goes before each value.
	Tag []byte
	// Dates are those of the contract.
	Dates *Dates
	// Item says that there are several values, and no null among them. Day says that moments are days, so that a STRING
	// of one has no time of day. Take: the event's time is the moment that is written.
	Item, Day, Take bool
}

// TimeReason is the reason of an Error about a time of day that is none.
const TimeReason = "the time is not within a day"

// AppendText appends the value that a text becomes, tag included; nothing where that is null. t counts dates that are
// far away.
func (c *Cell) AppendText(dst, text []byte, t *Taken) (_ []byte, reason string) {
	switch {
	case c.IsMoment():
		micros, ok, before, reason := c.OfText(text)
		if reason != "" {
			return dst, reason
		}
		return c.AppendMoment(dst, micros, ok, before, t)
	case c.Type == Time:
		micros, rest, _, ok := ReadClock(text)
		if !ok || len(rest) > 0 {
			return dst, fmt.Sprintf("%.60q is no time such as 13:05:00.25", string(text))
		}
		return c.AppendTime(dst, micros), ""
	case c.Type == Float:
		v, reason := c.Float(text)
		return c.appendFloat(dst, v, reason)
	case c.IsVerbatim():
		if reason := c.CheckText(text); reason != "" {
			return dst, reason
		}
		return protowire.AppendBytes(append(dst, c.Tag...), text), ""
	}
	row, reason := c.appendDecimal(c.begin(dst), text)
	return c.end(row, len(dst), reason)
}

// AppendNumber appends the value that a whole number becomes, as AppendText does.
func (c *Cell) AppendNumber(dst []byte, v int64, t *Taken) (_ []byte, reason string) {
	var row []byte
	switch {
	case c.IsMoment():
		micros, ok, before := c.OfNumber(v)
		if !ok && c.Dates == nil && c.Type == Date && c.Unit == Auto {
			return dst, "the date " + strconv.FormatInt(v, 10) + " is out of BigQuery's range, years 1 to 9999"
		}
		return c.AppendMoment(dst, micros, ok, before, t)
	case c.Type == Time:
		micros, ok := ToMicros(v, c.Unit)
		if !ok || micros < 0 || micros >= DayMicros {
			return dst, TimeReason
		}
		return c.AppendTime(dst, micros), ""
	case c.Type == Float:
		return c.appendFloat(dst, float64(v), "")
	case c.IsDecimal():
		var digits [20]byte
		row, reason = c.appendDecimal(c.begin(dst), strconv.AppendInt(digits[:0], v, 10))
	default:
		row = strconv.AppendInt(c.begin(dst), v, 10)
	}
	return c.end(row, len(dst), reason)
}

// AppendMoment appends what a moment of so many microseconds since the epoch becomes, as AppendText does. ok and before
// are those of Taken.Far.
func (c *Cell) AppendMoment(dst []byte, micros int64, ok, before bool, t *Taken) (_ []byte, reason string) {
	micros, null, reason := t.Far(c.Dates, micros, ok, before)
	switch {
	case reason != "":
		return dst, reason
	case null && c.Item:
		return dst, FarItemReason
	case c.Take:
		t.Micros, t.HasTime = micros, !null
	}
	switch {
	case null:
		return dst, ""
	case c.Type == Timestamp:
		return binary.AppendUvarint(append(dst, c.Tag...), uint64(micros)), ""
	case c.Type == Date:
		return binary.AppendUvarint(append(dst, c.Tag...), uint64(floorDiv(micros, DayMicros))), ""
	case c.Type == Integer:
		return c.appendCount(dst, micros)
	case c.Type == Time:
		return c.AppendTime(dst, micros-floorDiv(micros, DayMicros)*DayMicros), ""
	}
	row := AppendDateTime(c.begin(dst), micros)
	switch day := len(dst) + len(c.Tag) + 1 + len("2006-01-02"); {
	case c.Type == String && c.Day:
		row = row[:day]
	case c.Type == String:
		row = append(row, 'Z')
		row[day] = 'T'
	}
	return c.end(row, len(dst), "")
}

// AppendSpan appends what a span of time becomes, as AppendText does.
func (c *Cell) AppendSpan(dst []byte, micros int64) (_ []byte, reason string) {
	switch {
	case c.Type == Interval, c.Type == String:
		row, reason := AppendInterval(c.begin(dst), 0, 0, micros)
		return c.end(row, len(dst), reason)
	case c.Type == Float:
		return c.appendFloat(dst, float64(micros)/1e6, "")
	case c.Type == Integer:
		return c.appendCount(dst, micros)
	case micros < 0 || micros >= DayMicros:
		return dst, TimeReason
	}
	return c.AppendTime(dst, micros), ""
}

// AppendScaled appends what a decimal with a scale of its own becomes, as AppendText does.
func (c *Cell) AppendScaled(dst, number []byte, scale int64, t *Taken) (_ []byte, reason string) {
	var room [2 * (BigNumericWhole + BigNumericScale)]byte
	text, reason := AppendScaled(room[:0], number, scale)
	if reason != "" {
		return dst, reason
	}
	return c.AppendText(dst, text, t)
}

// AppendShape appends the GEOGRAPHY that a shape in well-known binary and its reference system become, as AppendText
// does; a nil shape is null.
func (c *Cell) AppendShape(dst, shape []byte, srid int64) (_ []byte, reason string) {
	switch {
	case shape == nil && c.Item:
		return dst, "a shape without wkb among the items: BigQuery has no null in a REPEATED column"
	case shape == nil:
		return dst, ""
	}
	row := c.begin(dst)
	if reason = sridReason(srid); reason == "" {
		row, reason = AppendWKB(row, shape)
	}
	return c.end(row, len(dst), reason)
}

// AppendPoint appends the GEOGRAPHY that a place becomes, as AppendText does.
func (c *Cell) AppendPoint(dst []byte, longitude, latitude float64) (_ []byte, reason string) {
	row, reason := appendPoint(c.begin(dst), longitude, latitude)
	return c.end(row, len(dst), reason)
}

// AppendTime appends a time of day of so many microseconds, as AppendText does.
func (c *Cell) AppendTime(dst []byte, micros int64) []byte {
	row, _ := c.end(AppendTime(c.begin(dst), micros), len(dst), "")
	return row
}

func (c *Cell) appendFloat(dst []byte, v float64, reason string) ([]byte, string) {
	if reason != "" {
		return dst, reason
	}
	return protowire.AppendFixed64(append(dst, c.Tag...), math.Float64bits(v)), ""
}

// appendCount appends how many of the column's units there are in so many microseconds, rounded down.
func (c *Cell) appendCount(dst []byte, micros int64) (_ []byte, reason string) {
	switch c.Unit {
	case Seconds:
		micros = floorDiv(micros, 1_000_000)
	case Millis:
		micros = floorDiv(micros, 1000)
	case Nanos:
		if micros > math.MaxInt64/1000 || micros < math.MinInt64/1000 {
			return dst, "an INTEGER does not hold so many nanoseconds"
		}
		micros *= 1000
	}
	return binary.AppendUvarint(append(dst, c.Tag...), uint64(micros)), ""
}

// begin appends the tag, and room for the length of a text of less than 128 bytes: all but some shapes. end puts the
// length of the text there that has been appended since dst had a length of from.
func (c *Cell) begin(dst []byte) []byte { return append(append(dst, c.Tag...), 0) }

func (c *Cell) end(dst []byte, from int, reason string) ([]byte, string) {
	if reason != "" {
		return dst[:from], reason
	}
	at := from + len(c.Tag)
	n := len(dst) - at - 1
	if more := VarintLen(uint64(n)) - 1; more > 0 {
		dst = append(dst, make([]byte, more)...)
		copy(dst[at+1+more:], dst[at+1:at+1+n])
	}
	PutVarint(dst, at, uint64(n))
	return dst, ""
}
