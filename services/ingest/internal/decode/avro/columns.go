package avro

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// AddPayload adds to a row message the payload's column and the message types it is made of, nested in the row message: a self-contained
// descriptor as BigQuery wants it. row is named and holds the envelope.
func (p *Plan) AddPayload(row *descriptorpb.DescriptorProto, column string, number int32) error {
	d, err := describe(p.schema, column)
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
		Options:  decode.ColumnOptions(&columnv1.Column{Description: p.schema.doc}),
	})
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

// description is the message types of a schema, in order of first use.
type description struct {
	order   []*described
	byKey   map[string]*described
	fields  map[string]bool // every field name: no message may have one, for names are looked up from the inside out
	open    map[*typ]bool
	columns int
	faults  decode.Misfits
}

// described is one message type. Until the types are named, fields refer to it by its key.
type described struct {
	key, short, long string
	message          *descriptorpb.DescriptorProto
}

// describe lays out the columns of a payload.
func describe(schema *typ, payload string) (*description, error) {
	d := &description{byKey: map[string]*described{}, fields: map[string]bool{}, open: map[*typ]bool{}}
	if schema.kind != kindRecord {
		return nil, decode.Misfit(payload, "the schema is of type "+schema.kind.String()+", a payload is a record")
	}
	_, err := d.record(schema, &described{key: "payload", short: decode.TypeName(payload), long: decode.TypeName(payload)}, payload, 1)
	if err := d.faults.Add(err); err != nil {
		return nil, err
	}
	return d, d.faults.Err()
}

// record describes a record under m's names and returns its key.
func (d *description) record(t *typ, m *described, path string, depth int) (string, error) {
	if d.open[t] {
		return "", decode.Misfit(path, "the type "+t.name+" contains itself; a table has a fixed shape")
	}
	d.open[t] = true
	defer delete(d.open, t)
	return d.message(m, path, depth, func(add adder) error {
		for i := range t.fields {
			f := &t.fields[i]
			if err := add(f.name, f.typ, i+1, f.doc); err != nil {
				return err
			}
		}
		return nil
	})
}

// adder adds a column to the message being described.
type adder func(name string, t *typ, number int, doc string) error

// message describes a message type. One met before is walked again, for the checks that depend on where it stands.
func (d *description) message(m *described, path string, depth int, columns func(adder) error) (string, error) {
	if depth > decode.MaxNesting {
		return "", decode.Misfit(path, fmt.Sprintf("it is nested deeper than BigQuery's %d levels", decode.MaxNesting))
	}
	if known := d.byKey[m.key]; known != nil {
		m = &described{key: m.key}
	} else {
		d.byKey[m.key] = m
		d.order = append(d.order, m)
	}
	m.message = &descriptorpb.DescriptorProto{}
	seen, before := map[string]bool{}, d.faults.Len()
	err := columns(func(name string, t *typ, number int, doc string) error {
		at := path + "." + name
		if err := d.faults.Add(decode.CheckName(name, seen, at)); err != nil {
			return err
		}
		switch d.columns++; {
		case d.columns == decode.MaxColumns+1:
			return d.faults.Add(decode.Misfit(at, fmt.Sprintf("it is beyond BigQuery's %d columns", decode.MaxColumns)))
		case d.columns > decode.MaxColumns:
			return nil
		}
		f, err := d.column(name, t, at, depth)
		if f == nil || err != nil {
			return d.faults.Add(err)
		}
		d.fields[name] = true
		f.Number = proto.Int32(int32(number))
		if doc != "" {
			decode.DescribeColumn(f, doc)
		}
		m.message.Field = append(m.message.Field, f)
		return nil
	})
	if err == nil && len(m.message.Field) == 0 && d.faults.Len() == before {
		err = decode.Misfit(path, "it has no columns; BigQuery has no empty RECORD")
	}
	return m.key, err
}

// column describes one column; it is nil for a type that only has null.
func (d *description) column(name string, t *typ, path string, depth int) (*descriptorpb.FieldDescriptorProto, error) {
	f := &descriptorpb.FieldDescriptorProto{Name: &name, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	t, _ = t.column()
	var key string
	var err error
	switch t.kind {
	case kindNull:
		return nil, nil
	case kindArray, kindMap:
		// A null array is an empty one: a REPEATED column has no null (GoogleSQL, "Array type").
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		if t.kind == kindMap {
			key, err = d.entry(name, t.items, path+"[]", depth)
			break
		}
		if wrap := wrapper(t.items); wrap != "" {
			key, err = d.item(name, wrap, t.items, path+"[]", depth)
			break
		}
		items, _ := t.items.column()
		key, err = d.value(f, name, items, path+"[]", depth)
	default:
		key, err = d.value(f, name, t, path, depth)
	}
	if key != "" {
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		f.TypeName = &key
	}
	return f, err
}

// value sets the type of a column that holds t, or returns the key of its message type.
func (d *description) value(f *descriptorpb.FieldDescriptorProto, name string, t *typ, path string, depth int) (string, error) {
	switch t.kind {
	case kindRecord:
		if t.asked != nil {
			f.Options = decode.ColumnOptions(&columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_RANGE})
		}
		return d.record(t, &described{key: "record " + t.key(), short: decode.TypeName(t.shortName()), long: decode.TypeName(t.name)}, path, depth+1)
	case kindUnion:
		return d.union(name, t, path, depth)
	}
	column, err := scalarColumn(f, t, path)
	f.Options = decode.ColumnOptions(column)
	return "", err
}

// union describes a union of several types: a RECORD with a nullable column for each.
func (d *description) union(name string, t *typ, path string, depth int) (string, error) {
	m := &described{key: "union " + path, short: decode.TypeName(name) + "Union", long: decode.TypeName(path) + "Union"}
	return d.message(m, path, depth+1, func(add adder) error {
		for i, b := range t.branches {
			if b.kind == kindNull {
				continue
			}
			if err := add(branchName(t, i), b, i+1, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// branchName names the column of a branch: after its type, or its name for a named one.
func branchName(union *typ, branch int) string {
	b := union.branches[branch]
	if b.name == "" {
		return b.kind.String() + "_value"
	}
	for i, other := range union.branches {
		if i != branch && strings.EqualFold(other.shortName(), b.shortName()) {
			return strings.ReplaceAll(b.name, ".", "_") + "_value"
		}
	}
	return b.shortName() + "_value"
}

// item describes the RECORD around an item of an array that is no column by itself.
func (d *description) item(name, wrap string, items *typ, path string, depth int) (string, error) {
	m := &described{key: "item " + path, short: decode.TypeName(name) + "Item", long: decode.TypeName(path) + "Item"}
	return d.message(m, path, depth+1, func(add adder) error { return add(wrap, items, 1, "") })
}

// entry describes the entries of a map. Maps of one type of value share their entry's message.
func (d *description) entry(name string, values *typ, path string, depth int) (string, error) {
	m := &described{key: "entry " + path, short: decode.TypeName(name) + "Entry", long: decode.TypeName(path) + "Entry"}
	switch value, _ := values.column(); value.kind {
	case kindRecord, kindEnum, kindFixed:
		m.key, m.short, m.long = "entry of "+value.key(), decode.TypeName(value.shortName())+"Entry", decode.TypeName(value.name)+"Entry"
	case kindArray, kindMap, kindUnion:
	case kindNull:
		return "", decode.Misfit(path, "a map of nulls has no column for its values; make it an array of its keys")
	default:
		kind := fmt.Sprintf("%s%d", value.kind, value.logical)
		if value.logical == logicalDecimal || value.asked != nil {
			break
		}
		m.key = "entry of " + kind
		if value.logical == logicalNone {
			m.short, m.long = decode.TypeName(value.kind.String())+"Entry", decode.TypeName(value.kind.String())+"MapEntry"
		}
	}
	return d.message(m, path, depth+1, func(add adder) error {
		if err := add("key", &typ{kind: kindString}, 1, ""); err != nil {
			return err
		}
		return add("value", values, 2, "")
	})
}

// name gives every message type a name that no other has, by its key: short if it can be.
func (d *description) name(taken map[string]bool) map[string]string {
	names := map[string]string{}
	for _, m := range d.order {
		name := m.short
		if taken[name] || d.fields[name] {
			name = m.long
		}
		for i := 2; taken[name] || d.fields[name]; i++ {
			name = fmt.Sprintf("%s%d", m.long, i)
		}
		taken[name] = true
		names[m.key] = name
	}
	return names
}
