package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/sandbox/verify"
)

// Where delivery is at least once further rows are counted, and rows without a record are what they always are.
func TestAtLeastOnce(t *testing.T) {
	l := newLab(t).fill()
	l.rows = append(l.rows, l.rows[3], l.rows[3], l.rows[40])
	atLeastOnce := func(c *verify.Config) {
		c.Topics = slices.Clone(c.Topics)
		c.Topics[0].AtLeastOnce = true
		for _, r := range l.rows {
			r.Stream = "streams/_default"
		}
	}
	report := l.verify(atLeastOnce)
	if !report.OK() || report.Repeated != 3 || !strings.HasSuffix(report.Line(), ", repeated 3 (at least once)") {
		t.Errorf("%+v %v", report.Totals, report.Offences)
	}
	l.rows = append(l.rows[1:], &row{Topic: topic, Partition: 1, Offset: 1 << 40, Stream: "streams/_default"})
	if report := l.verify(atLeastOnce); report.Missing != 1 || report.Phantom != 1 || report.Duplicates != 0 {
		t.Errorf("%+v %v", report.Totals, report.Offences)
	}
}

// A row in the table of another type is seen, in the sample or not.
func TestTablesByType(t *testing.T) {
	l := newLab(t).fill()
	const table = "waybill.delivery_events"
	moved := l.rows[7].content["item_type"].(string)
	count := int64(0)
	for _, r := range l.rows {
		if r.content["item_type"] == moved {
			count++
		}
	}
	for _, c := range []struct {
		types map[string]string
		off   int64
	}{
		{map[string]string{"": table}, 0}, {map[string]string{moved: table, "": table}, 0}, {
			map[string]string{moved: "waybill.elsewhere", "": table}, count,
		},
	} {
		report := l.verify(func(config *verify.Config) {
			config.Sample = -1
			config.Topics = slices.Clone(config.Topics)
			config.Topics[0].Tables, config.Topics[0].Types = []string{table, "waybill.elsewhere"}, c.types
		})
		if report.Different != c.off || report.Missing != 0 {
			t.Errorf("%v: %+v, want %d in another table", c.types, report.Totals, c.off)
		}
	}
}

// A topic whose payload nobody here can decode is compared by all that comes from Kafka, and by its own decoder if it
// has one.
func TestWithoutSchema(t *testing.T) {
	l := newLab(t).fill()
	opaque := func(c *verify.Config) {
		c.Topics = slices.Clone(c.Topics)
		c.Topics[0].Schema, c.Topics[0].Payload = "", ""
	}
	l.rows[5].content["delivery"] = "anything"
	if report := l.verify(opaque); !report.OK() || report.Sampled != int64(len(l.rows)) {
		t.Errorf("%+v %v", report.Totals, report.Offences)
	}
	key := l.rows[5].content["kafka_key"]
	l.rows[5].content["kafka_key"] = nil
	if report := l.verify(opaque); report.Different != 1 || !strings.Contains(report.Offences[0].Detail, "kafka_key") {
		t.Errorf("%+v %v", report.Totals, report.Offences)
	}
	l.rows[5].content["kafka_key"] = key

	for _, r := range l.rows {
		r.content["event_id"], r.content["event_time"], r.content["topic_version"] = "d-1", "1970-01-01T00:00:01Z", nil
		r.content["length"] = map[string]any{"id": "d-1", "timestamp": 1_000_000_000}
	}
	decoded := func(c *verify.Config) {
		opaque(c)
		c.Topics[0].Payload, c.Topics[0].Version, c.Topics[0].EventTime = "length", "", verify.EventTime{Unit: "ns"}
		c.Topics[0].Decode = func(itemType string, value []byte) (any, error) {
			if !strings.HasPrefix(itemType, "contracts.") || len(value) == 0 {
				t.Errorf("%q, %d bytes", itemType, len(value))
			}
			return map[string]any{"id": "d-1", "timestamp": int64(1_000_000_000)}, nil
		}
	}
	if report := l.verify(decoded); !report.OK() {
		t.Errorf("%+v %v", report.Totals, report.Offences)
	}
	l.rows[9].content["length"] = map[string]any{"id": "d-1", "timestamp": 1_000_000_001}
	if report := l.verify(decoded); report.Different != 1 ||
		!strings.Contains(report.Offences[0].Detail, "length.timestamp") {
		t.Errorf("%+v %v", report.Totals, report.Offences)
	}
}

// event_time is compared in the unit that the contract gives it, by magnitude where it gives none, and of the field
// that it names.
func TestEventTimeInTheUnitOfTheContract(t *testing.T) {
	l := newLab(t).fill()
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	for _, c := range []struct {
		time  verify.EventTime
		value any
		want  time.Time
	}{
		{verify.EventTime{}, at.Unix(), at},
		{verify.EventTime{}, at.UnixMilli(), at},
		{verify.EventTime{Unit: "auto"}, at.UnixMicro(), at},
		{verify.EventTime{}, at.UnixNano(), at},
		{verify.EventTime{}, int32(at.Unix()), at},
		{verify.EventTime{}, -at.UnixMilli(), time.UnixMilli(-at.UnixMilli())},
		{verify.EventTime{Unit: "ms"}, int64(12), time.UnixMilli(12)},
		{verify.EventTime{Unit: "us"}, int64(12), time.UnixMicro(12)},
		{verify.EventTime{Unit: "ns"}, int64(12_000), time.UnixMicro(12)},
		{verify.EventTime{Unit: "s"}, int64(12), time.Unix(12, 0)},
		{verify.EventTime{}, at, at},
		{verify.EventTime{}, at.Format(time.RFC3339), at},
		{verify.EventTime{Field: "order.created", Unit: "ms"}, map[string]any{"created": at.UnixMilli()}, at},
	} {
		name, _, _ := strings.Cut(c.time.Field, ".")
		if name == "" {
			name = "timestamp"
		}
		payload := map[string]any{"id": "x", name: c.value}
		for _, r := range l.rows {
			r.content["event_id"], r.content["topic_version"], r.content["p"] = "x", nil, payload
			r.content["event_time"] = c.want.UTC().Format(time.RFC3339Nano)
		}
		topic := func(config *verify.Config) {
			config.Topics = []verify.Topic{{
				Name: config.Topics[0].Name, Tables: config.Topics[0].Tables, Payload: "p", ID: "id", EventTime: c.time,
				Decode: func(string, []byte) (any, error) { return payload, nil },
			}}
		}
		if report := l.verify(topic); !report.OK() || report.Sampled == 0 {
			t.Errorf("%+v of %v: %+v %v", c.time, c.value, report.Totals, report.Offences)
		}
		l.rows[3].content["event_time"] = c.want.Add(time.Second).UTC().Format(time.RFC3339Nano)
		if report := l.verify(topic); report.Different != 1 ||
			!strings.Contains(report.Offences[0].Detail, "event_time") {
			t.Errorf("%+v of %v: a row with another time is %+v", c.time, c.value, report.Totals)
		}
	}
	config := l.config()
	config.Topics[0].EventTime.Unit = "hours"
	if _, err := verify.Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), `"hours"`) {
		t.Errorf("a unit that is none: %v", err)
	}
}
