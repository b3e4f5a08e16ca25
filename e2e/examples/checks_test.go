package examples

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseChecks(t *testing.T) {
	got, err := parseChecks(`
-- Orders
-- by day.
-- expect: [["a", 1, null], ["b", 2.5, true]]
SELECT x,
  y, ';' AS z
FROM t;

-- Nothing.
-- expect: []
SELECT 1 FROM t WHERE FALSE;
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []check{
		{"Orders by day.", "SELECT x, y, ';' AS z FROM t", [][]any{{"a", 1.0, nil}, {"b", 2.5, true}}},
		{"Nothing.", "SELECT 1 FROM t WHERE FALSE", [][]any{}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	for text, says := range map[string]string{
		"":                            "no queries",
		"SELECT 1;":                   "has no line",
		"-- expect: []\nSELECT 1":     "does not end",
		"-- expect: [1\nSELECT 1;":    "-- expect: [1",
		"-- expect: {}\n SELECT 1 ;":  "-- expect: {}",
		"-- expect: [1, 2]\nSELECT1;": "-- expect: [1, 2]",
	} {
		if _, err := parseChecks(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}
