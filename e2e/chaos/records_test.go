package chaos

import (
	"bytes"
	"testing"

	"github.com/waybill-data/waybill/sandbox/events"
)

// A record is a function of seed and index, says its index, and is bad exactly when it says so; the new column is in it
// when it is asked for.
func TestRecords(t *testing.T) {
	const count = 1500
	for _, topic := range topics {
		if topic.event == nil {
			continue
		}
		kinds := map[events.Kind]int{}
		tables := map[string]int{}
		for index := range uint64(count) {
			e, again, grown := topic.event(7, index, false, nil), topic.event(7, index, false, []byte("used ")),
				topic.event(7, index, true, nil)
			if !bytes.Equal(e.Value, again.Value) || !bytes.Equal(e.Key, again.Key) || e.Headers != again.Headers ||
				e.Kind != again.Kind {
				t.Fatalf("%s %d: %+v, and again %+v", topic.name, index, e, again)
			}
			if other := topic.event(8, index, false, nil); e.Kind == events.Plain && other.Kind == events.Plain &&
				bytes.Equal(e.Value, other.Value) {
				t.Errorf("%s %d: two seeds gave %q", topic.name, index, e.Value)
			}
			kinds[e.Kind]++
			kind := e.Headers[0].Value
			tables[topic.want.Types[kind]]++
			payload, err := topic.want.Decode(kind, e.Value)
			if (err != nil) != (e.Kind == events.Truncated) {
				t.Fatalf("%s %d of kind %d: %v", topic.name, index, e.Kind, err)
			}
			object, ok := payload.(map[string]any)
			if !ok {
				continue // cut off, or for the table of the unknown
			}
			if object["number"] != int64(index) || object["timestamp"] != e.Nanos || object[column] != nil {
				t.Errorf("%s %d: %v", topic.name, index, object)
			}
			if !topic.grows || grown.Kind == events.Truncated {
				continue
			}
			payload, err = topic.want.Decode(kind, grown.Value)
			if object, _ := payload.(map[string]any); err != nil || object[column] == nil || object[column] == "" {
				t.Errorf("%s %d: %v %v", topic.name, index, payload, err)
			}
		}
		if kinds[events.Truncated] == 0 || len(topic.want.Tables) > 1 &&
			(len(tables) != len(topic.want.Tables) || kinds[events.UnknownType] > 0) {
			t.Errorf("%s: %v %v", topic.name, kinds, tables)
		}
	}
}
