package image_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	deliveryv6 "github.com/waybill-data/waybill/proto/delivery/v6"
	"github.com/waybill-data/waybill/proto/image"
	stockv1 "github.com/waybill-data/waybill/proto/stock/v1"
)

var rows = []proto.Message{&deliveryv6.DeliveryEvent{}, &stockv1.PhysicalStockEvent{}}

// The image is a file beside the generated code: a .proto changed without `make gen` shows here.
func TestImageIsTheGeneratedCode(t *testing.T) {
	for _, row := range rows {
		generated := row.ProtoReflect().Descriptor()
		m, err := image.Message(string(generated.FullName()))
		if err != nil {
			t.Fatal(err)
		}
		want, got := protodesc.ToFileDescriptorProto(generated.ParentFile()),
			protodesc.ToFileDescriptorProto(m.ParentFile())
		want.SourceCodeInfo, got.SourceCodeInfo = nil, nil // comments are in the image only
		if !proto.Equal(want, got) {
			t.Errorf("%s: the image and the generated code differ; run `make gen`", generated.ParentFile().Path())
		}
	}
}

func TestSelf(t *testing.T) {
	for _, row := range rows {
		generated := row.ProtoReflect().Descriptor()
		self, err := image.Self(string(generated.FullName()))
		if err != nil {
			t.Fatal(err)
		}
		// It stands alone: a file with nothing else in it links, as proto2.
		file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
			Name: proto.String("self.proto"), Syntax: proto.String("proto2"),
			MessageType: []*descriptorpb.DescriptorProto{self},
		}, &protoregistry.Files{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, string(generated.Name()), file.Messages().Get(0), generated, 0)
		if n := len(self.NestedType); n < 1 || len(self.Field) != generated.Fields().Len() {
			t.Errorf("%d types, %d fields", n, len(self.Field))
		}
	}
}

// Rows repeat the envelope's fields instead of nesting it: this holds them to it, comments and column types included.
func TestRowsHaveTheEnvelope(t *testing.T) {
	envelope, err := image.Self("envelope.v1.Envelope")
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range rows {
		name := string(message.ProtoReflect().Descriptor().FullName())
		row, err := image.Self(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(row.Field) != len(envelope.Field)+1 {
			t.Fatalf("%s: %d fields, want the envelope's %d and a payload", name, len(row.Field), len(envelope.Field))
		}
		for i, want := range envelope.Field {
			if got := row.Field[i]; !proto.Equal(got, want) {
				t.Errorf("%s: %v, the envelope has %v", name, got, want)
			}
		}
		if payload := row.Field[len(envelope.Field)]; payload.GetNumber() != 16 {
			t.Errorf("%s: the payload is field %d, want 16", name, payload.GetNumber())
		}
	}
}

// same compares a self-contained message with the generated one, column by column.
func same(t *testing.T, path string, self, generated protoreflect.MessageDescriptor, depth int) {
	if self.Fields().Len() != generated.Fields().Len() || self.Name() != generated.Name() {
		t.Errorf("%s: %s with %d fields, want %s with %d",
			path, self.Name(), self.Fields().Len(), generated.Name(), generated.Fields().Len())
		return
	}
	for i := range generated.Fields().Len() {
		g, s := generated.Fields().Get(i), self.Fields().Get(i)
		at := path + "." + string(g.Name())
		if g.Name() != s.Name() || g.Number() != s.Number() || g.Kind() != s.Kind() ||
			g.Cardinality() != s.Cardinality() ||
			g.HasPresence() != s.HasPresence() {
			t.Errorf("%s: %v, want %v", at, s, g)
		}
		column := func(f protoreflect.FieldDescriptor) *columnv1.Column {
			c, _ := proto.GetExtension(f.Options(), columnv1.E_Column).(*columnv1.Column)
			return c
		}
		if column(s).GetType() != column(g).GetType() {
			t.Errorf("%s: column type %v, want %v", at, column(s).GetType(), column(g).GetType())
		}
		if description := column(s).GetDescription(); len(description) < 4 || len(description) > 1024 {
			t.Errorf("%s: described as %q", at, description)
		}
		if g.Message() != nil {
			same(t, at, s.Message(), g.Message(), depth+1)
		}
	}
}

func TestUnknownMessage(t *testing.T) {
	for _, name := range []string{"", "delivery.v6.Nothing", "column.v1.ColumnType", "not a name"} {
		if _, err := image.Message(name); err == nil {
			t.Errorf("Message(%q) has no error", name)
		}
		if _, err := image.Self(name); err == nil {
			t.Errorf("Self(%q) has no error", name)
		}
	}
}
