package contract

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/proto/image"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
)

// The generated messages and those built from the schema at run time are the same columns: names, numbers, types,
// labels, column types.
func TestRunTimeRowIsTheGeneratedOne(t *testing.T) {
	for name, b := range builtins {
		schema, err := avro.Parse(string(b.schema))
		if err != nil {
			t.Fatal(err)
		}
		plan, err := schema.Compile(decode.Options{Contract: name, Payload: b.payload})
		if err != nil {
			t.Fatal(err)
		}
		got, err := rowDescriptor(plan, b.payload, false)
		if err != nil {
			t.Fatal(err)
		}
		want, err := image.Self(b.message)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range []*descriptorpb.DescriptorProto{got, want} {
			for _, m := range append([]*descriptorpb.DescriptorProto{row}, row.NestedType...) {
				dropDescriptions(m)
			}
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: generated -, run time +\n%s", name, diff)
		}
	}
}

// dropDescriptions removes what the schema files do not have.
func dropDescriptions(m *descriptorpb.DescriptorProto) {
	for _, f := range m.Field {
		c, _ := proto.GetExtension(f.Options, columnv1.E_Column).(*columnv1.Column)
		f.Options = nil
		if c.GetType() != columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED {
			f.Options = &descriptorpb.FieldOptions{}
			proto.SetExtension(f.Options, columnv1.E_Column, &columnv1.Column{
				Type: c.Type, Precision: c.Precision, Scale: c.Scale,
			})
		}
	}
}
