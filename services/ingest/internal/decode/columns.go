package decode

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
)

// ColumnOptions wraps what a column says beyond its protobuf type; nil if nothing.
func ColumnOptions(c *columnv1.Column) *descriptorpb.FieldOptions {
	if c == nil || proto.Size(c) == 0 {
		return nil
	}
	options := &descriptorpb.FieldOptions{}
	proto.SetExtension(options, columnv1.E_Column, c)
	return options
}

// DescribeColumn sets a column's description, cut to what BigQuery takes.
func DescribeColumn(f *descriptorpb.FieldDescriptorProto, doc string) {
	c := &columnv1.Column{}
	if f.Options != nil {
		c = proto.CloneOf(proto.GetExtension(f.Options, columnv1.E_Column).(*columnv1.Column))
	}
	if text := []rune(doc); len(text) > MaxDescription {
		doc = string(text[:MaxDescription])
	}
	c.Description = doc
	f.Options = ColumnOptions(c)
}
