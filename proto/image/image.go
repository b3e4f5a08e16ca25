// Package image holds the descriptors of the row messages with their comments, which generated code leaves out: a
// comment on a field is the description of its column.
//
// image.binpb beside this file is made from the .proto files together with the generated code (`make gen`).
package image

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
)

//go:embed image.binpb
var encoded []byte

var files = sync.OnceValues(func() (*protoregistry.Files, error) {
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(encoded, set); err != nil {
		return nil, fmt.Errorf("embedded descriptors: %w", err)
	}
	local := &protoregistry.Files{}
	for _, f := range set.File {
		file, err := protodesc.NewFile(f, resolver{local})
		if err == nil {
			err = local.RegisterFile(file)
		}
		if err != nil {
			return nil, fmt.Errorf("embedded descriptors: %w", err)
		}
	}
	return local, nil
})

// resolver finds a file's imports: those of the set, and protobuf's own, which the set leaves out.
type resolver struct{ local *protoregistry.Files }

func (r resolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if file, err := r.local.FindFileByPath(path); err == nil {
		return file, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

func (r resolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := r.local.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}

// Message returns a message by its full name, for example delivery.v6.DeliveryEvent. Its comments are at
// ParentFile().SourceLocations(); Comment reads them. It errs when no built-in contract has such a message.
func Message(fullName string) (protoreflect.MessageDescriptor, error) {
	f, err := files()
	if err != nil {
		return nil, err
	}
	d, err := f.FindDescriptorByName(protoreflect.FullName(fullName))
	if err != nil {
		return nil, fmt.Errorf("message %s is not built in", fullName)
	}
	m, ok := d.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is not a message", fullName)
	}
	return m, nil
}

// Comment is the comment on a message or field, as one line of text; empty when there is none.
func Comment(d protoreflect.Descriptor) string {
	return strings.Join(strings.Fields(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments), " ")
}

// Self returns a built-in row message as a self-contained descriptor, the form that a lane's Route carries and BigQuery
// takes: every message type it is made of is nested in it under its short name, fields are proto2 optional or repeated,
// column options are kept, and each column's description is the field's comment. It errs when the message is not built
// in, is recursive, or has what no row has: an enum, a group, or two types with one short name.
func Self(fullName string) (*descriptorpb.DescriptorProto, error) {
	m, err := Message(fullName)
	if err != nil {
		return nil, err
	}
	s := self{types: map[string]protoreflect.FullName{}, open: map[protoreflect.FullName]bool{}}
	if err := s.add(m); err != nil {
		return nil, err
	}
	return s.root, nil
}

// self collects the types of one row message.
type self struct {
	root  *descriptorpb.DescriptorProto
	types map[string]protoreflect.FullName // by short name
	open  map[protoreflect.FullName]bool
}

func (s *self) add(m protoreflect.MessageDescriptor) error {
	name := string(m.Name())
	if s.open[m.FullName()] {
		return fmt.Errorf("%s contains itself", m.FullName())
	}
	switch s.types[name] {
	case "":
	case m.FullName():
		return nil
	default:
		return fmt.Errorf("%s and %s have one short name", s.types[name], m.FullName())
	}
	s.types[name] = m.FullName()
	s.open[m.FullName()] = true
	defer delete(s.open, m.FullName())
	d := &descriptorpb.DescriptorProto{Name: &name}
	if s.root == nil {
		s.root = d
	} else {
		s.root.NestedType = append(s.root.NestedType, d)
	}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.Kind() == protoreflect.EnumKind || f.Kind() == protoreflect.GroupKind {
			return fmt.Errorf("%s is of kind %s, which rows do not have", f.FullName(), f.Kind())
		}
		d.Field = append(d.Field, column(f))
		if f.Message() != nil {
			if err := s.add(f.Message()); err != nil {
				return err
			}
		}
	}
	return nil
}

// column is a field as it stands in a self-contained descriptor.
func column(f protoreflect.FieldDescriptor) *descriptorpb.FieldDescriptorProto {
	d := &descriptorpb.FieldDescriptorProto{
		Name:   proto.String(string(f.Name())),
		Number: proto.Int32(int32(f.Number())),
		Label:  descriptorpb.FieldDescriptorProto_Label(f.Cardinality()).Enum(),
		Type:   descriptorpb.FieldDescriptorProto_Type(f.Kind()).Enum(),
	}
	if f.Message() != nil {
		d.TypeName = proto.String(string(f.Message().Name()))
	}
	c := &columnv1.Column{}
	if set, ok := proto.GetExtension(f.Options(), columnv1.E_Column).(*columnv1.Column); ok && set != nil {
		c = proto.CloneOf(set)
	}
	if c.Description == "" {
		c.Description = Comment(f)
	}
	if proto.Size(c) > 0 {
		d.Options = &descriptorpb.FieldOptions{}
		proto.SetExtension(d.Options, columnv1.E_Column, c)
	}
	return d
}
