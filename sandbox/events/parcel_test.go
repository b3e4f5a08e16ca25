package events_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/avro"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
)

// Each version is what its schema says, for the library too; what versions have in common is the same, and the index
// comes back.
func TestParcelsDecode(t *testing.T) {
	generator := events.New(events.Config{Seed: 7})
	seen := map[string]bool{}
	for i := range uint64(300) {
		var older map[string]any
		for version := 1; version <= len(schemas.Parcels); version++ {
			event := generator.Parcel(nil, i, version, 70_000)
			if event.Value[0] != 0 || binary.BigEndian.Uint32(event.Value[1:]) != 70_000 {
				t.Fatalf("the header is %x", event.Value[:5])
			}
			if again := generator.Parcel(make([]byte, 0, 1024), i, version, 70_000); !bytes.Equal(event.Value,
				again.Value) ||
				!bytes.Equal(event.Key, again.Key) {
				t.Fatalf("parcel %d is another one the second time", i)
			}
			var value map[string]any
			rest, err := avro.MustParse(schemas.Parcels[version-1]).Decode(event.Value[5:], &value)
			if err != nil || len(rest) != 0 {
				t.Fatalf("parcel %d in version %d: %v, %d bytes left", i, version, err, len(rest))
			}
			if index, ok := events.ParcelIndex(value["parcel_id"].(string)); !ok || index != i {
				t.Fatalf("parcel %d says %v", i, value["parcel_id"])
			}
			for name, v := range value {
				seen[name] = true
				if name == "weight_grams" || name == "place" {
					continue // of another type, or with more inside
				}
				if had, ok := older[name]; ok && !cmp.Equal(had, v) {
					t.Errorf("parcel %d: %s is %v in version %d, and was %v", i, name, v, version, had)
				}
			}
			older = value
		}
	}
	if len(seen) != 7 {
		t.Errorf("fields %v", seen)
	}
	for _, id := range []string{"", "PCL-12", "PCL-00000000000x", "XYZ-000000000001"} {
		if _, ok := events.ParcelIndex(id); ok {
			t.Errorf("%q has an index", id)
		}
	}
}
