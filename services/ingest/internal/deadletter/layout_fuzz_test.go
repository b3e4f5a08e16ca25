package deadletter

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Whatever record becomes a dead letter, with headers of our own names among its own, comes back as it was; and what
// somebody else has written into a dead-letter topic is told apart without harm.
func FuzzLetter(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), "waybill-version", []byte("2/x"), "waybill-replayed", int64(17), "field",
		int64(3))
	f.Add([]byte{}, []byte{}, "waybill-topic", []byte("t"), "waybill-partition", int64(-1), "", int64(-1))
	f.Add([]byte(nil), []byte(nil), "waybill-offset", []byte("9"), "waybill-reason", int64(0), "a[1].b", int64(0))
	l := NewWriter(Defaults(), testKafka("127.0.0.1:1"), new(logtest.Log).Logger(), nil)
	f.Fuzz(func(t *testing.T, key, value []byte, name string, text []byte, other string, millis int64, field string,
		at int64,
	) {
		foreign := &record.Record{Key: key, Value: value, Headers: []record.Header{
			{Key: []byte(name), Value: text},
			{Key: []byte(other), Value: value},
		}}
		_, place, k, err := readLetter(foreign)
		if (k == isForeign) != (err != nil) || k != isForeign && (place.Topic == "" || place.Offset < 0) {
			t.Fatalf("%v, %v, %v", place, k, err)
		}
		if again, err := ParsePlace(place.String()); k != isForeign && (err != nil || again != place) {
			t.Fatalf("%v is read as %v, %v", place, again, err)
		}
		const limit = int64(1) << 62 / 1000
		if millis < 0 || millis > limit {
			millis = -1
		}
		r := record.Record{
			Topic: "t/x", Partition: 3, Offset: 5, TimestampMicros: max(-1, millis*1000),
			Headers: foreign.Headers,
		}
		r.Key, r.Value = key, value
		m := l.message(newDraft(&lane.DeadLetter{
			Record: &r, Reason: "r", Contract: name, Err: other, Field: field,
			Byte: int(max(-1, at)),
		}, time.Now()))
		in := record.Record{Topic: m.Topic, Offset: 1, Value: value}
		in.Key, _ = m.Key.Encode()
		for _, h := range m.Headers {
			in.Headers = append(in.Headers, record.Header{Key: h.Key, Value: h.Value})
		}
		out, place, k, err := readLetter(&in)
		if k != isLetter || err != nil || place != out.Of() || place.Topic != "t/x" {
			t.Fatalf("%v, %v, %v", place, k, err)
		}
		same := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
		if got := out.Record; !same(got.Key, key) || !same(got.Value, value) ||
			got.TimestampMicros != r.TimestampMicros ||
			!slices.EqualFunc(got.Headers, r.Headers, func(a, b record.Header) bool {
				return same(a.Key, b.Key) && same(a.Value,
					b.Value)
			}) {
			t.Fatalf("%+v came back as %+v", r, got)
		}
		if out.Field != cut(field, maxField) || out.Byte != int(max(-1, at)) || out.Contract != name ||
			out.Err != cut(other,
				maxText) {
			t.Fatalf("%+v", out)
		}
	})
}
