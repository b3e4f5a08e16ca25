package contract_test

import (
	"os"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
)

// Each line of the table of the other formats in docs/registry.md is what becomes of a record of another schema.
func TestRegistryPageOfOtherFormats(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/registry.md")
	if err != nil {
		t.Fatal(err)
	}
	proto := func(fields string) string {
		return `syntax = "proto3"; package p; message Parcel { string id = 1; ` + fields + ` } message Other { string x = 1; }`
	}
	json := func(properties string) string {
		return `{"type":"object","required":["id"],"properties":{"id":{"type":"string"}` + properties + `}}`
	}
	const (
		behind  = "behind the id"
		meet    = "fields meet by"
		unknown = "an unknown field, not growing"
		missing = "missing field"
		another = "another type"
		grows   = "grows by"
		refs    = "references" // TestCompileSource and TestReferences of the formats
		other   = "another message of the file"
		subject = "a schema of another subject"
	)
	fields := func(what string) func(*contract.Config) {
		return func(c *contract.Config) { c.UnknownFields = what }
	}
	lines := map[string]bool{refs: true}
	for _, c := range []struct {
		line, format, ours, its, payload string
		off, additive                    string // a refusal begins with an exclamation mark
		change                           func(*contract.Config)
		elsewhere                        bool
	}{
		{
			line: behind, format: "protobuf", ours: proto("int32 grams = 2;"), its: proto("int32 grams = 2;"),
			payload: "\x00\x0a\x01a\x10\x05", off: "id=a grams=5", additive: "id=a grams=5",
		},
		{
			line: behind, format: "protobuf", ours: proto(""), its: proto(""),
			payload: "\x02\x02\x0a\x01a", off: "x=a", additive: "x=a",
			change: func(c *contract.Config) { c.Message, c.EventID = "p.Other", "x" },
		},
		{
			line: behind, format: "json", ours: json(`,"grams":{"type":"integer"}`), its: json(`,"grams":{"type":"integer"}`),
			payload: `{"id":"a","grams":5}`, off: "id=a grams=5", additive: "id=a grams=5",
		},
		{
			line: meet, format: "protobuf", ours: proto("int32 grams = 2;"), its: proto("int32 weight = 2;"),
			payload: "\x00\x0a\x01a\x10\x05", off: "id=a grams=5", additive: "id=a grams=5",
		},
		{
			line: meet, format: "json", ours: json(`,"grams":{"type":"integer"}`), its: json(`,"weight":{"type":"integer"}`),
			payload: `{"id":"a","weight":5}`, off: "id=a", additive: "id=a weight=5", change: fields("drop"),
		},
		{
			line: unknown, format: "protobuf", ours: proto(""), its: proto("int32 grams = 2;"),
			payload: "\x00\x0a\x01a\x10\x05", off: "id=a", additive: "id=a grams=5",
		},
		{
			line: unknown, format: "protobuf", ours: proto(""), its: proto("int32 grams = 2;"),
			payload: "\x00\x0a\x01a\x10\x05", off: "!payload", additive: "id=a grams=5", change: fields("refuse"),
		},
		{
			line: unknown, format: "json", ours: json(""), its: json(`,"grams":{"type":"integer"}`),
			payload: `{"id":"a","grams":5}`, off: "!payload.grams", additive: "id=a grams=5",
		},
		{
			line: unknown, format: "json", ours: json(""), its: json(`,"grams":{"type":"integer"}`),
			payload: `{"id":"a","grams":5}`, off: "id=a", additive: "id=a grams=5", change: fields("drop"),
		},
		{
			line: unknown, format: "json", ours: json(""), its: json(`,"grams":{"type":"integer"}`),
			payload: `{"id":"a","grams":5}`, off: `id=a _extra={"grams":5}`, additive: "id=a grams=5", change: fields("keep"),
		},
		{
			line: missing, format: "protobuf", ours: proto("int32 grams = 2; optional int32 n = 3;"), its: proto(""),
			payload: "\x00\x0a\x01a", off: "id=a grams=0", additive: "id=a grams=0",
		},
		{
			line: missing, format: "json", ours: json(`,"grams":{"type":"integer","default":7}`), its: json(""),
			payload: `{"id":"a"}`, off: "id=a grams=7", additive: "id=a",
		},
		{
			line: missing, format: "json", ours: json(""), its: json(""), payload: `{}`, off: "!payload.id", additive: "",
		},
		{
			line: another, format: "protobuf", ours: proto("int32 grams = 2;"), its: proto("string grams = 2;"),
			payload: "\x00\x0a\x01a", off: "!the writer's schema has string, the contract int32",
			additive: "!the writer's schema has string, the contract int32",
		},
		{
			line: another, format: "json", ours: json(`,"grams":{"type":"integer"}`), its: json(`,"grams":{"type":"string"}`),
			payload: `{"id":"a","grams":"x"}`, off: "!payload.grams", additive: "!payload.grams",
		},
		{
			line: another, format: "json", ours: json(`,"grams":{"type":"integer"}`), its: json(`,"grams":{"type":"string"}`),
			payload: `{"id":"a"}`, off: "id=a", additive: "id=a",
		},
		{
			line: grows, format: "protobuf", ours: proto("oneof of { int32 grams = 2; }"),
			its:     proto("oneof of { int32 grams = 2; string text = 3; }"),
			payload: "\x00\x0a\x01a\x1a\x01b", off: "id=a", additive: "id=a text=b",
		},
		{
			line: grows, format: "protobuf", ours: proto("enum E { A = 0; } E e = 2;"),
			its:     proto("enum E { A = 0; B = 1; } E e = 2;"),
			payload: "\x00\x0a\x01a\x10\x01", off: "id=a e=1", additive: "id=a e=B",
		},
		{
			line: grows, format: "protobuf", ours: proto("int32 grams = 2;"), its: proto("int64 grams = 2;"),
			payload: "\x00\x0a\x01a\x10\x80\x80\x80\x80\x10", off: "!payload.grams", additive: "id=a grams=4294967296",
		},
		{
			line: grows, format: "json", ours: json(`,"e":{"enum":["A"]}`), its: json(`,"e":{"enum":["A","B"]}`),
			payload: `{"id":"a","e":"B"}`, off: "!payload.e", additive: "id=a e=B",
		},
		{
			line: grows, format: "json", ours: json(`,"e":{"enum":["A"]}`), its: json(`,"e":{"type":"string"}`),
			payload: `{"id":"a","e":"any"}`, off: "!payload.e", additive: "id=a e=any",
		},
		{
			line: grows, format: "json", ours: json(""),
			its:     `{"oneOf":[` + json(`,"n":{"type":"integer"}`) + `,` + json(`,"m":{"type":"integer"}`) + `]}`,
			payload: `{"id":"a","m":1}`, off: "!payload.m", additive: "id=a m=1",
		},
		{
			line: other, format: "protobuf", ours: proto(""), its: proto(""), payload: "\x02\x02\x0a\x01a",
			off: "!the record is a p.Other", additive: "!the record is a p.Other",
		},
		{
			line: subject, format: "protobuf", ours: proto(""), its: proto("int32 grams = 2;"),
			payload: "\x00\x0a\x01a\x10\x05", off: "id=a", additive: "id=a", elsewhere: true,
		},
		{
			line: subject, format: "protobuf", ours: proto(""), payload: "\x00\x0a\x01a",
			its: `syntax = "proto3"; package p; message Letter { string id = 1; }`,
			off: "!it is no version of subject", additive: "!it is no version of subject", elsewhere: true,
		},
		{
			line: subject, format: "json", ours: json(""), its: json(""), payload: `{"id":"a"}`,
			off: "!it is no version of subject", additive: "!it is no version of subject", elsewhere: true,
		},
	} {
		lines[c.line] = true
		for evolution, want := range map[string]string{"off": c.off, "additive": c.additive} {
			s := &shelf{}
			s.putText("parcels-value", 3, c.format, c.ours)
			d := open(t, s, func(conf *contract.Config) {
				conf.Format, conf.Evolution, conf.EventID = c.format, evolution, ""
				if c.change != nil {
					c.change(conf)
				}
			})
			of := "parcels-value"
			if c.elsewhere {
				of = "others-value"
			}
			s.putText(of, 8, c.format, c.its)
			got, grown := d.take(d.fork(), framed(8, c.payload))
			if grown {
				got, _ = d.take(d.fork(), framed(8, c.payload))
			}
			refusal, refused := strings.CutPrefix(want, "!")
			is := strings.HasPrefix(got, "parcels-value: ")
			if is != refused || refused && !strings.Contains(got, refusal) || !refused && got != want {
				t.Errorf("%s, %s, %s: %s, want %s", c.line, c.format, evolution, got, want)
			}
		}
	}
	_, table, _ := strings.Cut(string(page), "| | protobuf | JSON |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")[1:]
	for _, line := range rows {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		if !lines[name] {
			t.Errorf("no record is tried for: %s", line)
		}
	}
	if len(rows) != len(lines) {
		t.Errorf("%d lines are tried, the page has %d", len(lines), len(rows))
	}
}

// A field with a new name is a new column, also where its alias is the old one, and one that is gone keeps its column.
func TestNewNamesAreNewColumns(t *testing.T) {
	s := &shelf{}
	s.put("parcels-value", 3, v1)
	d := open(t, s, nil)
	s.put("parcels-value", 8, `{"name":"id","type":"string"},{"name":"weight","aliases":["grams"],"type":"int"}`)
	if _, grown := d.take(d.fork(), framed(8, "\x02a\x06")); !grown {
		t.Fatal("a new name is no new column")
	}
	topic := d.fork()
	if got, _ := d.take(topic, framed(8, "\x02a\x06")); got != "id=a weight=3" {
		t.Error(got)
	}
	if got, _ := d.take(topic, framed(3, "\x02a\x06")); got != "id=a grams=3" {
		t.Error(got)
	}
	if columns := numbers(topic.Routes[0]); len(columns) != 3 || columns["grams"] != 2 || columns["weight"] != 3 {
		t.Errorf("columns %v", columns)
	}
}

// A process that starts looks at fifty versions before the latest: as far back the older type of a column wins.
func TestFiftyVersionsAreLookedAt(t *testing.T) {
	for versions, want := range map[int]string{51: "id=a grams=x", 52: "cannot be read as the contract's int"} {
		s := &shelf{}
		s.put("parcels-value", 1, `{"name":"id","type":"string"},{"name":"grams","type":"string"}`)
		for id := 2; id <= versions; id++ {
			s.put("parcels-value", id, v1)
		}
		d := open(t, s, nil)
		if got, _ := d.take(d.fork(), framed(1, "\x02a\x02x")); !strings.Contains(got, want) {
			t.Errorf("%d versions: %s, want %s", versions, got, want)
		}
	}
}
