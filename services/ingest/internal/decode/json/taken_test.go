package json

import (
	"strconv"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

const takenSchema = `{"properties":{"id":{"type":"string"},"n":{"type":"integer"},"at":{"type":"string",` +
	`"format":"date-time"},"ms":{"type":"integer"},
	"order":{"properties":{"id":{"type":"integer","default":9},"at":{"type":"string","format":"date-time",` +
	`"default":"1970-01-01T00:00:01Z"}}},"list":{"items":{"properties":{"id":{"type":"string"}}}}}}`

// What the envelope takes of a payload, or why it cannot.
func TestTaken(t *testing.T) {
	for _, c := range []struct {
		id, at   string
		unit     decode.Unit
		payload  string
		want     string // identity and microseconds, - for none
		fault    string
		complain string
	}{
		{id: "id", at: "at", payload: `{"at":"1970-01-01T00:00:01Z","id":"a\u0062\"c"}`, want: `ab"c 1000000`},
		{id: "n", at: "ms", unit: decode.Millis, payload: `{"n":-12,"ms":5}`, want: `-12 5000`},
		{id: "n", at: "ms", payload: `{"n":1e3,"ms":1800000000}`, want: `1000 1800000000000000`},
		{id: "order.id", at: "order.at", payload: `{"order":{"at":"1970-01-01T00:00:02Z","id":7}}`, want: `7 2000000`},
		{id: "order.id", at: "order.at", payload: `{"order":{}}`, want: `9 1000000`},
		{id: "order.id", at: "order.at", payload: `{}`, want: `- -`},
		{id: "id", at: "at", payload: `{"id":null,"at":null}`, want: `- -`},
		{at: "at", payload: `{"id":"x","at":"1970-01-01T00:00:01Z"}`, want: `- 1000000`},
		{
			at: "ms", unit: decode.Seconds, payload: `{"ms":9223372036854775807}`,
			complain: `payload.ms at byte 6: the timestamp is out of BigQuery's range`,
		},

		{id: "at", fault: "event_id: wants a string"},
		{id: "no", fault: "event_id: the schema has no field no here"},
		{id: "list.id", fault: "event_id: id is in a value of type array"},
		{at: "id", fault: "event_time: wants a whole number, a timestamp, or a text whose column is a TIMESTAMP"},
		{at: "at", unit: decode.Millis, fault: "the schema says the unit already"},
	} {
		p, err := Compile([]byte(takenSchema), JSONSchema, Settings{}, decode.Options{
			Contract: "c", Payload: "payload", EventID: c.id, EventTime: c.at, EventTimeUnit: c.unit,
		})
		if (err != nil) != (c.fault != "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s, %s: %v, want %q", c.id, c.at, err, c.fault)
			continue
		}
		if err != nil {
			continue
		}
		d := p.NewDecoder()
		// Leaves nothing behind.
		_, _ = d.Append(nil, []byte(`{"id":"before","n":1,"at":"1970-01-01T00:00:09Z","order":{}}`))
		if _, err := d.Append(nil, []byte(c.payload)); err != nil {
			if c.complain == "" || !strings.Contains(err.Error(), c.complain) {
				t.Errorf("%s: %v, want %q", c.payload, err, c.complain)
			}
			continue
		}
		got := "- "
		if id, ok := d.EventID(); ok {
			got = string(id) + " "
		}
		if micros, ok := d.EventTime(); ok {
			got += strconv.FormatInt(micros, 10)
		} else {
			got += "-"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.payload, got, c.want)
		}
	}
}
