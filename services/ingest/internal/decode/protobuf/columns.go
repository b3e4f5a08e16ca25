package protobuf

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// AddPayload adds to a row message the payload's column and the message types it is made of, nested in the row message.
func (p *Plan) AddPayload(row *descriptorpb.DescriptorProto, column string, number int32) error {
	d, err := describe(p.message, p.options.Payload, overridesOf(&p.options))
	if err != nil {
		return err
	}
	taken := map[string]bool{row.GetName(): true}
	for _, t := range row.NestedType {
		taken[t.GetName()] = true
	}
	names := d.name(taken)
	row.Field = append(row.Field, &descriptorpb.FieldDescriptorProto{
		Name:     &column,
		Number:   &number,
		Label:    descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		Type:     descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
		TypeName: proto.String(names[d.order[0].key]),
	})
	if doc := comment(p.message); doc != "" {
		decode.DescribeColumn(row.Field[len(row.Field)-1], doc)
	}
	for _, m := range d.order {
		m.message.Name = proto.String(names[m.key])
		for _, f := range m.message.Field {
			if f.TypeName != nil {
				f.TypeName = proto.String(names[f.GetTypeName()])
			}
		}
		row.NestedType = append(row.NestedType, m.message)
	}
	return nil
}

// description is the message types of a payload, in order of first use.
type description struct {
	order   []*described
	known   map[string]bool
	fields  map[string]bool // every field name: no message may have one, for names are looked up from the inside out
	open    map[protoreflect.FullName]bool
	columns int

	faults    decode.Misfits
	overrides overrides
	met       map[string]bool // the paths of the overrides that lead to fields
}

// described is one message type. Until the types are named, fields refer to it by its key.
type described struct {
	key     string
	source  protoreflect.MessageDescriptor
	message *descriptorpb.DescriptorProto
}

// describe lays out the columns of a payload.
func describe(m protoreflect.MessageDescriptor, payload string, asked overrides) (*description, error) {
	d := &description{
		known: map[string]bool{}, fields: map[string]bool{}, open: map[protoreflect.FullName]bool{}, overrides: asked, met: map[string]bool{},
	}
	if _, ok := well[m.FullName()]; ok {
		return nil, decode.Misfit(payload, string(m.FullName())+" is one value; a payload is a message of your own with fields")
	}
	for _, err := range append([]error{d.record(m, payload, 1)}, asked.check(d.met)...) {
		if err := d.faults.Add(err); err != nil {
			return nil, err
		}
	}
	return d, d.faults.Err()
}

// key names the type of a message at a path: one type for all places, but for those below which the contract asks for columns.
func (d *description) key(m protoreflect.MessageDescriptor, path string) string {
	if d.overrides.within(path) {
		return string(m.FullName()) + "@" + path
	}
	return string(m.FullName())
}

// record describes a message. One met before is walked again, for the checks that depend on where it stands.
func (d *description) record(m protoreflect.MessageDescriptor, path string, depth int) error {
	name := m.FullName()
	switch {
	case d.open[name]:
		return decode.Misfit(path, "the message "+string(name)+" contains itself; a table has a fixed shape")
	case depth > decode.MaxNesting:
		return decode.Misfit(path, fmt.Sprintf("it is nested deeper than BigQuery's %d levels", decode.MaxNesting))
	case m.Fields().Len() == 0:
		return decode.Misfit(path, "the message "+string(name)+" has no fields; BigQuery has no empty RECORD")
	}
	d.open[name] = true
	defer delete(d.open, name)
	t := &described{key: d.key(m, path), source: m, message: &descriptorpb.DescriptorProto{}}
	if !d.known[t.key] {
		d.known[t.key] = true
		d.order = append(d.order, t)
	}
	seen := map[string]bool{}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		at := path + "." + string(f.Name())
		if err := d.faults.Add(decode.CheckName(string(f.Name()), seen, at)); err != nil {
			return err
		}
		switch d.columns++; {
		case d.columns == decode.MaxColumns+1:
			return decode.Misfit(at, fmt.Sprintf("it is beyond BigQuery's %d columns", decode.MaxColumns))
		case d.columns > decode.MaxColumns:
			return nil
		}
		c, err := d.column(f, at, depth)
		if err != nil {
			if err := d.faults.Add(err); err != nil {
				return err
			}
			continue
		}
		d.fields[c.GetName()] = true
		t.message.Field = append(t.message.Field, c)
	}
	return nil
}

// column describes one column.
func (d *description) column(f protoreflect.FieldDescriptor, path string, depth int) (*descriptorpb.FieldDescriptorProto, error) {
	c := &descriptorpb.FieldDescriptorProto{
		Name: proto.String(string(f.Name())), Number: proto.Int32(int32(f.Number())), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
	if f.Cardinality() == protoreflect.Repeated {
		c.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		path += "[]"
	}
	if f.Kind() == protoreflect.GroupKind {
		return nil, decode.Misfit(path, "it is a group, which BigQuery does not read; make it a message")
	}
	if err := checkOption(f, path); err != nil {
		return nil, err
	}
	if asked := d.overrides.at(path); asked != nil {
		d.met[d.overrides.below(path)] = true
		return c, d.asked(c, f, asked, path, depth)
	}
	option := &columnv1.Column{}
	if o := optionOf(f); o != nil {
		option = proto.CloneOf(o)
	}
	kind, column := descriptorpb.FieldDescriptorProto_TYPE_STRING, option.Type
	switch what := cellOf(f); what {
	case cellMessage:
		kind = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
		c.TypeName = proto.String(d.key(f.Message(), path))
		if err := d.record(f.Message(), path, depth+1); err != nil {
			return nil, err
		}
	case cellEnum:
	case cellTimestamp:
		kind, column = descriptorpb.FieldDescriptorProto_TYPE_INT64, columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP
	case cellDuration:
		column = columnv1.ColumnType_COLUMN_TYPE_INTERVAL
	case cellJSON:
		column = columnv1.ColumnType_COLUMN_TYPE_JSON
	case cellEmpty:
		kind = descriptorpb.FieldDescriptorProto_TYPE_BOOL
	default:
		kind = scalarType(scalarOf(f, what).Kind())
	}
	c.Type, option.Type = kind.Enum(), column
	c.Options = decode.ColumnOptions(option)
	if doc := comment(f); doc != "" && option.Description == "" {
		decode.DescribeColumn(c, doc)
	}
	return c, nil
}

// scalarType is the type that carries a scalar in the row, of the same bytes. BigQuery has no unsigned numbers of 64 bits: the row calls
// them signed, and those beyond are refused.
func scalarType(k protoreflect.Kind) descriptorpb.FieldDescriptorProto_Type {
	switch k {
	case protoreflect.Uint64Kind:
		return descriptorpb.FieldDescriptorProto_TYPE_INT64
	case protoreflect.Fixed64Kind:
		return descriptorpb.FieldDescriptorProto_TYPE_SFIXED64
	}
	return descriptorpb.FieldDescriptorProto_Type(k)
}

// comment is the comment on a message or field as one line of text, if the set has it.
func comment(d protoreflect.Descriptor) string {
	at := d.ParentFile().SourceLocations().ByDescriptor(d)
	text := at.LeadingComments
	if text == "" {
		text = at.TrailingComments
	}
	return strings.Join(strings.Fields(text), " ")
}

// name gives every message type a name that no other has: short if it can be.
func (d *description) name(taken map[string]bool) map[string]string {
	names := map[string]string{}
	for _, m := range d.order {
		name, long := decode.TypeName(string(m.source.Name())), decode.TypeName(string(m.source.FullName()))
		if taken[name] || d.fields[name] {
			name = long
		}
		for i := 2; taken[name] || d.fields[name]; i++ {
			name = fmt.Sprintf("%s%d", long, i)
		}
		taken[name] = true
		names[m.key] = name
	}
	return names
}
