package json

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

func shaped(t *testing.T, properties string) *Schema {
	t.Helper()
	s, err := Parse([]byte(`{"type":"object","required":["id"],"properties":{`+properties+`}}`), JSONSchema, "payload")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Properties come, go and change; those that are there keep their numbers, and nothing new is required.
func TestWith(t *testing.T) {
	older := shaped(t, `"id":{"type":"string"},"size":{"enum":["S","M"]},"place":{"type":"object","properties":{"city":{"type":"string"}}},"n":{"type":"integer"},
		"tags":{"type":"array","items":{"type":"object","properties":{"k":{"type":"string"}}}}`)
	newer := shaped(t, `"fragile":{"type":"boolean"},"id":{"type":"string"},"size":{"enum":["M","L"]},"n":{"type":"string"},
		"place":{"type":"object","properties":{"zip":{"type":"string"},"city":{"type":["string","null"]}},"required":["zip"]},
		"tags":{"type":"array","items":{"type":"object","properties":{"v":{"type":"number"}}}}`)
	merged, changes := older.With(newer, "payload")
	want := decode.Changes{
		Added:     []string{"payload.fragile", "payload.place.zip", "payload.tags[].v"},
		Widened:   []string{"payload.size (L)"},
		Conflicts: []decode.Conflict{{Path: "payload.n", Have: "long", Want: "string"}},
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
	if got := run(merged, `{"fragile":true,"id":"a","place":{"zip":"1"},"tags":[{"v":2}],"size":"L"}`); got != "\x30\x01\x0a\x01a\x1a\x03\x12\x011\x2a\x09\x11\x00\x00\x00\x00\x00\x00\x00\x40\x12\x01L" {
		t.Errorf("%q", got)
	}
	if got := run(merged, `{"fragile":true}`); !strings.Contains(got, "payload.id") {
		t.Errorf("a field that both require is missing: %q", got)
	}
	if got := run(merged.Relaxed(), `{"id":null}`); got != "" {
		t.Errorf("relaxed: %q", got)
	}
}
