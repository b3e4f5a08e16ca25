package verify_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-data/waybill/sandbox/verify"
)

// A comparison goes by what the contracts say: of a topic that is read in another unit, or without an event_time, rows
// are right that would be wrong otherwise.
func TestFollowTheContracts(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"ingest.yaml": `
kafka: {brokers: "${BROKERS:-localhost}"}
contracts_dir: more
contracts:
  - {builtin: delivery.v6, ignore: [a.Ping]}
  - {topic: millis, format: json, event_time: {field: order.at, unit: ms}, types: [a.B]}
  - {topic: millis, format: json, event_time: {field: other}, types: [a.C], ignore: [a.D]}
`,
		"more/list.yaml": "- {topic: timeless, format: raw}\n",
		"more/one.yaml":  "topic: nanos\nevent_time: {field: at, unit: ns}\n",
		"more/no.txt":    "]",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own := verify.EventTime{Field: "timestamp", Unit: "auto"}
	topics := []verify.Topic{
		{Name: "d", Builtin: "delivery.v6", EventTime: own},
		{Name: "s", Builtin: "stock.v1", EventTime: own, Ignored: []string{"a.X"}},
		{Name: "millis", EventTime: own},
		{Name: "timeless", EventTime: own},
		{Name: "nanos", EventTime: own},
	}
	if err := verify.Follow(topics, filepath.Join(dir, "ingest.yaml")); err != nil {
		t.Fatal(err)
	}
	want := []verify.Topic{
		{Name: "d", Builtin: "delivery.v6", EventTime: own, Ignored: []string{"a.Ping"}},
		{Name: "s", Builtin: "stock.v1", EventTime: own, Ignored: []string{"a.X"}},
		{Name: "millis", EventTime: verify.EventTime{Field: "order.at", Unit: "ms"}, Ignored: []string{"a.D"}},
		{Name: "timeless", EventTime: verify.EventTime{None: true}},
		{Name: "nanos", EventTime: verify.EventTime{Field: "at", Unit: "ns"}},
	}
	if diff := cmp.Diff(want, topics); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"contracts: [", "contracts_dir: none"} {
		path := filepath.Join(dir, "bad.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if verify.Follow(topics, path) == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
