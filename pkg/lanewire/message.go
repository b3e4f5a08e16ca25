package lanewire

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Message is the message that a row's self-contained descriptor describes, read as BigQuery reads rows: as proto2,
// where every field is optional, and an absent one is NULL. A nameless package and a file of its own make names in the
// descriptor mean what is inside it, and nothing else. The descriptor stays as it is.
func Message(d *descriptorpb.DescriptorProto) (protoreflect.MessageDescriptor, error) {
	d = proto.CloneOf(d)
	asProto2(d)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("row.proto"), Syntax: proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{d},
	}, nil)
	if err != nil {
		return nil, err
	}
	return file.Messages().Get(0), nil
}

// asProto2 removes from a descriptor how proto3 spells an optional field.
func asProto2(d *descriptorpb.DescriptorProto) {
	d.OneofDecl = nil
	for _, f := range d.GetField() {
		f.Proto3Optional, f.OneofIndex = nil, nil
	}
	for _, nested := range d.GetNestedType() {
		asProto2(nested)
	}
}
