package avro

import (
	"flag"
	"fmt"
	"math"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

var update = flag.Bool("update", false, "write docs/types.md anew")

const page = "../../../../../docs/types.md"

// sample is a type of the page: columns, values and refusals are what the decoder makes of it.
type sample struct {
	name   string // as the page writes it
	schema string
	good   string // a datum
	shown  string // what stands for the datum on the page, where the value in the row does not tell
	bad    string // a datum that is refused; none if there is none
	limits string
}

func doubled(v float64) string {
	var out []byte
	for i := range 8 {
		out = append(out, byte(math.Float64bits(v)>>(8*i)))
	}
	return string(out)
}

var (
	years    = "years 1 to 9999"
	decimals = fmt.Sprintf("up to %d digits before the point and %d behind it NUMERIC, up to %d and %d "+
		"BIGNUMERIC; more is refused at load",
		decode.NumericWhole, decode.NumericScale, decode.BigNumericWhole, decode.BigNumericScale)
	intervals = fmt.Sprintf("%d years, %d days", decode.MaxIntervalMonths/12, decode.MaxIntervalDays)
)

var samples = []sample{
	{"`boolean`", `"boolean"`, "\x01", "", "\x02", ""},
	{"`int`", `"int"`, long(-7), "", long(1 << 32), "32 bits"},
	{"`long`", `"long"`, long(1 << 40), "", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "64 bits"},
	{"`float`", `"float"`, "\x00\x00\xc0\x3f", "", "", "32 bits; NaN and the infinities are values"},
	{"`double`", `"double"`, doubled(math.Inf(1)), "", "", "64 bits; NaN and the infinities are values"},
	{"`string`", `"string"`, avroText("é"), "", avroText("\xff"), "UTF-8"},
	{"`bytes`", `"bytes"`, avroText("ab"), "", "", ""},
	{"`fixed`", `{"type":"fixed","name":"F","size":2}`, "ab", "", "", ""},
	{"`enum`", `{"type":"enum","name":"E","symbols":["NEW","SENT"]}`, "\x02", "", "\x04", "its symbols, by name"},
	{
		"`decimal` of bytes or fixed", `{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}`,
		avroText("\x30\x39"), "", avroText("\x7f\xff\xff\xff\xff"), decimals,
	},
	{
		"`decimal`, larger", `{"type":"bytes","logicalType":"decimal","precision":40,"scale":10}`, avroText("\x30\x39"),
		"", "", "as above",
	},
	{
		"`big-decimal`", `{"type":"bytes","logicalType":"big-decimal"}`, avroText(avroText("\x30\x39") + long(2)), "",
		avroText(avroText("\x30\x39") + long(39)), fmt.Sprintf(
			"%d digits before the point, a scale of 0 to %d", decode.BigNumericWhole, decode.BigNumericScale),
	},
	{
		"`uuid` of a string", `{"type":"string","logicalType":"uuid"}`,
		avroText("6f1c6d0e-9f0b-4b0e-8f0e-2f0e6d0e9f0b"), "",
		avroText("\xff"), "the text as it is",
	},
	{"`uuid` of a fixed", `{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}`, "0123456789abcdef", "", "", ""},
	{"`date`", `{"type":"int","logicalType":"date"}`, long(19782), "19782", long(decode.MaxDays + 1), years},
	{
		"`time-millis`", `{"type":"int","logicalType":"time-millis"}`, long(47100250), "47100250", long(86400000),
		"within a day",
	},
	{
		"`time-micros`", `{"type":"long","logicalType":"time-micros"}`, long(47100250000), "47100250000", long(-1),
		"within a day",
	},
	{
		"`timestamp-millis`", `{"type":"long","logicalType":"timestamp-millis"}`, long(1772283900250), "1772283900250",
		long(1 << 60), years,
	},
	{
		"`timestamp-micros`", `{"type":"long","logicalType":"timestamp-micros"}`, long(1772283900250000),
		"1772283900250000", long(1 << 62), years,
	},
	{
		"`timestamp-nanos`", `{"type":"long","logicalType":"timestamp-nanos"}`, long(1772283900250000999),
		"1772283900250000999", "", "rounded down to the microsecond",
	},
	{
		"`local-timestamp-millis`", `{"type":"long","logicalType":"local-timestamp-millis"}`, long(1772283900250),
		"1772283900250", long(1 << 60), years,
	},
	{
		"`local-timestamp-micros`", `{"type":"long","logicalType":"local-timestamp-micros"}`, long(1772283900250000),
		"1772283900250000", long(1 << 62), years,
	},
	{
		"`local-timestamp-nanos`", `{"type":"long","logicalType":"local-timestamp-nanos"}`, long(1772283900250000999),
		"1772283900250000999", "", "rounded down to the microsecond",
	},
	{
		"`duration`", `{"type":"fixed","name":"D","size":12,"logicalType":"duration"}`,
		"\x0e\x00\x00\x00\x03\x00\x00\x00\xb5\xef\xd8\x00", "14 months, 3 days, 14217141 ms",
		"\xff\xff\xff\x00\x03\x00\x00\x00\xb5\xef\xd8\x00", intervals,
	},
	{
		"`record`", `{"type":"record","name":"I","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"]}]}`,
		"\x02\x00", "", "", fmt.Sprintf("%d levels; one that contains itself is refused at load", decode.MaxNesting),
	},
	{"`[null, T]`", `["null","int"]`, "\x00", "", "\x04", "null is null"},
	{"`[T]`", `["int"]`, "\x00\x02", "", "", ""},
	{
		"other unions", `["null","string","long"]`, "\x04" + long(5), "", "\x06",
		"the column of the branch is set, the others are null",
	},
	{
		"`array`", `{"type":"array","items":"int"}`, "\x04\x02\x04\x00", "", "\x04\x02",
		"a null array is an empty one: REPEATED has no null",
	},
	{
		"`array` of nullable items", `{"type":"array","items":["null","int"]}`, "\x04\x02\x02\x00\x00", "", "",
		"an item that is null is a RECORD whose `value` is null",
	},
	{
		"`array` of arrays", `{"type":"array","items":{"type":"array","items":"int"}}`, "\x04\x04\x02\x04\x00\x00\x00",
		"", "", "likewise an array of maps",
	},
	{
		"`map`", `{"type":"map","values":"int"}`, "\x02\x02k\x02\x00", "", "\x02\x02\xff\x02\x00",
		"entries in their order, doubles included",
	},
	{"`null`, alone", `"null"`, "", "", "", "no column"},
}

// requested is a column that a contract asks for, on the page.
type requested struct {
	from   string
	schema string
	column decode.Column
	values []string // data; what is shown is the text or number itself
	limits string
}

var columnsWanted = []requested{
	{
		"string, bytes", `"string"`,
		decode.Column{Type: decode.JSON},
		[]string{`{"a":1}`, `{"a":}`},
		fmt.Sprintf("one value in UTF-8, nested at most %d deep; kept as it is", decode.MaxJSONNesting),
	},
	{
		"string, bytes", `"string"`,
		decode.Column{Type: decode.Geography},
		[]string{"POINT(13.4 52.5)", "POINT(1 91)"},
		"WKT of two dimensions or a GeoJSON object; BigQuery judges the shape itself",
	},
	{
		"string, bytes", `"string"`,
		decode.Column{Type: decode.Numeric, Precision: 5, Scale: 2},
		[]string{"0123.40", "1.5e2", "1.234"},
		"nothing is rounded; without a precision BigQuery's own bounds",
	},
	{"string, bytes", `"string"`, decode.Column{Type: decode.BigNumeric}, []string{"1e-38", "1e-39"}, "likewise"},
	{"string, bytes", `"string"`, decode.Column{Type: decode.Date}, []string{"2026-02-28", "2026-02-29"}, years},
	{
		"string, bytes", `"string"`,
		decode.Column{Type: decode.Time},
		[]string{"13:05:00.25", "24:00:00"},
		"digits behind the microsecond are cut off, up to nine",
	},
	{
		"string, bytes", `"string"`, decode.Column{Type: decode.DateTime}, []string{
			"2026-02-28T13:05:00.25", "2026-02-28T13:05:00Z",
		}, years + "; no offset",
	},
	{
		"string, bytes", `"string"`, decode.Column{Type: decode.Timestamp}, []string{
			"2026-02-28T13:05:00+01:00", "2026-02-28 13:05:00", "28.02.2026",
		}, years + "; UTC without an offset, names of zones are refused",
	},
	{
		"string, bytes", `"string"`,
		decode.Column{Type: decode.Interval},
		[]string{"1-2 3 4:5:6.7", "P1Y"},
		intervals + fmt.Sprintf(", %d hours; the canonical form", decode.MaxIntervalHours),
	},
	{"bytes", `"bytes"`, decode.Column{Type: decode.String}, []string{"é", "\xff"}, "UTF-8"},
	{
		"int, long", `"long"`,
		decode.Column{Type: decode.Timestamp, Unit: decode.Seconds},
		[]string{"1772283900", "1125899906842624"},
		years + "; without a unit it is told by the magnitude",
	},
	{
		"int, long", `"long"`,
		decode.Column{Type: decode.DateTime, Unit: decode.Millis},
		[]string{"1772283900250", "1125899906842624"},
		years,
	},
	{
		"int, long", `"long"`,
		decode.Column{Type: decode.Date},
		[]string{"19782", "2932897"},
		"days, or the day of a moment with a unit; " + years,
	},
	{
		"int, long", `"long"`,
		decode.Column{Type: decode.Time, Unit: decode.Seconds},
		[]string{"47100", "86400"},
		"within a day; a unit is needed",
	},
	{"int, long", `"long"`, decode.Column{Type: decode.Numeric, Precision: 3}, []string{"-12", "1000"}, "as for texts"},
	{"int, long", `"long"`, decode.Column{Type: decode.String}, []string{"-12"}, ""},
	{
		"string, bytes, int, long", `"string"`,
		decode.Column{Type: decode.Float},
		[]string{"0.1", "1,5"},
		"the nearest number of 64 bits",
	},
	{
		"decimal", tooWide,
		decode.Column{Type: decode.Numeric, Precision: 5, Scale: 2},
		[]string{"12345", "1234567"},
		"what does not fit is refused: nothing is rounded",
	},
	{"decimal", tooWide, decode.Column{Type: decode.BigNumeric}, []string{"12345"}, "likewise"},
	{"decimal", tooWide, decode.Column{Type: decode.String}, []string{"12345"}, "all digits, up to 76"},
	{"decimal", tooWide, decode.Column{Type: decode.Float}, []string{"12345"}, "the nearest number of 64 bits"},
}

// tooWide is what the JDBC source of Kafka Connect writes for a NUMBER without precision.
const tooWide = `{"type":"bytes","logicalType":"decimal","precision":64,"scale":2}`
