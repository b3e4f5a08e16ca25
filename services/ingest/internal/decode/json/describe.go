package json

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// extraName is the column that unknown fields are kept in.
const extraName = "_extra"

// AddPayload adds to a row message the payload's column and the message types it is made of, nested in the row message: a self-contained
// descriptor as BigQuery wants it. row is named and holds the envelope.
func (p *Plan) AddPayload(row *descriptorpb.DescriptorProto, column string, number int32) error {
	d, err := describe(p.schema, column, p.settings.Unknown == Keep)
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
		TypeName: proto.String(names[d.order[0]]),
		Options:  decode.ColumnOptions(&columnv1.Column{Description: describable(p.schema.doc)}),
	})
	for _, m := range d.order {
		m.message.Name = proto.String(names[m])
		for i, part := range m.parts {
			if part != nil {
				m.message.Field[i].TypeName = proto.String(names[part])
			}
		}
		row.NestedType = append(row.NestedType, m.message)
	}
	return nil
}

// description is the message types of a schema, in order of first use.
type description struct {
	order   []*described
	records map[*typ]*described
	fields  map[string]bool // every field name: no message may have one, for names are looked up from the inside out
	open    map[*typ]bool
	columns int
	faults  decode.Misfits
}

// described is one message type: its fields, and beside each the message type that the field is of, if any.
type described struct {
	short, long string
	message     *descriptorpb.DescriptorProto
	parts       []*described
}

// describe lays out the columns of a payload.
func describe(schema *typ, payload string, extra bool) (*description, error) {
	d := &description{records: map[*typ]*described{}, fields: map[string]bool{}, open: map[*typ]bool{}}
	root, err := d.record(schema, decode.TypeName(payload), payload, 1)
	if err := d.faults.Add(err); err != nil {
		return nil, err
	}
	if !extra {
		return d, d.faults.Err()
	}
	for i := range schema.fields {
		if schema.fields[i].name == extraName {
			_ = d.faults.Add(decode.Misfit(payload+"."+extraName, "unknown fields are to be kept in a column of this name: drop or refuse them"))
		}
	}
	if err := d.faults.Err(); err != nil {
		return nil, err
	}
	f := &descriptorpb.FieldDescriptorProto{Name: proto.String(extraName), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	f.Number = proto.Int32(schema.extraNumber())
	f.Type = descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
	f.Options = decode.ColumnOptions(&columnv1.Column{
		Type: columnv1.ColumnType_COLUMN_TYPE_JSON, Description: "Fields that the schema does not know, by their place in the payload.",
	})
	d.fields[extraName] = true
	root.message.Field = append(root.message.Field, f)
	root.parts = append(root.parts, nil)
	return d, nil
}

// extraNumber is the number of the column that unknown fields are kept in: behind all others.
func (t *typ) extraNumber() int32 {
	var last int32
	for i := range t.fields {
		last = max(last, t.fields[i].number)
	}
	return last + 1
}

// record describes a record. One met before is walked again, for the checks that depend on where it stands.
func (d *description) record(t *typ, name, path string, depth int) (*described, error) {
	if d.open[t] {
		return nil, decode.Misfit(path, "the type "+t.name+" contains itself; a table has a fixed shape")
	}
	d.open[t] = true
	defer delete(d.open, t)
	m := &described{short: name, long: decode.TypeName(path)}
	if t.name != "" && depth > 1 {
		m.short, m.long = decode.TypeName(t.shortName()), decode.TypeName(t.name)
	}
	if known := d.records[t]; known != nil {
		m = known
	} else {
		d.records[t] = m
		d.order = append(d.order, m)
	}
	return m, d.message(m, path, depth, func(add adder) error {
		for i := range t.fields {
			f := &t.fields[i]
			if err := add(f.name, f.typ, f.number, f.doc); err != nil {
				return err
			}
		}
		return nil
	})
}

// adder adds a column to the message being described.
type adder func(name string, t *typ, number int32, doc string) error

func (d *description) message(m *described, path string, depth int, columns func(adder) error) error {
	if depth > decode.MaxNesting {
		return decode.Misfit(path, fmt.Sprintf("it is nested deeper than BigQuery's %d levels", decode.MaxNesting))
	}
	m.message, m.parts = &descriptorpb.DescriptorProto{}, nil
	seen, before := map[string]bool{}, d.faults.Len()
	err := columns(func(name string, t *typ, number int32, doc string) error {
		at := path + "." + name
		if err := d.faults.Add(checkColumn(name, seen, at)); err != nil {
			return err
		}
		switch d.columns++; {
		case d.columns == decode.MaxColumns+1:
			return d.faults.Add(decode.Misfit(at, fmt.Sprintf("it is beyond BigQuery's %d columns", decode.MaxColumns)))
		case d.columns > decode.MaxColumns:
			return nil
		}
		f, part, err := d.column(name, t, at, depth)
		if f == nil || err != nil {
			return d.faults.Add(err)
		}
		d.fields[name] = true
		f.Number = &number
		if doc != "" {
			decode.DescribeColumn(f, doc)
		}
		m.message.Field = append(m.message.Field, f)
		m.parts = append(m.parts, part)
		return nil
	})
	if err == nil && len(m.message.Field) == 0 && d.faults.Len() == before {
		err = decode.Misfit(path, "it has no columns; BigQuery has no empty RECORD")
	}
	return err
}

// checkColumn checks the name of a column: what BigQuery and a protobuf descriptor both take.
func checkColumn(name string, seen map[string]bool, path string) error {
	for i, c := range []byte(name) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return decode.Misfit(path, fmt.Sprintf("%q cannot name a column: letters, digits and underscores only, no digit first; "+
				"rename the field, or leave it out of the schema and set unknown_fields to keep or drop", name))
		}
	}
	if name == "" {
		return decode.Misfit(path, "a column needs a name; leave the field out of the schema and set unknown_fields to keep or drop")
	}
	return decode.CheckName(name, seen, path)
}

// column describes one column; it is nil for a type that only has null.
func (d *description) column(name string, t *typ, path string, depth int) (f *descriptorpb.FieldDescriptorProto, part *described, err error) {
	f = &descriptorpb.FieldDescriptorProto{Name: &name, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	switch t.kind {
	case kindNull:
		return nil, nil, nil
	case kindMap:
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		part, err = d.entry(name, t.items, path+"[]", depth)
	case kindArray:
		// A null array is an empty one: a REPEATED column has no null (GoogleSQL, "Array type").
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		part, err = d.value(f, name, t.items, path+"[]", depth)
	default:
		part, err = d.value(f, name, t, path, depth)
	}
	if part != nil {
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
	}
	return f, part, err
}

// value sets the type of a column that holds t, or returns its message type.
func (d *description) value(f *descriptorpb.FieldDescriptorProto, name string, t *typ, path string, depth int) (*described, error) {
	switch t.kind {
	case kindRecord:
		if t.isRange {
			f.Options = decode.ColumnOptions(&columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_RANGE})
		}
		return d.record(t, decode.TypeName(name), path, depth+1)
	case kindItem:
		m := &described{short: decode.TypeName(name) + "Item", long: decode.TypeName(path) + "Item"}
		d.order = append(d.order, m)
		return m, d.message(m, path, depth+1, func(add adder) error { return add(t.name, t.items, 1, "") })
	case kindUnion:
		m := &described{short: decode.TypeName(name) + "Union", long: decode.TypeName(path) + "Union"}
		d.order = append(d.order, m)
		return m, d.message(m, path, depth+1, func(add adder) error {
			for i := range t.branches {
				if err := add(t.branches[i].name, t.branches[i].typ, t.branches[i].number, ""); err != nil {
					return err
				}
			}
			return nil
		})
	}
	column, err := scalarColumn(f, t, path)
	f.Options = decode.ColumnOptions(column)
	return nil, err
}

// entry describes the entries of a map.
func (d *description) entry(name string, values *typ, path string, depth int) (*described, error) {
	if values.kind == kindNull {
		return nil, decode.Misfit(path, "a map of nulls has no column for its values; make it an array of its keys")
	}
	m := &described{short: decode.TypeName(name) + "Entry", long: decode.TypeName(path) + "Entry"}
	d.order = append(d.order, m)
	return m, d.message(m, path, depth+1, func(add adder) error {
		if err := add("key", &typ{kind: kindString}, 1, ""); err != nil {
			return err
		}
		return add("value", values, 2, "")
	})
}

// name gives every message type a name that no other has: short if it can be.
func (d *description) name(taken map[string]bool) map[*described]string {
	names := map[*described]string{}
	for _, m := range d.order {
		name := m.short
		if taken[name] || d.fields[name] {
			name = m.long
		}
		for i := 2; taken[name] || d.fields[name]; i++ {
			name = fmt.Sprintf("%s%d", m.long, i)
		}
		taken[name] = true
		names[m] = name
	}
	return names
}
