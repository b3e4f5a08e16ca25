package row

import (
	"testing"

	"cloud.google.com/go/bigquery/storage/managedwriter/adapt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	deliveryv6 "github.com/waybill-data/waybill/proto/delivery/v6"
)

// columnsOf gives a descriptor the plainest columns that take it.
func columnsOf(d *descriptorpb.DescriptorProto, all []*descriptorpb.DescriptorProto) []*Column {
	var out []*Column
	for _, f := range d.Field {
		c := &Column{Name: f.GetName(), Repeated: f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED}
		switch f.GetType() {
		case descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
			c.Type = Struct
			for _, m := range all {
				if m.GetName() == f.GetTypeName() || "."+m.GetName() == f.GetTypeName() {
					c.Fields = columnsOf(m, all)
				}
			}
		case descriptorpb.FieldDescriptorProto_TYPE_STRING:
			c.Type = String
		case descriptorpb.FieldDescriptorProto_TYPE_BYTES:
			c.Type = Bytes
		case descriptorpb.FieldDescriptorProto_TYPE_BOOL:
			c.Type = Boolean
		case descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, descriptorpb.FieldDescriptorProto_TYPE_FLOAT:
			c.Type = Float
		default:
			c.Type = Integer
		}
		out = append(out, c)
	}
	return out
}

func deliveryShape(t testing.TB) (*Shape, *descriptorpb.DescriptorProto) {
	t.Helper()
	d, err := adapt.NormalizeDescriptor((&deliveryv6.DeliveryEvent{}).ProtoReflect().Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compile(b, columnsOf(d, d.NestedType))
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

func sample(t testing.TB) []byte {
	t.Helper()
	b, err := proto.Marshal(&deliveryv6.DeliveryEvent{
		EventId: proto.String("é"), EventTime: proto.Int64(-5), KafkaKey: []byte{0xff},
		Delivery: &deliveryv6.Delivery{
			Id: proto.String("d"), Items: []*deliveryv6.DeliveryItem{{
				Qnt:       proto.Int32(-1),
				PriceBase: proto.Float64(1.5),
			}, {}},
			HomeDelivery: proto.Bool(false), TotalTaxableWeight: proto.Float32(2),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzCheck holds the validator against protobuf itself: what Check lets pass, protobuf reads, and Decode and Project
// do too.
func FuzzCheck(f *testing.F) {
	shape, d := deliveryShape(f)
	var known protoregistry.Files
	_ = known.RegisterFile(wrapperspb.File_google_protobuf_wrappers_proto)
	_ = known.RegisterFile(timestamppb.File_google_protobuf_timestamp_proto)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("f.proto"), Syntax: proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{d},
	}, &known)
	if err != nil {
		f.Fatal(err)
	}
	paths := [][]string{{"event_id"}, {"delivery", "items"}, {"delivery", "customer", "name"}}
	projection := shape.Project(paths)
	f.Add(sample(f))
	f.Add([]byte{0x0a, 1, 0xff})
	f.Add([]byte{0x0b, 0x0c})
	f.Add([]byte{0x82, 0x01, 2, 0x2a, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if shape.Check(b) != nil {
			return
		}
		if err := proto.Unmarshal(b, dynamicpb.NewMessage(file.Messages().Get(0))); err != nil {
			t.Fatalf("Check passed what protobuf refuses: %v", err)
		}
		r, err := shape.Decode(b)
		if err != nil {
			t.Fatalf("Check passed what Decode refuses: %v", err)
		}
		out := make([]any, len(paths))
		if err := projection.Read(b, out); err != nil {
			t.Fatal(err)
		}
		if out[0] != r[0] {
			t.Fatalf("projected %v, decoded %v", out[0], r[0])
		}
		back, err := ParseRecord(shape.Columns(), AppendObject(nil, shape.Columns(), r, Query))
		if err != nil || len(back) != len(r) {
			t.Fatalf("JSON did not come back: %v", err)
		}
	})
}

func TestCheckAllocatesNothing(t *testing.T) {
	shape, _ := deliveryShape(t)
	b := sample(t)
	if n := testing.AllocsPerRun(100, func() {
		if err := shape.Check(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations a row", n)
	}
}

func TestRequired(t *testing.T) {
	columns := []*Column{{Name: "a", Type: Integer, Required: true}, {Name: "b", Type: String}}
	d, err := Descriptor(columns)
	if err != nil {
		t.Fatal(err)
	}
	shape, err := Compile(d, columns)
	if err != nil {
		t.Fatal(err)
	}
	if err := shape.Check([]byte{0x08, 0}); err != nil {
		t.Error(err)
	}
	if err := shape.Check([]byte{0x12, 1, 'x'}); err == nil || err.Error() != "Field a: required field is missing" {
		t.Error(err)
	}
}

func TestDecimals(t *testing.T) {
	for in, want := range map[string]string{
		"1": "1", "-0.50": "-0.5", "1e3": "1000", "0": "0", "-0": "0", "1.123456789": "1.123456789", "12.5E-1": "1.25",
	} {
		if got, err := parseDecimal(in, numericBounds); got != want || err != nil {
			t.Errorf("%s: %s %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "x", "1.1234567891", "1e30", ".", "1e", "--1", "999999999999999999999999999999"} {
		if got, err := parseDecimal(in, numericBounds); err == nil {
			t.Errorf("%s: %s, want an error", in, got)
		}
	}
}
