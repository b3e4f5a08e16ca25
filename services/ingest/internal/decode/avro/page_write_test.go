package avro

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

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
			protoreflect.Int32Kind: "INTEGER", protoreflect.Uint32Kind: "INTEGER", protoreflect.Int64Kind: "INTEGER",
			protoreflect.FloatKind: "FLOAT", protoreflect.DoubleKind: "FLOAT", protoreflect.BoolKind: "BOOL",
			protoreflect.StringKind: "STRING", protoreflect.BytesKind: "BYTES",
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
	m := dynamicpb.NewMessage(decodetest.Payload(t, p))
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

What the values of a payload become. This page is written by the tests of the
decoder (` + "`go test ./services/ingest/internal/decode/avro -run TestPage -update`" + `): every
column, value and refusal on it is what the code makes of an example, and ` + "`make test`" +
		` fails when the page is behind.

A value that its column cannot hold makes the record a dead letter, with the path of the field, the byte and the
reason; the records around it go on. Nothing
is cut off, rounded or replaced, but where this page says so. All columns are NULLABLE or REPEATED.

## Avro

| Avro | column | a value | limits | refused, for example |
|---|---|---|---|---|
`)
	for _, s := range samples {
		p, err := Compile([]byte(recordOf(`{"name":"x","type":`+s.schema+`},{"name":"other","type":"int"}`)),
			decode.Options{Contract: "c", Payload: "p"})
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
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n",
			s.name, cell(column, false), cell(value, true), s.limits, cell(refusal, false))
	}
	out.WriteString(`
An unknown logical type is its underlying type, as Avro asks. The columns of a union's branches are called after
their types, ` + "`string_value`" + `, or after the name of a record,
an enum or a fixed.

A payload is a bare datum unless it says otherwise: ` + "`" + `Obj\x01` + "`" +
		` begins an object container file, with one datum and a schema of its own of at most 256 KiB, and a field that
this schema lacks takes its default; a compressed block
holds at most a hundred times its size and 1 MiB. ` + "`" + `C3 01` + "`" +
		` begins a single-object encoding: it is read where the fingerprint (CRC-64-AVRO) is that of the contract's
schema, else it is refused with both fingerprints. A datum that
begins with these bytes and is neither is read as the datum it is.
`)
	writeFaults(t, &out)
	out.WriteString(`## Columns that a contract asks for

` + "`columns:`" + ` names payload fields and the type to be had in place of the one above. Every value is
checked. An ` + "`.avsc`" + ` that BigQuery's export wrote asks by itself, with the
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
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n",
			a.from, cell(option+"}", true), column, strings.Join(values, "; "), a.limits)
	}
	span := one(`{"type":"record","name":"S","fields":[` +
		`{"name":"start","type":["null",{"type":"int","logicalType":"date"}]},` +
		`{"name":"end","type":["null",{"type":"int","logicalType":"date"}]}]}`)
	column, value, refusal := outcome(t, compileWith(t, span, decode.Columns{"x": {Type: decode.Range}}),
		"\x02\x04\x02\x02")
	if value != "" || refusal == "" {
		t.Errorf("a range that ends before it starts is %s", value)
	}
	fmt.Fprintf(&out, "| record of start and end | `{type: RANGE}` | %s | start after end is refused: %s | both DATE, "+
		"both DATETIME or both TIMESTAMP; a bound that is null is none |\n", column, refusal)
	nested := recordOf(`{"name":"x","type":["null",{"type":"record","name":"S","fields":[` +
		`{"name":"y","type":"long"},{"name":"x","type":["null","S"]}]}]}`)
	column, value, _ = outcome(t, compileWith(t, nested, decode.Columns{"x": {Type: decode.JSON}}),
		"\x02\x02\x02\x04\x00")
	fmt.Fprintf(&out, "| record, map, union | `{type: JSON}` | %s | %s | whole, and of a type that contains itself "+
		"too: nested at most %d deep |\n", column, cell(value, true), decode.MaxJSONNesting)
	numbers := recordOf(`{"name":"x","type":{"type":"array","items":"long"}}`)
	column, value, _ = outcome(t, compileWith(t, numbers, decode.Columns{"x": {Type: decode.JSON}}), "\x04\x02\x03\x00")
	fmt.Fprintf(&out, "| array | `{type: JSON}` | %s | %s | one column where items become no JSON by themselves; of "+
		"texts and records `{type: JSON, whole: true}`, without it each item is a JSON value |\n", column,
		cell(value, true))
	out.WriteString(`
Any field, with whatever is below it, has another name by ` + "`{name: order_id}`" +
		`, beside a type or alone, and none at all by ` + "`{skip: true}`" +
		`: it is read past. That is how a field comes in whose
name BigQuery does not take (` + "`@timestamp`, `order-id`" +
		`; names that differ only in case), whose type it has no column for (a RECORD without fields, a decimal beyond
BIGNUMERIC) or that
contains itself. What is wrong with a schema names each such field, and what to write. A column, a RECORD within an
array and the key and value of a map have names too; a branch of a union
that is skipped is null, and the key and value of a map cannot be.

In a JSON column that is made of a record fields have the names of the schema, a union's value stands by itself,
enums are their symbols, bytes are base64, and what a number cannot
hold is text: decimals, dates and times as RFC 3339 writes them. Of protobuf, fields that are absent are left out,
and a Duration is the text of an INTERVAL. NaN and the infinities are refused.

`)
	writeHints(t, &out)
	out.WriteString(`## Raw

| ` + "`as:`" + ` | column | refused |
|---|---|---|
| bytes | BYTES | nothing |
| string | STRING | what is not UTF-8 |
| json | JSON | what is not one JSON value as above |

## Other formats

[JSON](json.md) and [protobuf](protobuf.md) have pages of their own. ` + "`columns:`" +
		` asks for the same columns of JSON; a protobuf field names another type by an option as well.
`)
	text := filled(out.String())
	if *update {
		if err := os.WriteFile(page, text, 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, text) {
		t.Errorf("docs/types.md is not what the decoder does: run this test with -update")
	}
}

// filled breaks the prose of a page at 120 columns, and leaves tables, headings and lists as they are.
func filled(text string) []byte {
	var out bytes.Buffer
	var words []string
	flush := func() {
		width := 0
		for i, word := range words {
			switch n := utf8.RuneCountInString(word); {
			case i == 0:
				width = n
			case width+1+n > 120:
				out.WriteByte('\n')
				width = n
			default:
				out.WriteByte(' ')
				width += 1 + n
			}
			out.WriteString(word)
		}
		if len(words) > 0 {
			out.WriteByte('\n')
		}
		words = nil
	}
	for line := range strings.Lines(text) {
		if strings.ContainsAny(line[:1], "|#-\n") {
			flush()
			out.WriteString(line)
			continue
		}
		words = append(words, strings.Fields(line)...)
	}
	flush()
	return out.Bytes()
}
