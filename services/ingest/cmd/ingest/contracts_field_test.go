package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fieldContract copies a folder of testdata/field, a schema as it is found in the field, and adds lines to its
// contract.
func fieldContract(t *testing.T, name, lines string) (config, samples string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "field", name))); err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(dir, "ingest.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if lines != "" {
		text = fmt.Appendf(text, "  %s\n", lines)
	}
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return config, filepath.Join(dir, "samples.b64")
}

// Schemas of the field, each with samples: what becomes of them as they are, and with the columns that their contract
// may ask for. What is refused names the way out; what is invalid and not used is a warning.
func TestContractsOfTheField(t *testing.T) {
	for _, c := range []struct {
		name, columns string
		payloads      []string // of the rows
		says          string   // on standard error
		code          int
	}{
		{"dec64", "", []string{`{"amount":"-123.45"}`}, "", 0},
		{"dec64", "hints: ignore", nil, `columns: {"amount": {type: STRING}, or {skip: true}}`, 1},
		{
			"dec64", "columns: {amount: {type: NUMERIC, precision: 31, scale: 2}}",
			[]string{`{"amount":"-123.45"}`},
			"",
			0,
		},
		{
			"dec64", "columns: {amount: {type: NUMERIC, precision: 4, scale: 2}}", nil,
			"does not fit 2 digits before the point", 1,
		},
		{"dec64", "columns: {amount: {type: BIGNUMERIC}}", []string{`{"amount":"-123.45"}`}, "", 0},
		{"dec64", "columns: {amount: {type: STRING}}", []string{`{"amount":"-123.45"}`}, "", 0},
		{"dec64", "columns: {amount: {type: FLOAT}}", []string{`{"amount":-123.45}`}, "", 0},
		{"dec64", "columns: {amount: {type: DATE}}", nil, "a decimal does not become DATE", 1},
		{"decnoprec", "", []string{`{"amount":"z8c="}`}, "warning: R.amount: a decimal without precision", 0},
		{"decscale", "", []string{`{"amount":"z8c="}`}, "warning: R.amount: a decimal of precision 4 and scale 5", 0},
		{"decneg", "", []string{`{"amount":"z8c="}`}, "warning: R.amount: a decimal of precision 10 and scale -2", 0},
		{"defaultbad", "", []string{`{"t":1}`}, `warning: R.t: its default "0" is no value of its type`, 0},
		{"defaultlong", "", []string{`{"t":null}`}, `warning: R.t: its default "null" is no value of its type`, 0},
		{"nestedtype", "", []string{`{"t":"1970-01-01 00:00:01 UTC"}`}, "", 0},
		{"symhyphen", "", []string{`{"t":"A-B"}`}, `warning: E: the symbol "A-B" is no name by Avro's rules`, 0},
		{"j_at", "", nil, `columns: {"@timestamp": {name: timestamp}, or {skip: true}}`, 1},
		{"j_at", `columns: {"@timestamp": {name: timestamp}}`, []string{`{"timestamp":null,"x":1}`}, "", 0},
		{"j_at", `columns: {"@timestamp": {skip: true}}`, []string{`{"x":1}`}, "", 0},
		{"j_hyphen", "", nil, `columns: {"order-id": {name: order_id}, or {skip: true}}`, 1},
		{"j_hyphen", "columns: {order-id: {name: order_id}}", []string{`{"order_id":1,"x":null}`}, "", 0},
		{"j_hyphen", "columns: {order-id: {name: x}}", nil, "payload.x: another column has this name", 1},
		{"dup_case", "", nil, `columns: {"id": {name: id_2}, or {skip: true}}`, 1},
		{"dup_case", "columns: {Id: {name: number}}", []string{`{"number":1,"id":2}`}, "", 0},
		{"dup_case", "columns: {id: {skip: true}}", []string{`{"Id":1}`}, "", 0},
		{"j_extra_clash2", "", nil, "payload._extra: another column has this name but for its case", 1},
		{"j_extra_clash2", "columns: {_EXTRA: {name: extra}}", []string{`{"extra":1,"_extra":{"b":2}}`}, "", 0},
		{"j_extra_clash2", "columns: {_extra: {name: rest}}", []string{`{"_EXTRA":1,"rest":{"b":2}}`}, "", 0},
		{"recurse", "", nil, `columns: {"next": {type: JSON}, or {skip: true}}`, 1},
		{"recurse", "columns: {next: {type: JSON}}", []string{`{"id":1,"next":null}`}, "", 0},
		{"recurse", "columns: {next: {skip: true}}", []string{`{"id":1}`}, "", 0},
		{"emptynested", "", nil, `columns: {"e": {type: JSON}, or {skip: true}}`, 1},
		{"emptynested", "columns: {e: {type: JSON}}", []string{`{"e":{},"i":1}`}, "", 0},
		{"emptynested", "columns: {e: {skip: true}}", []string{`{"i":1}`}, "", 0},
		{"topunion", "", []string{`{"x":1}`}, "the payload is null, a tombstone (tombstones: ignore)", 0},
		{"topunion", "tombstones: row", []string{`{"x":1}`, `null`}, "", 0},
		// What other sinks were asked for: one name for every type, a branch without fields, a schema that leads back
		// to itself.
		{
			"redefined", "",
			[]string{`{"a":{"x":1},"b":{"y":"z"}}`},
			"warning: io.confluent.connect.avro.ConnectDefault: the type is defined more than once", 0,
		},
		{"emptybranch", "", nil, `columns: {"change.NothingChanged_value": {type: JSON}, or {skip: true}}`, 1},
		{
			"emptybranch", "columns: {change.NothingChanged_value: {type: JSON}}",
			[]string{
				`{"change":{"NothingChanged_value":{},"Renamed_value":null}}`,
				`{"change":{"NothingChanged_value":null,"Renamed_value":{"to":"n"}}}`,
				`{"change":null}`,
			},
			"", 0,
		},
		{
			"emptybranch", "columns: {change.NothingChanged_value: {skip: true}}",
			[]string{`{"change":null}`, `{"change":{"Renamed_value":{"to":"n"}}}`, `{"change":null}`},
			"", 0,
		},
		{"refloop", "", nil, `columns: {"filter.condition": {type: JSON}, or {skip: true}}`, 1},
		{
			"refloop", "columns: {filter.condition: {type: JSON}}",
			[]string{`{"filter":[{"operator":"NOT","condition":{"operator":"EXISTS"}}]}`},
			"", 0,
		},
		// What other readers of Avro were asked for: a logical type beside the type of its field, comments and a byte
		// order mark, a precision in quotes, and names that are none by Avro's rules.
		{
			"logicalbeside", "",
			[]string{`{"at":1000,"cost":"ew=="}`},
			"warning: R.at: logicalType timestamp-millis is beside the type and not in it", 0,
		},
		{
			"logicalbeside", "columns: {at: {type: TIMESTAMP, unit: ms}}",
			[]string{`{"at":"1970-01-01 00:00:01 UTC","cost":"ew=="}`},
			"R.cost: logicalType decimal is beside the type", 0,
		},
		{"commented", "", []string{`{"x":1}`}, "", 0},
		{"j_bom", "", []string{`{"x":1}`}, "", 0},
		{
			"decquoted", "",
			[]string{`{"cost":"1.23"}`},
			`warning: R.cost: the precision "4" is in quotes; it is read as the number`, 0,
		},
		{"names", "", nil, `columns: {"größe": {name: gr__e}, or {skip: true}}`, 1},
		{
			"names", `columns: {"col ": {name: col}, größe: {name: groesse}, ".f1": {skip: true}}`,
			[]string{`{"col":1,"groesse":2}`},
			`the name "10019_Orders" is no name by Avro's rules`, 0,
		},
		// Types without a namespace within one, by an empty one, a null or a dot before the name; and
		// schemas that are no record, whose way out is another format.
		{
			"namespaces", "",
			[]string{`{"a":{"x":1},"b":{"x":2},"c":{"y":3},"d":{"y":4},"e":"A","u":{"app":"a"}}`},
			"is no name by Avro's rules", 0,
		},
		{"topstring", "", nil, "the schema is of type string, a payload is a record; format: raw", 1},
		{"toparray", "", nil, "the schema is of type array, a payload is a record; format: raw", 1},
		{"topmap", "", nil, "the schema is of type map, a payload is a record; format: raw", 1},
		{"topenum", "", nil, "the schema is of type enum, a payload is a record; format: raw", 1},
		// What generators of JSON Schema write for what may be null, for enums and for constants.
		{
			"j_generated", "",
			[]string{
				`{"inner":{"a":"x"},"grade":"Normal","kind":"order","size":3,"state":"ON","color":1}`,
				`{"inner":null,"grade":null,"kind":"order","size":"L","state":"OFF","color":0}`,
			},
			"", 0,
		},
		// A payload that is one of several objects, and one with the schema beside it, as Kafka Connect's JsonConverter
		// writes them.
		{"j_umbrella", "", nil, `alternatives of the schema have it with different types, long and string`, 1},
		{
			"j_umbrella", "columns: {size: {type: JSON}}",
			[]string{`{"lunch":"soup","size":2,"snow":null}`, `{"lunch":null,"size":"deep","snow":0.5}`},
			"", 0,
		},
		{
			"j_connectjson", "payload_path: payload",
			[]string{`{"id":1,"at":"2026-02-28 13:05:00.25 UTC","note":null}`, `null`},
			"", 0,
		},
		// What generators write beside: a type named by its alias, a reference to an anchor, and alternatives behind a
		// reference or joined by allOf.
		{
			"aliasref", "",
			[]string{`{"a":{"x":1},"b":{"x":2}}`},
			`warning: n.R.b: "B" is an alias of the type n.A, which is read in its place`, 0,
		},
		{"j_anchor", "", []string{`{"a":{"x":1},"b":{"x":2}}`}, "payload.b.y at byte 24: the schema does not know", 1},
		{
			"j_oneofs", "",
			[]string{`{"a":"1","b":null,"c":"2","d":null}`, `{"a":null,"b":"1","c":null,"d":"2"}`},
			"", 0,
		},
		// What a schema has twice: a symbol, a field, and a union without branches.
		{
			"twice", "",
			[]string{
				`{"state":"ON","note":"a","note_2":1,"detail":null}`, `{"state":"OFF","note":"b","note_2":2,"detail":null}`,
			},
			`warning: R: the field "note" is there twice; this one is read as note_2`, 0,
		},
		{
			"twice", "columns: {note_2: {name: count}, note: {skip: true}, detail: {skip: true}}",
			[]string{`{"state":"ON","count":1}`, `{"state":"OFF","count":2}`},
			`warning: State: the symbol "ON" is there twice; both are read as it`, 0,
		},
		{
			"j_twice", "",
			[]string{`{"state":"ON","note":1,"detail":{"any":true}}`},
			`warning: properties: "note" is there twice; the last one is read`, 0,
		},
		{
			"j_connectdec", "", []string{`{"a":"1.23","i":null}`, `{"a":"12345678901234567000","i":5}`}, "", 0,
		},
		{
			"j_connectdec", "columns: {a: {type: NUMERIC}}",
			[]string{`{"a":"1.23","i":null}`, `{"a":"12345678901234567000","i":5}`},
			"", 0,
		},
	} {
		config, samples := fieldContract(t, c.name, c.columns)
		code, out, errs := commandLine(t, "contracts", "test", "-c", config, "--lines", "--base64", "--compact",
			samples)
		if code != c.code || !strings.Contains(errs, c.says) || c.says == "" && strings.Contains(errs, "warning") {
			t.Errorf("%s %s: exit status %d, want %d\n%s%s", c.name, c.columns, code, c.code, out, errs)
			continue
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if c.name == "dec64" && c.code == 0 {
			lines = lines[1:2] // the others are numbers at the bounds
		}
		if c.payloads == nil && c.code != 0 {
			continue
		}
		var got []string
		for _, line := range lines {
			var row struct{ Payload json.RawMessage }
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatalf("%s: %v in %s", c.name, err, line)
			}
			got = append(got, string(row.Payload))
		}
		if strings.Join(got, " ") != strings.Join(c.payloads, " ") {
			t.Errorf("%s %s: %s, want %s", c.name, c.columns, got, c.payloads)
		}
	}
}

// Samples of a topic of several types say their type by their schema, as records on the way do.
func TestSamplesOfSeveralTypes(t *testing.T) {
	config, samples := fieldContract(t, "severaltypes", "")
	read := func(args ...string) (code int, rows []string, errs string) {
		code, out, errs := commandLine(t, append([]string{
			"contracts", "test", "-c", config, "--topic", "shop",
			"--lines", "--base64", "--compact", samples,
		}, args...)...)
		for line := range strings.Lines(out) {
			var row struct {
				EventType string `json:"event_type"`
				Payload   json.RawMessage
			}
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			rows = append(rows, row.EventType+" "+string(row.Payload))
		}
		return code, rows, errs
	}
	code, rows, errs := read()
	want := `Placed {"id":7}, Shipped {"at":"de"}, Placed {"id":8}`
	if got := strings.Join(rows, ", "); code != 1 || got != want {
		t.Errorf("exit status %d\n%s, want %s\n%s", code, got, want, errs)
	}
	for _, says := range []string{
		"samples.b64:3: the payload is null, a tombstone (tombstones: ignore)",
		"samples.b64:5: the schema does not say of which type the payload is",
		"topic shop: 3 rows, 1 failure",
	} {
		if !strings.Contains(errs, says) {
			t.Errorf("no %q in\n%s", says, errs)
		}
	}
	code, rows, errs = read("--type", "shop.Shipped")
	if len(rows) != 1 || code != 1 || !strings.Contains(errs, "contract shipped: 1 row, 3 failures") {
		t.Errorf("exit status %d, %v\n%s", code, rows, errs)
	}
	if code, _, errs = read("--type", "shop.Gone"); code != 1 ||
		!strings.Contains(errs, `the record is of type "shop.Gone", which no contract of the topic takes`) {
		t.Errorf("exit status %d\n%s", code, errs)
	}
}
