package avro

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// The event's time may be a text, or a number with a unit, whose column is a TIMESTAMP.
func TestTimeOfColumns(t *testing.T) {
	schema := recordOf(`{"name":"s","type":"string"},{"name":"n","type":"long"}`)
	columns := decode.Columns{"s": {Type: decode.Timestamp}, "n": {Type: decode.Timestamp, Unit: decode.Seconds}}
	for field, want := range map[string]int64{"s": 1_000_000, "n": 7_000_000} {
		p, err := Compile([]byte(schema), decode.Options{
			Contract: "c", Payload: "p", EventTime: field, EventID: "s", Columns: columns,
		})
		if err != nil {
			t.Fatal(err)
		}
		d := p.NewDecoder()
		if _, err := d.Append(nil, []byte(avroText("1970-01-01T00:00:01Z")+long(7))); err != nil {
			t.Fatal(err)
		}
		id, _ := d.EventID()
		if got, ok := d.EventTime(); got != want || !ok || string(id) != "1970-01-01T00:00:01Z" {
			t.Errorf("%s: %d %v, %q", field, got, ok, id)
		}
		if _, err := d.Append(nil, []byte(avroText("yesterday")+long(7))); err == nil {
			t.Error("yesterday is a timestamp")
		}
	}
	if _, err := Compile([]byte(schema), decode.Options{
		Payload: "p", EventTime: "n", EventTimeUnit: decode.Millis, Columns: columns,
	}); err == nil || !strings.Contains(
		err.Error(), "columns says the unit already") {
		t.Error(err)
	}
	if _, err := Compile([]byte(schema), decode.Options{Payload: "p", EventTime: "s"}); err == nil ||
		!strings.Contains(err.Error(), "event_time: wants") {
		t.Error(err)
	}
}
