package shape

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// AddPayload implements decode.Plan.
func (l *Columns) AddPayload(row *descriptorpb.DescriptorProto, column string, number int32) error {
	envelope := len(row.Field) + 1
	for _, t := range row.NestedType {
		envelope += len(t.Field)
	}
	if l.columns+envelope > decode.MaxColumns {
		return decode.FaultAt(column, fmt.Sprintf("it has %d columns and the envelope %d, beyond BigQuery's %d",
			l.columns, envelope, decode.MaxColumns))
	}
	names := l.name(row)
	payload := &descriptorpb.FieldDescriptorProto{
		Name:     &column,
		Number:   &number,
		Label:    descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		Type:     descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
		TypeName: proto.String(names[l.order[0]]),
	}
	if doc := l.tree.Root.Doc; doc != "" {
		decode.DescribeColumn(payload, doc)
	}
	row.Field = append(row.Field, payload)
	for _, m := range l.order {
		d := &descriptorpb.DescriptorProto{Name: proto.String(names[m])}
		for i, f := range m.fields {
			f = proto.CloneOf(f)
			if part := m.parts[i]; part != nil {
				f.TypeName = proto.String(names[part])
			}
			d.Field = append(d.Field, f)
		}
		row.NestedType = append(row.NestedType, d)
	}
	return nil
}

// Columns are the message types of a payload, in order of first use.
type Columns struct {
	tree    *Tree
	order   []*message
	shared  map[string][]*message // by long name
	fields  map[string]bool       // every field name: no message may have one, names are looked up from inside out
	columns int
}

// message is one message type: its fields, and beside each the type that the field is of, if any.
type message struct {
	short, long string
	shared      bool // places with the same columns share it
	fields      []*descriptorpb.FieldDescriptorProto
	parts       []*message
}

// lay lays out the columns, and finds what BigQuery does not take.
func (t *Tree) lay() *Columns {
	l := &Columns{tree: t, shared: map[string][]*message{}, fields: map[string]bool{}}
	switch root := t.Root; {
	case root.Fault != "":
		t.fault(t.Payload, root.Fault)
	case root.Kind != Record:
		t.fault(t.Payload, "the schema is of type "+root.Kind.String()+
			", a payload is a record; format: raw takes others as they are")
	default:
		l.message(messageOf(root.Named, t.Payload, t.Path), root.Parts, t.Path, 1)
	}
	return l
}

// messageOf names the message of a named type, of a field or of a path.
func messageOf(named, name string, path *decode.Path) *message {
	if named == "" {
		return &message{short: decode.TypeName(name), long: decode.TypeName(path.String())}
	}
	return &message{
		short: decode.TypeName(named[strings.LastIndexByte(named, '.')+1:]), long: decode.TypeName(named), shared: true,
	}
}

// message lays out a message type. It returns the one that is there already, if places share it and have the same
// columns.
func (l *Columns) message(m *message, columns []*Node, path *decode.Path, depth int) *message {
	if depth > decode.MaxNesting {
		l.tree.refuse(path, fmt.Sprintf("it is nested deeper than BigQuery's %d levels", decode.MaxNesting),
			"{type: JSON}")
		return m
	}
	l.order = append(l.order, m)
	seen, before := map[string]bool{}, l.tree.faults.Len()
	for _, n := range columns {
		if n.Skip {
			continue
		}
		at := path.Field(n.Name)
		if reason := decode.CheckName(n.ColumnName(), seen); reason != "" {
			l.tree.refuse(at, reason, "{name: "+decode.SuggestName(n.ColumnName(), seen)+"}")
		}
		switch l.columns++; {
		case len(n.ColumnName()) > decode.MaxColumnName:
			continue // what is below would have it in its path
		case l.columns == decode.MaxColumns+1:
			l.tree.fault(at.String(), fmt.Sprintf("it is beyond BigQuery's %d columns", decode.MaxColumns))
			continue
		case l.columns > decode.MaxColumns:
			return m
		}
		f, part := l.column(n, at, depth)
		if f == nil {
			continue
		}
		l.fields[n.ColumnName()] = true
		f.Number = proto.Int32(n.Number)
		if n.Doc != "" {
			decode.DescribeColumn(f, n.Doc)
		}
		m.fields, m.parts = append(m.fields, f), append(m.parts, part)
	}
	if len(m.fields) == 0 && l.tree.faults.Len() == before {
		l.tree.refuse(path, "it has no columns; BigQuery has no empty RECORD", "{type: JSON}")
	}
	if m.shared {
		if at := slices.IndexFunc(l.shared[m.long], m.same); at >= 0 {
			l.order = l.order[:len(l.order)-1] // what it is made of is there already as well
			return l.shared[m.long][at]
		}
		l.shared[m.long] = append(l.shared[m.long], m)
	}
	return m
}

// same reports whether two messages are one.
func (m *message) same(other *message) bool {
	return slices.Equal(m.parts, other.parts) &&
		slices.EqualFunc(m.fields, other.fields, func(a, b *descriptorpb.FieldDescriptorProto) bool {
			return proto.Equal(a, b)
		})
}

// column lays out one column; it is nil for a type that only has null, and for one at fault.
func (l *Columns) column(n *Node, path *decode.Path, depth int) (f *descriptorpb.FieldDescriptorProto, part *message) {
	f = &descriptorpb.FieldDescriptorProto{
		Name: proto.String(n.ColumnName()), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
	var ok bool
	switch {
	case n.Fault != "":
		l.tree.fail(n, path, n.Fault)
		return nil, nil
	case n.Kind == Null:
		return nil, nil
	case n.Kind == Map:
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		part = l.entry(n, path.Items(), depth+1)
		ok = part != nil
	case n.Kind == Array:
		// A null array is an empty one: a REPEATED column has no null (GoogleSQL, "Array type").
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		part, ok = l.value(f, n.ColumnName(), n.Parts[0], path.Items(), depth)
	default:
		part, ok = l.value(f, n.ColumnName(), n, path, depth)
	}
	if !ok {
		return nil, nil
	}
	if part != nil {
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
	}
	return f, part
}

// value sets the type of a column that holds n, or returns its message type.
func (l *Columns) value(f *descriptorpb.FieldDescriptorProto, name string, n *Node, path *decode.Path,
	depth int,
) (part *message, ok bool) {
	if n.Fault != "" {
		l.tree.fail(n, path, n.Fault)
		return nil, false
	}
	switch n.Kind {
	case Record, Range:
		if n.Kind == Range {
			if !n.isRange() {
				l.tree.fault(path.String(), "columns: a RANGE is a record of start and end alone, "+
					"both DATE, both DATETIME or both TIMESTAMP")
			}
			f.Options = decode.ColumnOptions(&columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_RANGE})
		}
		return l.message(messageOf(n.Named, name, path), n.Parts, path, depth+1), true
	case Item, Union:
		m := messageOf("", name, path)
		m.short, m.long = m.short+around[n.Kind], m.long+around[n.Kind]
		return l.message(m, n.Parts, path, depth+1), true
	}
	if reason := n.scalar(f); reason != "" {
		l.tree.fail(n, path, reason)
		return nil, false
	}
	return nil, true
}

var around = map[Kind]string{Item: "Item", Union: "Union"}

// entry lays out the entries of a map. Maps of one type of value share their entry's message.
func (l *Columns) entry(n *Node, path *decode.Path, depth int) *message {
	m, value := messageOf("", n.ColumnName(), path), n.Parts[1]
	m.short, m.long = m.short+"Entry", m.long+"Entry"
	switch {
	case value.Kind == Null && value.Fault == "":
		l.tree.fault(path.String(), "a map of nulls has no column for its values; make it an array of its keys")
		return nil
	case n.Named != "":
		m = messageOf(n.Named, "", path)
	case value.Named != "":
		m = messageOf(value.Named, "", path)
		m.short, m.long = m.short+"Entry", m.long+"Entry"
	case value.Type == value.Kind.String() && value.Kind < Record:
		m = &message{
			short: decode.TypeName(value.Type) + "Entry", long: decode.TypeName(value.Type) + "MapEntry", shared: true,
		}
	}
	return l.message(m, n.Parts, path, depth)
}

// name gives every message type a name that no other has, and that no type of the row has: short if it can be.
func (l *Columns) name(row *descriptorpb.DescriptorProto) map[*message]string {
	taken := map[string]bool{row.GetName(): true}
	for _, t := range row.NestedType {
		taken[t.GetName()] = true
	}
	names := map[*message]string{}
	for _, m := range l.order {
		name := m.short
		if taken[name] || l.fields[name] {
			name = m.long
		}
		for i := 2; taken[name] || l.fields[name]; i++ {
			name = fmt.Sprintf("%s%d", m.long, i)
		}
		taken[name] = true
		names[m] = name
	}
	return names
}
