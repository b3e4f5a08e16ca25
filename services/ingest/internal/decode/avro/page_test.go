package avro

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
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
	decimals = fmt.Sprintf("up to %d digits before the point and %d behind it NUMERIC, up to %d and %d BIGNUMERIC; more is refused at load",
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
	{"`decimal` of bytes or fixed", `{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}`, avroText("\x30\x39"), "", avroText("\x7f\xff\xff\xff\xff"), decimals},
	{"`decimal`, larger", `{"type":"bytes","logicalType":"decimal","precision":40,"scale":10}`, avroText("\x30\x39"), "", "", "as above"},
	{"`big-decimal`", `{"type":"bytes","logicalType":"big-decimal"}`, avroText(avroText("\x30\x39") + long(2)), "", avroText(avroText("\x30\x39") + long(39)), fmt.Sprintf("%d digits before the point, a scale of 0 to %d", decode.BigNumericWhole, decode.BigNumericScale)},
	{"`uuid` of a string", `{"type":"string","logicalType":"uuid"}`, avroText("6f1c6d0e-9f0b-4b0e-8f0e-2f0e6d0e9f0b"), "", avroText("\xff"), "the text as it is"},
	{"`uuid` of a fixed", `{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}`, "0123456789abcdef", "", "", ""},
	{"`date`", `{"type":"int","logicalType":"date"}`, long(19782), "19782", long(decode.MaxDays + 1), years},
	{"`time-millis`", `{"type":"int","logicalType":"time-millis"}`, long(47100250), "47100250", long(86400000), "within a day"},
	{"`time-micros`", `{"type":"long","logicalType":"time-micros"}`, long(47100250000), "47100250000", long(-1), "within a day"},
	{"`timestamp-millis`", `{"type":"long","logicalType":"timestamp-millis"}`, long(1772283900250), "1772283900250", long(1 << 60), years},
	{"`timestamp-micros`", `{"type":"long","logicalType":"timestamp-micros"}`, long(1772283900250000), "1772283900250000", long(1 << 62), years},
	{"`timestamp-nanos`", `{"type":"long","logicalType":"timestamp-nanos"}`, long(1772283900250000999), "1772283900250000999", "", "rounded down to the microsecond"},
	{"`local-timestamp-millis`", `{"type":"long","logicalType":"local-timestamp-millis"}`, long(1772283900250), "1772283900250", long(1 << 60), years},
	{"`local-timestamp-micros`", `{"type":"long","logicalType":"local-timestamp-micros"}`, long(1772283900250000), "1772283900250000", long(1 << 62), years},
	{"`local-timestamp-nanos`", `{"type":"long","logicalType":"local-timestamp-nanos"}`, long(1772283900250000999), "1772283900250000999", "", "rounded down to the microsecond"},
	{"`duration`", `{"type":"fixed","name":"D","size":12,"logicalType":"duration"}`, "\x0e\x00\x00\x00\x03\x00\x00\x00\xb5\xef\xd8\x00", "14 months, 3 days, 14217141 ms", "\xff\xff\xff\x00\x03\x00\x00\x00\xb5\xef\xd8\x00", intervals},
	{"`record`", `{"type":"record","name":"I","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"]}]}`, "\x02\x00", "", "", fmt.Sprintf("%d levels; one that contains itself is refused at load", decode.MaxNesting)},
	{"`[null, T]`", `["null","int"]`, "\x00", "", "\x04", "null is null"},
	{"`[T]`", `["int"]`, "\x00\x02", "", "", ""},
	{"other unions", `["null","string","long"]`, "\x04" + long(5), "", "\x06", "the column of the branch is set, the others are null"},
	{"`array`", `{"type":"array","items":"int"}`, "\x04\x02\x04\x00", "", "\x04\x02", "a null array is an empty one: REPEATED has no null"},
	{"`array` of nullable items", `{"type":"array","items":["null","int"]}`, "\x04\x02\x02\x00\x00", "", "", "an item that is null is a RECORD whose `value` is null"},
	{"`array` of arrays", `{"type":"array","items":{"type":"array","items":"int"}}`, "\x04\x04\x02\x04\x00\x00\x00", "", "", "likewise an array of maps"},
	{"`map`", `{"type":"map","values":"int"}`, "\x02\x02k\x02\x00", "", "\x02\x02\xff\x02\x00", "entries in their order, doubles included"},
	{"`null`, alone", `"null"`, "", "", "", "no column"},
}

// asked is a column that a contract asks for, on the page.
type asked struct {
	from   string
	schema string
	column decode.Column
	values []string // data; what is shown is the text or number itself
	limits string
}

var columnsAsked = []asked{
	{"string, bytes", `"string"`, decode.Column{Type: decode.JSON}, []string{`{"a":1}`, `{"a":}`}, fmt.Sprintf("one value in UTF-8, nested at most %d deep; kept as it is", decode.MaxJSONNesting)},
	{"string, bytes", `"string"`, decode.Column{Type: decode.Geography}, []string{"POINT(13.4 52.5)", "POINT(1 91)"}, "WKT of two dimensions or a GeoJSON object; BigQuery judges the shape itself"},
	{"string, bytes", `"string"`, decode.Column{Type: decode.Numeric, Precision: 5, Scale: 2}, []string{"0123.40", "1.5e2", "1.234"}, "nothing is rounded; without a precision BigQuery's own bounds"},
	{"string, bytes", `"string"`, decode.Column{Type: decode.BigNumeric}, []string{"1e-38", "1e-39"}, "likewise"},
	{"string, bytes", `"string"`, decode.Column{Type: decode.Date}, []string{"2026-02-28", "2026-02-29"}, years},
	{"string, bytes", `"string"`, decode.Column{Type: decode.Time}, []string{"13:05:00.25", "24:00:00"}, "digits behind the microsecond are cut off, up to nine"},
	{"string, bytes", `"string"`, decode.Column{Type: decode.DateTime}, []string{"2026-02-28T13:05:00.25", "2026-02-28T13:05:00Z"}, years + "; no offset"},
	{"string, bytes", `"string"`, decode.Column{Type: decode.Timestamp}, []string{"2026-02-28T13:05:00+01:00", "2026-02-28 13:05:00", "28.02.2026"}, years + "; UTC without an offset, names of zones are refused"},
	{"string, bytes", `"string"`, decode.Column{Type: decode.Interval}, []string{"1-2 3 4:5:6.7", "P1Y"}, intervals + fmt.Sprintf(", %d hours; the canonical form", decode.MaxIntervalHours)},
	{"bytes", `"bytes"`, decode.Column{Type: decode.String}, []string{"é", "\xff"}, "UTF-8"},
	{"int, long", `"long"`, decode.Column{Type: decode.Timestamp, Unit: decode.Seconds}, []string{"1772283900", "1125899906842624"}, years + "; without a unit it is told by the magnitude"},
	{"int, long", `"long"`, decode.Column{Type: decode.DateTime, Unit: decode.Millis}, []string{"1772283900250", "1125899906842624"}, years},
	{"int, long", `"long"`, decode.Column{Type: decode.Date}, []string{"19782", "2932897"}, "days, or the day of a moment with a unit; " + years},
	{"int, long", `"long"`, decode.Column{Type: decode.Time, Unit: decode.Seconds}, []string{"47100", "86400"}, "within a day; a unit is needed"},
	{"int, long", `"long"`, decode.Column{Type: decode.Numeric, Precision: 3}, []string{"-12", "1000"}, "as for texts"},
	{"int, long", `"long"`, decode.Column{Type: decode.String}, []string{"-12"}, ""},
	{"string, bytes, int, long", `"string"`, decode.Column{Type: decode.Float}, []string{"0.1", "1,5"}, "the nearest number of 64 bits"},
	{"decimal", tooWide, decode.Column{Type: decode.Numeric, Precision: 5, Scale: 2}, []string{"12345", "1234567"}, "what does not fit is refused: nothing is rounded"},
	{"decimal", tooWide, decode.Column{Type: decode.BigNumeric}, []string{"12345"}, "likewise"},
	{"decimal", tooWide, decode.Column{Type: decode.String}, []string{"12345"}, "all digits, up to 76"},
	{"decimal", tooWide, decode.Column{Type: decode.Float}, []string{"12345"}, "the nearest number of 64 bits"},
}

// tooWide is what the JDBC source of Kafka Connect writes for a NUMBER without precision.
const tooWide = `{"type":"bytes","logicalType":"decimal","precision":64,"scale":2}`

// columnText is a column as SQL would have it.
func columnText(f protoreflect.FieldDescriptor) string {
	option := proto.GetExtension(f.Options(), columnv1.E_Column).(*columnv1.Column)
	var text string
	switch t := option.GetType(); {
	case t != columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED:
		text = strings.TrimPrefix(t.String(), "COLUMN_TYPE_")
		if option.GetPrecision() > 0 {
			text += fmt.Sprintf("(%d, %d)", option.GetPrecision(), option.GetScale())
		}
	case f.Message() != nil:
		var parts []string
		for i := range f.Message().Fields().Len() {
			part := f.Message().Fields().Get(i)
			parts = append(parts, string(part.Name())+" "+columnText(part))
		}
		text = "RECORD(" + strings.Join(parts, ", ") + ")"
	default:
		text = map[protoreflect.Kind]string{
			protoreflect.Int32Kind: "INTEGER", protoreflect.Uint32Kind: "INTEGER", protoreflect.Int64Kind: "INTEGER", protoreflect.FloatKind: "FLOAT", protoreflect.DoubleKind: "FLOAT",
			protoreflect.BoolKind: "BOOL", protoreflect.StringKind: "STRING", protoreflect.BytesKind: "BYTES",
		}[f.Kind()]
	}
	if f.IsList() {
		return "REPEATED " + text
	}
	return text
}

// shown is a value as BigQuery shows it.
func shown(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	if f.IsList() && v.IsValid() {
		if list, ok := v.Interface().(protoreflect.List); ok {
			var items []string
			for i := range list.Len() {
				items = append(items, shown(f, list.Get(i)))
			}
			return "[" + strings.Join(items, ", ") + "]"
		}
	}
	if f.Message() != nil {
		var parts []string
		for i := range f.Message().Fields().Len() {
			part := f.Message().Fields().Get(i)
			value := "null"
			if v.Message().Has(part) || part.IsList() {
				value = shown(part, v.Message().Get(part))
			}
			parts = append(parts, string(part.Name())+": "+value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	switch proto.GetExtension(f.Options(), columnv1.E_Column).(*columnv1.Column).GetType() {
	case columnv1.ColumnType_COLUMN_TYPE_DATE:
		return time.Unix(v.Int()*86400, 0).UTC().Format("2006-01-02")
	case columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP:
		return time.UnixMicro(v.Int()).UTC().Format("2006-01-02 15:04:05.000000 UTC")
	}
	if f.Kind() == protoreflect.BytesKind {
		return fmt.Sprintf("b%q", v.Bytes())
	}
	return fmt.Sprint(v.Interface())
}

// outcome is the column x of a plan and what a datum becomes in it, or why it is refused.
func outcome(t *testing.T, p *Plan, datum string) (column, value, refusal string) {
	t.Helper()
	m := dynamicpb.NewMessage(payloadMessage(t, p))
	f := m.Descriptor().Fields().ByName("x")
	if f == nil {
		return "none", "", ""
	}
	row, err := p.NewDecoder().Append(nil, []byte(datum))
	if e, ok := errors.AsType[*decode.Error](err); ok {
		return columnText(f), "", e.Reason
	}
	if err := proto.Unmarshal(row, m); err != nil {
		t.Fatal(err)
	}
	if !m.Has(f) {
		return columnText(f), "null", ""
	}
	return columnText(f), shown(f, m.Get(f)), ""
}

// cell makes a text fit for a table.
func cell(text string, code bool) string {
	text = strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
	if code && text != "" {
		return "`" + text + "`"
	}
	return text
}

// TestPage holds docs/types.md to what the code does: every column, value and refusal on it is made by the decoder.
func TestPage(t *testing.T) {
	var out bytes.Buffer
	out.WriteString(`# Types

What the values of a payload become. This page is written by the tests of the decoder (` + "`go test ./services/ingest/internal/decode/avro -run TestPage -update`" + `): every
column, value and refusal on it is what the code makes of an example, and ` + "`make test`" + ` fails when the page is behind.

A value that its column cannot hold makes the record a dead letter, with the path of the field, the byte and the reason; the records around it go on. Nothing
is cut off, rounded or replaced, but where this page says so. All columns are NULLABLE or REPEATED.

## Avro

| Avro | column | a value | limits | refused, for example |
|---|---|---|---|---|
`)
	for _, s := range samples {
		p, err := Compile([]byte(recordOf(`{"name":"x","type":`+s.schema+`},{"name":"other","type":"int"}`)), decode.Options{Contract: "c", Payload: "p"})
		if err != nil {
			t.Fatal(err)
		}
		column, value, refusal := outcome(t, p, s.good+"\x00")
		if refusal != "" {
			t.Errorf("%s: %s", s.name, refusal)
		}
		if s.bad != "" {
			if _, value, refusal = outcome(t, p, s.bad+"\x00"); refusal == "" {
				t.Errorf("%s: %q is not refused but %s", s.name, s.bad, value)
			}
			_, value, _ = outcome(t, p, s.good+"\x00")
		}
		if s.shown != "" {
			value = s.shown + " is " + value
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", s.name, cell(column, false), cell(value, true), s.limits, cell(refusal, false))
	}
	out.WriteString(`
An unknown logical type is its underlying type, as Avro asks. The columns of a union's branches are called after their types, ` + "`string_value`" + `, or after the name of a record,
an enum or a fixed.

A payload is a bare datum unless it says otherwise: ` + "`" + `Obj\x01` + "`" + ` begins an object container file, with one datum and a schema of its own of at most 256 KiB, and a field that this schema lacks takes its default; a compressed block
holds at most a hundred times its size and 1 MiB. ` + "`" + `C3 01` + "`" + ` begins a single-object encoding: it is read where the fingerprint (CRC-64-AVRO) is that of the contract's schema, else it is refused with both fingerprints. A datum that
begins with these bytes and is neither is read as the datum it is.

## Columns that a contract asks for

` + "`columns:`" + ` names payload fields and the type to be had in place of the one above. Every value is checked. An ` + "`.avsc`" + ` that BigQuery's export wrote asks by itself, with the
property ` + "`sqlType`" + `.

| from | ` + "`columns:`" + ` | column | values | limits |
|---|---|---|---|---|
`)
	for _, a := range columnsAsked {
		p := compileWith(t, one(a.schema), decode.Columns{"x": a.column})
		option := "{type: " + a.column.Type.String()
		if a.column.Unit != decode.Auto {
			option += ", unit: " + map[decode.Unit]string{decode.Seconds: "s", decode.Millis: "ms"}[a.column.Unit]
		}
		if a.column.Precision > 0 {
			option += fmt.Sprintf(", precision: %d, scale: %d", a.column.Precision, a.column.Scale)
		}
		var values []string
		var column string
		for _, v := range a.values {
			datum := avroText(v)
			if a.schema == `"long"` {
				var n int64
				if _, err := fmt.Sscan(v, &n); err != nil {
					t.Fatal(err)
				}
				datum = long(n)
			}
			if a.schema == tooWide {
				n, ok := new(big.Int).SetString(v, 10)
				if !ok {
					t.Fatal(v)
				}
				datum, v = avroText(string(twosComplement(n, 4))), v[:len(v)-2]+"."+v[len(v)-2:]
			}
			var value, refusal string
			column, value, refusal = outcome(t, p, datum)
			text := cell(strings.ToValidUTF8(v, "\\xff"), true)
			switch {
			case refusal != "":
				text += " is refused: " + cell(strings.ReplaceAll(refusal, "`", "'"), false)
			case value == v:
				text += " as it is"
			default:
				text += " becomes " + cell(value, true)
			}
			values = append(values, text)
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", a.from, cell(option+"}", true), column, strings.Join(values, "; "), a.limits)
	}
	span := one(`{"type":"record","name":"S","fields":[{"name":"start","type":["null",{"type":"int","logicalType":"date"}]},{"name":"end","type":["null",{"type":"int","logicalType":"date"}]}]}`)
	column, value, refusal := outcome(t, compileWith(t, span, decode.Columns{"x": {Type: decode.Range}}), "\x02\x04\x02\x02")
	if value != "" || refusal == "" {
		t.Errorf("a range that ends before it starts is %s", value)
	}
	fmt.Fprintf(&out, "| record of start and end | `{type: RANGE}` | %s | start after end is refused: %s | both DATE, both DATETIME or both TIMESTAMP; a bound that is null is none |\n", column, refusal)
	nested := recordOf(`{"name":"x","type":["null",{"type":"record","name":"S","fields":[{"name":"y","type":"long"},{"name":"x","type":["null","S"]}]}]}`)
	column, value, _ = outcome(t, compileWith(t, nested, decode.Columns{"x": {Type: decode.JSON}}), "\x02\x02\x02\x04\x00")
	fmt.Fprintf(&out, "| record, map, union | `{type: JSON}` | %s | %s | whole, and of a type that contains itself too: nested at most %d deep |\n", column, cell(value, true), decode.MaxJSONNesting)
	out.WriteString(`
Any field, with whatever is below it, has another name by ` + "`{name: order_id}`" + `, beside a type or alone, and none at all by ` + "`{skip: true}`" + `: it is read past. That is how a field comes in whose
name BigQuery does not take (` + "`@timestamp`, `order-id`" + `; names that differ only in case), whose type it has no column for (a RECORD without fields, a decimal beyond BIGNUMERIC) or that
contains itself. What is wrong with a schema names each such field, and what to write. A column, a RECORD within an array and the key and value of a map have names too; a branch of a union
that is skipped is null, and the key and value of a map cannot be.

In a JSON column that is made of a record fields have the names of the schema, a union's value stands by itself, enums are their symbols, bytes are base64, and what a number cannot
hold is text: decimals, dates and times as RFC 3339 writes them. Of protobuf, fields that are absent are left out, and a Duration is the text of an INTERVAL. NaN and the infinities are refused.

`)
	writeHints(t, &out)
	out.WriteString(`## Raw

| ` + "`as:`" + ` | column | refused |
|---|---|---|
| bytes | BYTES | nothing |
| string | STRING | what is not UTF-8 |
| json | JSON | what is not one JSON value as above |

## Other formats

[JSON](json.md) and [protobuf](protobuf.md) have pages of their own. ` + "`columns:`" + ` asks for the same columns of JSON; a protobuf field names another type by an option as well.
`)
	if *update {
		if err := os.WriteFile(page, out.Bytes(), 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, out.Bytes()) {
		t.Errorf("docs/types.md is not what the decoder does: run this test with -update")
	}
}
