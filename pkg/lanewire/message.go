package lanewire

import "google.golang.org/protobuf/types/descriptorpb"

// AsProto2 removes from a row's descriptor how proto3 spells an optional field. Rows are read as proto2, where every
// field is one, and an absent one is NULL.
func AsProto2(d *descriptorpb.DescriptorProto) {
	d.OneofDecl = nil
	for _, f := range d.GetField() {
		f.Proto3Optional, f.OneofIndex = nil, nil
	}
	for _, nested := range d.GetNestedType() {
		AsProto2(nested)
	}
}
