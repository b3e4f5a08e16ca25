package events_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
)

// Every event decodes by the published schema with a library that shares no code with the generator, to the last
// byte; a truncated one does not.
func TestDeliveriesDecode(t *testing.T) {
	schema := avro.MustParse(schemas.DeliveryEventV6)
	generator := events.New(events.Config{Seed: 7, ContainerEvery: 50, TruncatedEvery: 40, UnknownTypeEvery: 60})
	seen := map[events.Kind]int{}
	types := map[string]int{}
	for i := range uint64(1200) {
		event := generator.Delivery(nil, i)
		seen[event.Kind]++
		types[event.Headers[0].Value]++
		var value map[string]any
		rest, err := schema.Decode(event.Value, &value)
		switch event.Kind {
		case events.Truncated:
			if err == nil {
				t.Fatalf("event %d is truncated and decodes", i)
			}
			continue
		case events.Container:
			reader, err := ocf.NewReader(bytes.NewReader(event.Value))
			if err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
			if err := reader.Decode(&value); err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
		default:
			if err != nil || len(rest) != 0 {
				t.Fatalf("event %d: %v, %d bytes left", i, err, len(rest))
			}
		}
		if value["id"] != string(event.Key) {
			t.Fatalf("event %d: id %v, key %s", i, value["id"], event.Key)
		}
		if value["timestamp"] != event.Nanos {
			t.Fatalf("event %d: timestamp %v, want %d", i, value["timestamp"], event.Nanos)
		}
		if !utf8.ValidString(value["customer"].(map[string]any)["name"].(string)) {
			t.Fatalf("event %d: customer's name is not UTF-8", i)
		}
	}
	for kind := events.Plain; kind <= events.UnknownType; kind++ {
		if seen[kind] == 0 {
			t.Errorf("no event of kind %d", kind)
		}
	}
	if len(types) != 7 {
		t.Errorf("types: %v", types)
	}
}

// Nullable fields must occur both null and set, or a test over these events proves nothing about null.
func TestNullAndZeroOccur(t *testing.T) {
	schema := avro.MustParse(schemas.DeliveryEventV6)
	generator := events.New(events.Config{ContainerEvery: -1, TruncatedEvery: -1, UnknownTypeEvery: -1})
	null, set := map[string]bool{}, map[string]bool{}
	var zero bool
	for i := range uint64(640) {
		var value map[string]any
		if _, err := schema.Decode(generator.Delivery(nil, i).Value, &value); err != nil {
			t.Fatal(err)
		}
		for name, field := range value {
			null[name] = null[name] || field == nil
			set[name] = set[name] || field != nil
			zero = zero || field == 0.0
		}
	}
	nullable := 0
	for name := range null {
		if !set[name] {
			t.Errorf("%s is always null", name)
		}
		if null[name] {
			nullable++
		}
	}
	if nullable != 24 || !zero {
		t.Errorf("%d fields are null at times, want 24; a zero: %v", nullable, zero)
	}
}

func TestStockDecodes(t *testing.T) {
	schema := avro.MustParse(schemas.PhysicalStockUpdated)
	generator := events.New(events.Config{Seed: 7})
	for i := range uint64(600) {
		event := generator.Stock(nil, i)
		var value map[string]any
		rest, err := schema.Decode(event.Value, &value)
		if err != nil || len(rest) != 0 {
			t.Fatalf("event %d: %v, %d bytes left", i, err, len(rest))
		}
	}
}

// Seed and index alone decide: another generator, another order and a used buffer give the same bytes, another seed
// does not.
func TestDeterministic(t *testing.T) {
	one, two := events.New(events.Config{Seed: 3}), events.New(events.Config{Seed: 3})
	other := events.New(events.Config{Seed: 4})
	buffer := make([]byte, 0, 64<<10)
	for i := uint64(200); i > 0; i-- {
		a, b := one.Delivery(nil, i), two.Delivery(buffer, i)
		if !bytes.Equal(a.Value, b.Value) || !bytes.Equal(a.Key, b.Key) || a.Headers != b.Headers || a.Kind != b.Kind {
			t.Fatalf("event %d differs", i)
		}
		if bytes.Equal(a.Value, other.Delivery(nil, i).Value) {
			t.Fatalf("event %d does not depend on the seed", i)
		}
		if c, d := one.Stock(nil, i), two.Stock(buffer, i); !bytes.Equal(c.Value, d.Value) ||
			!bytes.Equal(c.Key, d.Key) {
			t.Fatalf("stock event %d differs", i)
		}
	}
}

func TestMeanSize(t *testing.T) {
	for _, size := range []int{4000, 9000, 30000} {
		generator := events.New(events.Config{Size: size, ContainerEvery: -1, TruncatedEvery: -1})
		total, count, least, most := 0, 640, 1<<30, 0
		for i := range count {
			n := len(generator.Delivery(nil, uint64(i+10_000)).Value)
			total += n
			least, most = min(least, n), max(most, n)
		}
		mean := total / count
		t.Logf("size %d: mean %d, least %d, most %d", size, mean, least, most)
		if mean < size*94/100 || mean > size*106/100 {
			t.Errorf("size %d: mean %d", size, mean)
		}
	}
}

func BenchmarkDelivery(b *testing.B) {
	generator := events.New(events.Config{})
	buffer := make([]byte, 0, 256<<10)
	b.ReportAllocs()
	var total, i int64
	for b.Loop() {
		total += int64(len(generator.Delivery(buffer, uint64(i)).Value))
		i++
	}
	b.SetBytes(total / i)
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "events/s")
}
