package protobuf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

func source(t *testing.T, text string) protoreflect.FileDescriptor {
	t.Helper()
	f, err := ParseSource(map[string]string{
		"schema.proto": `syntax = "proto3"; package shop; import "google/protobuf/timestamp.proto";` + text,
		"other.proto":  `syntax = "proto3"; message Other { string x = 1; }`,
	}, "schema.proto")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Fields come, go and change; what is merged has all of them, under their numbers.
func TestMerge(t *testing.T) {
	older := source(t, `
		message Order {
			string id = 1;
			int32 grams = 2;
			optional string note = 3;
			Line line = 4;
			oneof pay { string card = 5; string cash = 6; }
			int32 gone = 7;
			int32 odd = 8;
			enum Way { ROAD = 0; RAIL = 1; }
			Way way = 9;
			map<string, int32> counts = 10;
		}
		message Line { string sku = 1; }`)
	newer := source(t, `
		message Order {
			reserved 7;
			optional bool fragile = 11;
			string id = 1;
			int64 grams = 2;
			optional string note = 3;
			Line line = 4;
			oneof pay { string card = 5; string cash = 6; string coin = 12; }
			string odd = 8;
			enum Way { ROAD = 0; RAIL = 1; SEA = 2; }
			Way way = 9;
			map<string, int32> counts = 10;
			google.protobuf.Timestamp at = 13;
			repeated Line lines = 14;
			oneof to { string shop = 15; Place place = 16; }
		}
		message Place { string city = 1; }
		message Line { int32 count = 2; string sku = 1; }`)
	merged, changes := schemaOf(t, older, "shop.Order").With(schemaOf(t, newer, "shop.Order"), "payload")
	want := decode.Changes{
		Added: []string{
			"payload.fragile", "payload.line.count", "payload.coin", "payload.at", "payload.lines", "payload.shop",
			"payload.place",
		},
		Widened:   []string{"payload.grams", "payload.way (SEA = 2)"},
		Conflicts: []decode.Conflict{{Path: "payload.odd", Have: "int32", Want: "string"}},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if _, again := merged.With(schemaOf(t, newer, "shop.Order"), "payload"); again.Grown() {
		t.Errorf("merging again: %+v", again)
	}
	plan, err := merged.Compile(Drop, decode.Options{Contract: "c", Payload: "payload"})
	if err != nil {
		t.Fatal(err)
	}
	m := decodetest.Payload(t, plan)
	for _, f := range []protoreflect.FileDescriptor{older, newer} {
		fields := f.Messages().ByName("Order").Fields()
		for i := range fields.Len() {
			if got := m.Fields().ByName(fields.Get(i).Name()); got == nil || got.Number() != fields.Get(i).Number() {
				t.Errorf("%s became %v", fields.Get(i), got)
			}
		}
	}
	if _, err := plan.Written(older); err != nil {
		t.Error(err)
	}
	if _, err := plan.Written(newer); err == nil ||
		!strings.Contains(err.Error(), "payload.odd: the writer's schema has string, the contract int32") {
		t.Errorf("a field of another type: %v", err)
	}
}

func schemaOf(t *testing.T, f protoreflect.FileDescriptor, message string) *Schema {
	t.Helper()
	s, err := NewSchema(f, message)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
