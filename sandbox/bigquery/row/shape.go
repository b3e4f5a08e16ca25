package row

import (
	"fmt"
	"strings"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Shape is a row descriptor compiled against a table's columns. It is immutable and safe for concurrent use.
type Shape struct {
	root    *message
	columns []*Column
}

// Columns are the table's columns the shape was compiled against.
func (s *Shape) Columns() []*Column { return s.columns }

// message is a compiled message: its fields by number.
type message struct {
	// dense holds the fields numbered below len(dense); sparse the rest.
	dense  []*field
	sparse map[protowire.Number]*field
	// needed are the fields every message must carry; a field's own place in it is field.need.
	needed []*field
	width  int // columns in the RECORD
}

func (m *message) field(n protowire.Number) *field {
	if int64(n) < int64(len(m.dense)) {
		return m.dense[n]
	}
	return m.sparse[n]
}

// field is a compiled field and the column it feeds.
type field struct {
	column *Column
	index  int // of the column in its RECORD
	need   int // place in message.needed, or -1
	path   string
	wire   protowire.Type
	kind   protoreflect.Kind
	list   bool
	sub    *message
	span   *message // RANGE: its start and end
	wrap   *field   // google.protobuf.*Value: the field inside
	stamp  bool     // google.protobuf.Timestamp
	enum   map[int32]string
	check  func(*field, scalar) error
	read   func(*field, scalar) any
}

// ExtraFieldsError says that the writer's descriptor has fields the table has no columns for.
type ExtraFieldsError struct{ Fields []string }

func (e *ExtraFieldsError) Error() string {
	return "The source object has fields unknown to BigQuery: " + strings.Join(e.Fields, ", ") + "."
}

// Compile fits a self-contained descriptor (the bytes of a DescriptorProto) to columns, by the type table of
// https://cloud.google.com/bigquery/docs/supported-data-types. A field without a column is an *ExtraFieldsError; any
// other mismatch is a plain error.
func Compile(descriptor []byte, columns []*Column) (*Shape, error) {
	md, err := parseDescriptor(descriptor)
	if err != nil {
		return nil, err
	}
	c := compiler{}
	root, err := c.message(md, columns, "", 1)
	if err != nil {
		return nil, err
	}
	if len(c.extra) > 0 {
		return nil, &ExtraFieldsError{Fields: c.extra}
	}
	return &Shape{root: root, columns: columns}, nil
}

func parseDescriptor(b []byte) (protoreflect.MessageDescriptor, error) {
	var d descriptorpb.DescriptorProto
	if err := proto.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("invalid proto schema: %w", err)
	}
	if d.GetName() == "" {
		return nil, fmt.Errorf("invalid proto schema: the descriptor has no name")
	}
	file := &descriptorpb.FileDescriptorProto{
		Name:        proto.String("row.proto"),
		Syntax:      proto.String("proto2"),
		Dependency:  []string{"google/protobuf/wrappers.proto", "google/protobuf/timestamp.proto"},
		MessageType: []*descriptorpb.DescriptorProto{&d},
	}
	var known protoregistry.Files
	for _, f := range []protoreflect.FileDescriptor{
		wrapperspb.File_google_protobuf_wrappers_proto, timestamppb.File_google_protobuf_timestamp_proto,
	} {
		if err := known.RegisterFile(f); err != nil {
			return nil, err
		}
	}
	// A proto3 descriptor marks `optional` with a synthetic oneof; rows are read as proto2, where the mark has no
	// place.
	plain(&d)
	f, err := protodesc.FileOptions{AllowUnresolvable: false}.New(file, &known)
	if err != nil {
		return nil, fmt.Errorf("invalid proto schema: %w", err)
	}
	return f.Messages().Get(0), nil
}

func plain(d *descriptorpb.DescriptorProto) {
	for _, f := range d.Field {
		f.Proto3Optional = nil
		f.OneofIndex = nil
		f.JsonName = nil
	}
	d.OneofDecl = nil
	for _, n := range d.NestedType {
		plain(n)
	}
}

type compiler struct{ extra []string }

func (c *compiler) message(md protoreflect.MessageDescriptor, columns []*Column, under string,
	depth int,
) (*message, error) {
	if depth > maxDepth+1 { // the row itself is a message too
		return nil, fmt.Errorf("proto message %s is nested deeper than %d levels", md.FullName(), maxDepth)
	}
	m := &message{width: len(columns)}
	fed := map[int]protoreflect.FieldDescriptor{}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		name := fieldName(fd)
		index, column := Field(columns, name)
		if column == nil {
			c.extra = append(c.extra, under+name)
			continue
		}
		if fed[index] != nil && !fills(fd) {
			return nil, fmt.Errorf("fields %s and %s both map to column %s%s", fed[index].Name(), fd.Name(), under,
				column.Name)
		}
		f, err := c.field(fd, column, under+column.Name, depth)
		if err != nil {
			return nil, err
		}
		f.index = index
		if fed[index] != nil { // either of the two makes the column complete
			f.need = m.byColumn(index).need
			m.place(fd.Number(), f)
			continue
		}
		fed[index] = fd
		m.put(fd.Number(), f, column.Required || fd.Cardinality() == protoreflect.Required)
	}
	for i, column := range columns {
		if column.Required && fed[i] == nil {
			return nil, fmt.Errorf("the required field %s%s is missing from the writer's proto schema", under,
				column.Name)
		}
	}
	return m, nil
}

// fieldName is the column a field feeds: its own name, or the one its column_name option gives.
func fieldName(fd protoreflect.FieldDescriptor) string {
	if o, ok := fd.Options().(*descriptorpb.FieldOptions); ok && proto.HasExtension(o, storagepb.E_ColumnName) {
		return proto.GetExtension(o, storagepb.E_ColumnName).(string)
	}
	return string(fd.Name())
}

const denseFields = 512

func (m *message) put(n protowire.Number, f *field, needed bool) {
	f.need = -1
	if needed {
		f.need = len(m.needed)
		m.needed = append(m.needed, f)
	}
	m.place(n, f)
}

func (m *message) place(n protowire.Number, f *field) {
	if n >= denseFields {
		if m.sparse == nil {
			m.sparse = map[protowire.Number]*field{}
		}
		m.sparse[n] = f
		return
	}
	for int(n) >= len(m.dense) {
		m.dense = append(m.dense, nil)
	}
	m.dense[n] = f
}

func (c *compiler) field(fd protoreflect.FieldDescriptor, column *Column, path string, depth int) (*field, error) {
	f := &field{column: column, path: path, kind: fd.Kind(), list: fd.IsList()}
	if f.list != column.Repeated {
		return nil, fmt.Errorf("Proto field %s is %s, but column %s is %s",
			fd.FullName(), fd.Cardinality(), path, column.mode())
	}
	if fd.Kind() == protoreflect.GroupKind {
		return nil, fmt.Errorf("Proto field %s is a group, which BigQuery does not take", fd.FullName())
	}
	f.wire = wireType(fd.Kind())
	if fd.Kind() == protoreflect.EnumKind {
		f.enum = map[int32]string{}
		for i := range fd.Enum().Values().Len() {
			v := fd.Enum().Values().Get(i)
			if _, alias := f.enum[int32(v.Number())]; !alias {
				f.enum[int32(v.Number())] = string(v.Name())
			}
		}
	}
	mismatch := fmt.Errorf("The field %s could not be converted: Proto field %s of type %s "+
		"does not fit column %s of type %s",
		path, fd.FullName(), protoType(fd), path, column.Type)
	if fd.Kind() == protoreflect.MessageKind {
		return f, c.messageField(f, fd, mismatch, depth)
	}
	fit := fits[column.Type][fd.Kind()]
	if fit.read == nil {
		return nil, mismatch
	}
	f.check, f.read = fit.check, fit.read
	return f, nil
}

func (c *compiler) messageField(f *field, fd protoreflect.FieldDescriptor, mismatch error, depth int) (err error) {
	name := fd.Message().FullName()
	switch {
	case f.column.Type == Struct:
		f.sub, err = c.message(fd.Message(), f.column.Fields, f.path+".", depth+1)
		return err
	case f.column.Type == Range:
		return c.rangeField(f, fd, depth)
	case name == "google.protobuf.Timestamp" && f.column.Type == Timestamp:
		f.stamp = true
		return nil
	case fd.Message().ParentFile().Path() == "google/protobuf/wrappers.proto":
		inner := fd.Message().Fields().Get(0)
		fit := fits[f.column.Type][inner.Kind()]
		if fit.read == nil {
			return mismatch
		}
		f.wrap = &field{
			column: f.column, path: f.path, kind: inner.Kind(), wire: wireType(inner.Kind()), need: -1,
			check: fit.check, read: fit.read,
		}
		return nil
	}
	return mismatch
}

func protoType(fd protoreflect.FieldDescriptor) string {
	if fd.Kind() == protoreflect.MessageKind {
		return string(fd.Message().FullName())
	}
	return fd.Kind().String()
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	}
	return protowire.VarintType
}
