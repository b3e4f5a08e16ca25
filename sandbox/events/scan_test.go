package events_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/avro"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
)

func scanMessage(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(schemas.ParcelScanSet, &set); err != nil {
		t.Fatal(err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		t.Fatal(err)
	}
	found, err := files.FindDescriptorByName(schemas.ParcelScanMessage)
	if err != nil {
		t.Fatal(err)
	}
	return found.(protoreflect.MessageDescriptor)
}

// A scan has the same values in JSON and in protobuf, read by libraries that share no code with the generator; its
// seq is its index, and its JSON is 270 bytes.
func TestScansAgree(t *testing.T) {
	generator := events.New(events.Config{Seed: 7})
	message := scanMessage(t)
	for _, i := range []uint64{0, 1, 2, 99, 1000, 123_456, 99_999_999, 4_000_000_000} {
		one, two := generator.ScanJSON(nil, i), generator.ScanProto([]byte("before"), i)
		if len(one.Value) != 270 {
			t.Errorf("event %d: %d bytes of JSON", i, len(one.Value))
		}
		if !bytes.Equal(one.Key, two.Key) || one.Nanos != two.Nanos || one.Headers != two.Headers {
			t.Errorf("event %d: JSON and protobuf differ in key, time or headers", i)
		}
		var fromJSON map[string]any
		if err := json.Unmarshal(one.Value, &fromJSON); err != nil {
			t.Fatalf("event %d: %v: %s", i, err, one.Value)
		}
		decoded := dynamicpb.NewMessage(message)
		if err := proto.Unmarshal(two.Value, decoded); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		if len(decoded.GetUnknown()) > 0 {
			t.Errorf("event %d: unknown fields", i)
		}
		fromProto := map[string]any{}
		decoded.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
			switch v := value.Interface().(type) {
			case int64:
				fromProto[string(field.Name())] = float64(v)
			case int32:
				fromProto[string(field.Name())] = float64(v)
			default:
				fromProto[string(field.Name())] = v
			}
			return true
		})
		if diff := cmp.Diff(fromJSON, fromProto); diff != "" {
			t.Errorf("event %d: %s", i, diff)
		}
		if fromJSON["seq"] != float64(i) || len(fromJSON) != 9 {
			t.Errorf("event %d: seq %v of %d columns", i, fromJSON["seq"], len(fromJSON))
		}
	}
}

// The schemas beside the generator name the same fields in the same order.
func TestScanSchemasAgree(t *testing.T) {
	var record struct{ Fields []struct{ Name string } }
	if err := json.Unmarshal([]byte(schemas.ParcelScan), &record); err != nil {
		t.Fatal(err)
	}
	avro.MustParse(schemas.ParcelScan)
	var object struct {
		Properties map[string]any
		Required   []string
	}
	if err := json.Unmarshal([]byte(schemas.ParcelScanJSON), &object); err != nil {
		t.Fatal(err)
	}
	fields := scanMessage(t).Fields()
	if len(record.Fields) != fields.Len() || len(object.Required) != fields.Len() ||
		len(object.Properties) != fields.Len() {
		t.Fatalf("%d fields in Avro, %d required and %d named in JSON Schema, %d in protobuf",
			len(record.Fields), len(object.Required), len(object.Properties), fields.Len())
	}
	for i, field := range record.Fields {
		if name := string(fields.Get(i).Name()); name != field.Name || object.Required[i] != name ||
			object.Properties[name] == nil {
			t.Errorf("field %d: %s in Avro, %s in JSON Schema, %s in protobuf", i, field.Name, object.Required[i], name)
		}
	}
}

// Any order, any buffer, the same bytes; and every event another one.
func TestScansDeterministic(t *testing.T) {
	one, two := events.New(events.Config{Seed: 3}), events.New(events.Config{Seed: 3})
	buffer := make([]byte, 0, 4096)
	seen := map[string]bool{}
	for i := uint64(300); i > 0; i-- {
		a := one.Of(events.ScanJSONTopic)(nil, i)
		if b := two.ScanJSON(buffer, i); !bytes.Equal(a.Value, b.Value) || !bytes.Equal(a.Key, b.Key) {
			t.Fatalf("event %d differs", i)
		}
		if a, b := one.Of(events.ScanProtoTopic)(nil, i), two.ScanProto(buffer, i); !bytes.Equal(a.Value, b.Value) {
			t.Fatalf("event %d differs in protobuf", i)
		}
		seen[string(a.Value)] = true
	}
	if len(seen) != 300 {
		t.Errorf("%d different events of 300", len(seen))
	}
}
