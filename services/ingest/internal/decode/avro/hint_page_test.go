package avro

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// columnX is the column x of a plan.
func columnX(t *testing.T, p decode.Plan) string {
	t.Helper()
	return columnText(decodetest.Payload(t, p).Fields().ByName("x"))
}

// OtherHints writes what other formats make of hints. It is set by the tests outside of the package: JSON imports it.
var OtherHints func(t *testing.T, out *bytes.Buffer, columnX func(*testing.T, decode.Plan) string)

// writeHints writes the section about hints.
func writeHints(t *testing.T, out *bytes.Buffer) {
	t.Helper()
	out.WriteString(ticks(`## Hints of sources

What connectors leave in schemas beside types has a say where 'columns:' has none: 'connect.name' in Avro, as Kafka
Connect's AvroConverter writes it, 'title' in JSON Schema, as its JsonSchemaConverter does. A logical type or a format
in the schema says more and goes before it; fields that 'event_id' and 'event_time' name stay what the schema says, and
so do the branches of a union. 'connect.version', 'connect.type' and 'connect.parameters' have no say. 'hints: ignore'
of a contract makes nothing of all this: for a table that has the columns of the type map already. In 'columns:' the
type INTEGER does so for one whole number, RECORD for one record. A decimal's default that is base64,
such as 'AA==', and that 'connect.default' has too, is read as Kafka Connect meant it.

| Avro, by 'connect.name' | column | a value | without hints | |
|---|---|---|---|---|
`))
	for _, h := range hinted {
		p, err := Compile([]byte(one(h.schema)), decode.Options{Contract: "c", Payload: "p"})
		if err != nil {
			t.Fatal(err)
		}
		column, value, _ := outcome(t, p, h.datum)
		without := "refused at load"
		if p, err = Compile([]byte(one(h.schema)), decode.Options{
			Contract: "c", Payload: "p", IgnoreHints: true,
		}); err == nil {
			without, _, _ = outcome(t, p, h.datum)
		}
		if without == column {
			without = "the same"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", h.what, column, cell(value, true), without, h.note)
	}
	OtherHints(t, out, columnX)
	out.WriteString(ticks(`
CloudEvents say in headers what they are: 'cloudevents: binary' of a contract takes type, identity and time from
'ce_type', 'ce_id' and 'ce_time'. Debezium's envelope is a payload as it is, or its 'after' alone by 'payload_path':
[changes of a database](contracts.md#changes-of-a-database).

`))
}

// words are in quotes that stand for backticks, which a raw string cannot have.
var words = regexp.MustCompile(`'([^'\n]+)'([ ,:;.?\n])`)

func ticks(text string) string { return words.ReplaceAllString(text, "`$1`$2") }
