package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// The legacy view has the columns of the system that Waybill replaces, for every row, and its JSON is the payload.
func TestLegacyView(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{})
	w.produce(stack.DeliveryTopic, 500, events.Config{Size: 4000, TruncatedEvery: -1, UnknownTypeEvery: -1})
	w.verified()
	query := func(args ...string) []map[string]any {
		t.Helper()
		args = append([]string{"query", "--json", "--sandbox", filepath.Join(w.Config.Dir, "sandbox.json")}, args...)
		out, err := exec.CommandContext(w.ctx, filepath.Join(bin, "sandbox"), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("sandbox %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		var rows []map[string]any
		for line := range strings.Lines(string(out)) {
			var row map[string]any
			if json.Unmarshal([]byte(line), &row) == nil {
				rows = append(rows, row)
			}
		}
		return rows
	}
	for range 2 { // creating it again replaces it
		query("--file", "../deploy/sql/delivery_events_legacy.sql")
	}

	counts := query(`SELECT COUNT(*) AS n, COUNT(DISTINCT event_id) > 1 AS ids, COUNTIF(is_current_version) AS current,
		COUNTIF(stream_timestamp_hour BETWEEN 0 AND 23) AS hours,
		COUNTIF(stream_timestamp_date = DATE(stream_timestamp)) AS dates,
		COUNTIF(JSON_VALUE(event_json, '$.id') = event_id) AS same FROM delivery_events_legacy`)
	want := map[string]any{"n": 500.0, "ids": true, "current": 500.0, "hours": 500.0, "dates": 500.0, "same": 500.0}
	if len(counts) != 1 {
		t.Fatalf("%d rows of counts", len(counts))
	}
	for column, v := range want {
		if counts[0][column] != v {
			t.Errorf("%s is %v, not %v", column, counts[0][column], v)
		}
	}

	rows := query(`SELECT * FROM delivery_events_legacy ORDER BY timestamp, event_id LIMIT 1`)
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	columns := []string{
		"timestamp", "event_id", "event_type", "event_json", "topic_version", "is_current_version",
		"stream_timestamp", "stream_timestamp_date", "stream_timestamp_hour",
	}
	for _, column := range columns {
		if rows[0][column] == nil {
			t.Errorf("column %s is missing or null: %v", column, rows[0])
		}
	}
	if len(rows[0]) != len(columns) {
		t.Errorf("%d columns, the system that is replaced had %d", len(rows[0]), len(columns))
	}
	var payload map[string]any
	if err := json.Unmarshal([]byte(rows[0]["event_json"].(string)), &payload); err != nil {
		t.Errorf("event_json is no JSON: %v", err)
	}
	for _, field := range []string{"id", "delivery_num", "items", "order", "customer", "waybill"} {
		if _, ok := payload[field]; !ok {
			t.Errorf("event_json has no %s", field)
		}
	}
}
