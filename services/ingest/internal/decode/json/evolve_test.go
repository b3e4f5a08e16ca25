package json

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

func shaped(t *testing.T, properties string) *Schema {
	t.Helper()
	s, err := Parse([]byte(`{"type":"object","required":["id"],"properties":{`+properties+`}}`), JSONSchema)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Properties come, go and change; those that are there keep their numbers, and nothing new is required.
func TestWith(t *testing.T) {
	older := shaped(t, `"id":{"type":"string"},"size":{"enum":["S","M"]},"place":{"type":"object",`+
		`"properties":{"city":{"type":"string"}}},"n":{"type":"integer"},
		"tags":{"type":"array","items":{"type":"object","properties":{"k":{"type":"string"}}}}`)
	newer := shaped(t, `"fragile":{"type":"boolean"},"id":{"type":"string"},"size":{"enum":["M","L"]},`+
		`"n":{"type":"string"},
		"place":{"type":"object","properties":{"zip":{"type":"string"},"city":{"type":["string","null"]}},"required":["zip"]},
		"tags":{"type":"array","items":{"type":"object","properties":{"v":{"type":"number"}}}}`)
	merged, changes := older.With(newer, "payload")
	want := decode.Changes{
		Added:   []string{"payload.fragile", "payload.place.zip", "payload.tags[].v"},
		Widened: []string{"payload.size (L)"},
		Conflicts: []decode.Conflict{{
			Path: "payload.n", Have: "long", Want: "string", By: []decode.Target{decode.JSON},
		}},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if _, again := merged.With(newer, "payload"); again.Grown() {
		t.Errorf("merging again: %+v", again)
	}
	if _, before := older.With(older, "payload"); before.Grown() || len(before.Conflicts) > 0 {
		t.Errorf("merging changed the older schema, or it does not fit itself: %+v", before)
	}
	o := decode.Options{Contract: "c", Payload: "payload"}
	run := func(s *Schema, text string) string {
		plan, err := s.Compile(Settings{}, o)
		if err != nil {
			t.Fatal(err)
		}
		row, err := plan.NewDecoder().Append(nil, []byte(text))
		if err != nil {
			return err.Error()
		}
		return string(row)
	}
	const old = `{"id":"a","size":"S","place":{"city":"X"},"n":5,"tags":[{"k":"y"}]}`
	if before, after := run(older, old), run(merged, old); before != after {
		t.Errorf("a row changed: %q, was %q", after, before)
	}
	if got := run(merged, `{"fragile":true,"id":"a","place":{"zip":"1"},"tags":[{"v":2}],`+
		`"size":"L"}`); got != "\x30\x01\x0a\x01a\x1a\x03\x12\x011\x2a\x09\x11\x00\x00\x00\x00\x00\x00\x00\x40\x12\x01L" {
		t.Errorf("%q", got)
	}
	if got := run(merged, `{"fragile":true}`); !strings.Contains(got, "payload.id") {
		t.Errorf("a field that both require is missing: %q", got)
	}
	if got := run(merged.Relaxed(), `{"id":null}`); got != "" {
		t.Errorf("relaxed: %q", got)
	}
}

// FuzzEvolve merges any two schemas: it ends, leaves the older one as it is, and brings the newer one's columns once.
func FuzzEvolve(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"type":"integer"}}}`,
		`{"type":"object","properties":{"b":{"type":"object","properties":{"c":{"enum":["x"]}}},"a":{"type":["null",`+
			`"number"]}}}`)
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#/definitions/t"}},"definitions":{"t":{"type":"object",`+
		`"properties":{"n":{"type":"string"}}}}}`,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{"type":"integer"}]},"m":{"type":"object",`+
			`"additionalProperties":{"type":"string"}}}}`)
	f.Fuzz(func(t *testing.T, first, second string) {
		o := decode.Options{Contract: "c", Payload: "payload"}
		older, err := Parse([]byte(first), JSONSchema)
		if err != nil {
			return
		}
		newer, err := Parse([]byte(second), JSONSchema)
		if err != nil {
			return
		}
		if _, err := older.Compile(Settings{}, o); err != nil {
			return
		}
		merged, _ := older.With(newer, "payload")
		if _, err := older.Compile(Settings{}, o); err != nil {
			t.Fatalf("merging changed the older schema: %v", err)
		}
		if _, err := merged.Compile(Settings{}, o); err != nil {
			return // the newer schema has what no table has
		}
		if _, changes := merged.With(newer, "payload"); changes.Grown() {
			t.Fatalf("merging again changes %+v", changes)
		}
		_, _ = merged.Relaxed().Compile(Settings{Unknown: Keep}, o) // a field may be called _extra
	})
}
