package decode

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Cell is a column as values are written into it, whatever the format that they come of. It is immutable.
type Cell struct {
	*Column
	// Tag goes before each value.
	Tag []byte
	// Dates are those of the contract. Item says that there are several values, and no null among them.
	Dates *Dates
	Item  bool
}

// AppendText appends the value that a text becomes, tag included; nothing where that is null. t counts dates that are
// far away.
func (c *Cell) AppendText(dst, text []byte, t *Taken) (_ []byte, reason string) {
	if c.Dates != nil && c.IsMoment() {
		micros, ok, before, reason := c.OfText(text)
		if reason != "" {
			return dst, fmt.Sprintf("%.60q is no %s: %s", string(text), c.Type, reason)
		}
		return c.AppendMoment(dst, micros, ok, before, t)
	}
	switch {
	case c.IsNumber():
		v, reason := c.Number(text)
		return c.append(dst, v, reason)
	case c.Type == Float:
		v, reason := c.Float(text)
		return c.appendFloat(dst, v, reason)
	case c.IsVerbatim():
		if reason := c.CheckText(text); reason != "" {
			return dst, reason
		}
		return protowire.AppendBytes(append(dst, c.Tag...), text), ""
	}
	row, reason := c.Column.AppendText(c.begin(dst), text)
	return c.end(row, len(dst), reason)
}

// AppendNumber appends the value that a whole number becomes, as AppendText does.
func (c *Cell) AppendNumber(dst []byte, v int64, t *Taken) (_ []byte, reason string) {
	switch {
	case c.Dates != nil && c.IsMoment():
		micros, ok, before := c.OfNumber(v)
		return c.AppendMoment(dst, micros, ok, before, t)
	case c.IsNumber():
		v, reason := c.NumberOf(v)
		return c.append(dst, v, reason)
	case c.Type == Float:
		return c.appendFloat(dst, float64(v), "")
	}
	row, reason := c.Column.AppendNumber(c.begin(dst), v)
	return c.end(row, len(dst), reason)
}

// AppendMoment appends a date or time of so many microseconds since the epoch, as AppendText does. ok and before are
// those of Taken.Far.
func (c *Cell) AppendMoment(dst []byte, micros int64, ok, before bool, t *Taken) (_ []byte, reason string) {
	micros, null, reason := t.Far(c.Dates, micros, ok, before)
	switch {
	case reason != "":
		return dst, reason
	case null && c.Item:
		return dst, FarItemReason
	case null:
		return dst, ""
	}
	return c.Column.AppendMoment(append(dst, c.Tag...), micros), ""
}

// AppendTime appends a time of day of so many microseconds, as AppendText does.
func (c *Cell) AppendTime(dst []byte, micros int64) []byte {
	row, _ := c.end(AppendTime(c.begin(dst), micros), len(dst), "")
	return row
}

func (c *Cell) append(dst []byte, v int64, reason string) ([]byte, string) {
	if reason != "" {
		return dst, reason
	}
	return binary.AppendUvarint(append(dst, c.Tag...), uint64(v)), ""
}

func (c *Cell) appendFloat(dst []byte, v float64, reason string) ([]byte, string) {
	if reason != "" {
		return dst, reason
	}
	return protowire.AppendFixed64(append(dst, c.Tag...), math.Float64bits(v)), ""
}

// begin appends the tag, and room for the length of a text of less than 128 bytes: a time, or 76 digits with sign and
// point. end puts the length of the text there that has been appended since dst had a length of from.
func (c *Cell) begin(dst []byte) []byte { return append(append(dst, c.Tag...), 0) }

func (c *Cell) end(dst []byte, from int, reason string) ([]byte, string) {
	if reason != "" {
		return dst[:from], reason
	}
	at := from + len(c.Tag)
	dst[at] = byte(len(dst) - at - 1)
	return dst, ""
}
