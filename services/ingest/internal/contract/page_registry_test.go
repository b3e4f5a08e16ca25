package contract_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
)

// Each line of "Two ways to read another schema" in docs/registry.md is what becomes of a record of another schema: the
// left column without evolution, the right one with it.
func TestRegistryPage(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/registry.md")
	if err != nil {
		t.Fatal(err)
	}
	const id = `{"name":"id","type":"string"}`
	field := func(kind string) string { return id + `,{"name":"grams","type":` + kind + `}` }
	enum := func(symbols, more string) string {
		return field(`{"type":"enum","name":"E","symbols":[` + symbols + `]` + more + `}`)
	}
	lines := map[string]bool{}
	for _, c := range []struct {
		line          string // how the line begins
		ours, its     string // the fields of the contract's schema, and of the record's
		datum         string
		off, additive string // a refusal begins with an exclamation mark
		elsewhere     bool   // the record's schema is of another subject
		record        string // the name of its record, if it is another
	}{
		{
			line: "has fields that the contract has not",
			ours: v1, its: v1 + `,{"name":"new","type":"int"}`,
			datum: "\x02a\x02\x06", off: "id=a grams=1", additive: "id=a grams=1 new=3",
		},
		{
			line: "lacks fields of the contract",
			ours: id + `,{"name":"grams","type":"int","default":7}`, its: id,
			datum: "\x02a", off: "id=a grams=7", additive: "id=a",
		},
		{
			line: "lacks fields of the contract",
			ours: field(`["null","int"]`), its: id,
			datum: "\x02a", off: "id=a", additive: "id=a",
		},
		{
			line: "lacks fields of the contract",
			ours: v1, its: id,
			datum: "\x02a", off: "!grams", additive: "id=a",
		},
		{
			line: "has null where the contract has none",
			ours: v1, its: field(`["null","int"]`),
			datum: "\x02a\x00", off: "!null", additive: "id=a",
		},
		{
			line: "has them in another order",
			ours: v1, its: `{"name":"grams","type":"int"},` + id,
			datum: "\x02\x02a", off: "id=a grams=1", additive: "id=a grams=1",
		},
		{
			line:  "has them in another order",
			ours:  id + `,{"name":"grams","aliases":["weight"],"type":"int"}`,
			its:   id + `,{"name":"weight","type":"int"}`,
			datum: "\x02a\x02", off: "id=a grams=1", additive: "id=a grams=1",
		},
		{
			line: "has `int` for `long`",
			ours: field(`"long"`), its: field(`"int"`),
			datum: "\x02a\x02", off: "id=a grams=1", additive: "id=a grams=1",
		},
		{
			line: "has `long` for `int`",
			ours: field(`"int"`), its: field(`"long"`),
			datum: "\x02a\x02", off: "!long cannot be read", additive: "id=a grams=1",
		},
		{
			line: "has further symbols of an enum",
			ours: enum(`"A","B"`, `,"default":"B"`), its: enum(`"A","C"`, ""),
			datum: "\x02a\x02", off: "id=a grams=B", additive: "id=a grams=C",
		},
		{
			line: "has further symbols of an enum",
			ours: enum(`"A"`, ""), its: enum(`"A","C"`, ""),
			datum: "\x02a\x02", off: "!symbol", additive: "id=a grams=C",
		},
		{
			line: "has another type",
			ours: v1, its: field(`"string"`),
			datum: "\x02a\x02x", off: "!cannot be read", additive: "!cannot be read",
		},
		{
			line: "has another type",
			ours: field(`["null","int"]`), its: field(`["null","string"]`),
			datum: "\x02a\x00", off: "id=a", additive: "id=a",
		},
		{
			line: "has several types where",
			ours: v1, its: field(`["int","string"]`),
			datum: "\x02a\x02\x02x", off: "!cannot be read", additive: "!cannot be read",
		},
		{
			line: "has several types where",
			ours: v1, its: field(`["int","string"]`),
			datum: "\x02a\x00\x02", off: "id=a grams=1", additive: "id=a grams=1",
		},
		{
			line: "has further branches",
			ours: field(`["int","string"]`), its: field(`["int","boolean","string"]`),
			datum: "\x02a\x02\x01", off: "!payload.grams", additive: "id=a grams=\x18\x01",
		},
		{
			line: "has fields that BigQuery has no columns for",
			ours: v1, its: v1 + `,{"name":"e","type":{"type":"record","name":"Q","fields":[]}}`,
			datum: "\x02a\x02", off: "id=a grams=1", additive: "!no columns",
		},
		{
			line: "is no version of the subject",
			ours: v1, its: v1 + `,{"name":"new","type":"int"}`,
			datum: "\x02a\x02\x06", off: "id=a grams=1", additive: "id=a grams=1", elsewhere: true,
		},
		{
			line: "is no version of the subject",
			ours: v1, its: v1,
			datum: "\x02a\x02", off: "!is called returns", additive: "!is called returns", elsewhere: true,
			record: "returns",
		},
	} {
		if !strings.Contains(string(page), "\n- **"+c.line) {
			t.Errorf("the page has no line %s", c.line)
		}
		lines[c.line] = true
		for evolution, want := range map[string]string{"off": c.off, "additive": c.additive} {
			s := &shelf{}
			s.put("parcels-value", 3, c.ours)
			d := open(t, s, func(conf *contract.Config) { conf.Evolution = evolution })
			name := "parcels"
			if c.record != "" {
				name = c.record
			}
			subject := "parcels-value"
			if c.elsewhere {
				subject = "others-value"
			}
			s.putText(subject, 8, "avro", `{"type":"record","name":"`+name+`","fields":[`+c.its+`]}`)
			topic := d.fork()
			got, grown := d.take(topic, framed(8, c.datum))
			if grown {
				got, _ = d.take(d.fork(), framed(8, c.datum))
			}
			sorted := func(row string) string { // a row has its fields in the order of its record
				fields := strings.Fields(row)
				slices.Sort(fields)
				return strings.Join(fields, " ")
			}
			refusal, refused := strings.CutPrefix(want, "!")
			is := strings.HasPrefix(got, "parcels-value: ")
			if is != refused || refused && !strings.Contains(got, refusal) ||
				!refused && sorted(got) != sorted(want) {
				t.Errorf("%s, %s: %s, want %s", c.line, evolution, got, want)
			}
		}
	}
	_, list, _ := strings.Cut(string(page), "\n## Two ways to read another schema\n\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.SplitSeq(strings.ReplaceAll(list, "\n  ", " "), "\n") {
		known := false
		for begin := range lines {
			known = known || strings.HasPrefix(line, "- **"+begin)
		}
		if !known {
			t.Errorf("no record is tried for: %s", line)
		}
	}
}
