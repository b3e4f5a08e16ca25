package decode

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// Target is the type of column that a contract asks for in place of the one the type map gives.
type Target uint8

// The targets.
const (
	NoTarget Target = iota
	String
	JSON
	Geography
	Numeric
	BigNumeric
	Date
	Time
	DateTime
	Timestamp
	Interval
	Range
	Float
	// Integer is of what counts time: a moment, or a span of it. Of a whole number, and Record of a record, they say
	// that it stays what it is, whatever a hint says.
	Integer
	Record
)

var targetNames = [...]string{
	"", "STRING", "JSON", "GEOGRAPHY", "NUMERIC", "BIGNUMERIC", "DATE", "TIME", "DATETIME", "TIMESTAMP", "INTERVAL",
	"RANGE", "FLOAT", "INTEGER", "RECORD",
}

func (t Target) String() string { return targetNames[t] }

// TargetOf finds a target by its name in BigQuery, in upper case; NoTarget if there is none.
func TargetOf(name string) Target {
	return Target(max(0, slices.Index(targetNames[:], name)))
}

// TargetNames lists the targets.
func TargetNames() []string { return targetNames[1:] }

// Targets are all targets but NoTarget.
func Targets() (all []Target) {
	for t := NoTarget + 1; int(t) < len(targetNames); t++ {
		all = append(all, t)
	}
	return all
}

// Column is what a contract asks of one column of the payload.
type Column struct {
	// Name is the column's name where it is not the field's; Skip leaves the field out of the table. NoTarget leaves
	// the type as it is.
	Name string
	Skip bool
	Type Target
	// Whole makes one JSON column of a list and not of each of its items. A list whose items do not become JSON by
	// themselves is whole without it.
	Whole bool
	// Unit is what a whole number counts that becomes a DATE, TIME, DATETIME or TIMESTAMP, and what an INTEGER counts;
	// Auto where nothing is said.
	Unit Unit
	// Precision and Scale bound a NUMERIC or BIGNUMERIC: its digits, and those behind the point. Without a precision
	// BigQuery's own bounds hold.
	Precision, Scale int
}

// Source is what a value is before it becomes a column's.
type Source uint8

// The sources.
const (
	// FromText is text in UTF-8, or bytes that hold such.
	FromText Source = iota
	// FromNumber is a whole number of up to 64 bits.
	FromNumber
	// FromRecord is a record of two fields, start and end.
	FromRecord
	// FromDecimal is a decimal with digits of its own.
	FromDecimal
	// FromMoment is a moment in UTC, FromSpan a span of time, FromDate a day, FromClock a time of day, FromCivil both,
	// with a zone or without, FromShape a place or a shape on the earth: messages and records that are one value.
	FromMoment
	FromSpan
	FromDate
	FromClock
	FromCivil
	FromShape
)

// Check says why values of a source cannot become this column, or the column cannot be; empty if they can.
func (c *Column) Check(s Source) string {
	if s > FromDecimal {
		return c.checkMessage(s)
	}
	switch {
	case c.Type == Integer || c.Type == Record:
		return "it does not become " + c.Type.String()
	case (s == FromRecord) != (c.Type == Range):
		return "only a record with the fields start and end becomes a RANGE, and it becomes nothing else but JSON"
	case s == FromDecimal && !c.IsDecimal() && c.Type != String && c.Type != Float:
		return "a decimal does not become " + c.Type.String()
	case s == FromNumber && (c.Type == JSON || c.Type == Geography || c.Type == Interval):
		return "a whole number does not become " + c.Type.String()
	case s == FromNumber && c.Type == Time && c.Unit == Auto:
		return "a TIME of a whole number needs a unit: s, ms, us or ns"
	case s != FromNumber && c.Unit != Auto:
		return "only a whole number has a unit"
	}
	if c.Precision == 0 {
		return ""
	}
	whole, scale := c.Type.digits()
	if c.Scale > scale || c.Precision-c.Scale > whole || c.Scale > c.Precision {
		return fmt.Sprintf("%s has at most %d digits before the point and %d behind it", c.Type, whole, scale)
	}
	return ""
}

// IsDecimal says that the column's values are NUMERIC or BIGNUMERIC.
func (c *Column) IsDecimal() bool { return c.Type == Numeric || c.Type == BigNumeric }

// IsNumber says that the column's values are varints in the row, DATE in days and TIMESTAMP in microseconds; else they
// are texts.
func (c *Column) IsNumber() bool { return c.Type == Date || c.Type == Timestamp }

// IsVerbatim says that a text becomes a value of the column as it is, once CheckText has nothing against it.
func (c *Column) IsVerbatim() bool {
	return c.Type == String || c.Type == JSON || c.Type == Geography || c.Type == Interval
}

// CheckText says why a text is no value of a column that takes it verbatim; empty if it is.
func (c *Column) CheckText(text []byte) (reason string) {
	var at int
	switch c.Type {
	case String:
		at, reason = CheckUTF8(text)
	case JSON:
		at, reason = CheckJSON(text)
	case Geography:
		at, reason = checkGeography(text)
	default:
		return checkInterval(text)
	}
	if reason != "" {
		reason = fmt.Sprintf("%s, at byte %d of the text", reason, at)
	}
	return reason
}

// Wire is how the column's values are written in the row.
func (c *Column) Wire() protowire.Type {
	switch {
	case c.IsNumber(), c.Type == Integer:
		return protowire.VarintType
	case c.Type == Float:
		return protowire.Fixed64Type
	}
	return protowire.BytesType
}

// Float is the FLOAT that the text of a number becomes; whatever float64 is nearest.
func (c *Column) Float(text []byte) (v float64, reason string) {
	// Not kept: its errors hold a copy.
	v, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), len(text)), 64)
	if err != nil || len(text) > 0 && bytes.ContainsAny(text, "xX_") {
		return 0, fmt.Sprintf("%.60q is no number of a FLOAT", string(text))
	}
	return v, ""
}

func floorDiv(v, by int64) int64 {
	q := v / by
	if v%by < 0 {
		q--
	}
	return q
}

// Columns are what a contract asks of its payload's columns, by path without the marks of arrays: order.items.price for
// the price in order.items[].price.
type Columns map[string]Column

// Paths lists the paths, in order.
func (c Columns) Paths() []string { return slices.Sorted(maps.Keys(c)) }

// WithoutMarks is a path without the marks of arrays.
func WithoutMarks(path string) string { return strings.ReplaceAll(path, "[]", "") }
