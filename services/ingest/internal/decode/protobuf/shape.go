package protobuf

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// unfolder makes a node of each place that a message is used at.
type unfolder struct {
	open  map[protoreflect.FullName]bool
	count int
}

// shapeOf is the tree of a payload's columns.
func shapeOf(m protoreflect.MessageDescriptor) *shape.Node {
	if _, ok := well[m.FullName()]; ok {
		return shape.Fail("", string(m.FullName())+" is one value; a payload is a message of your own with fields")
	}
	u := unfolder{open: map[protoreflect.FullName]bool{}}
	root := u.record(m)
	root.Doc = comment(m)
	return root
}

func (u *unfolder) record(m protoreflect.MessageDescriptor) *shape.Node {
	n := &shape.Node{
		Kind: shape.Record, From: shape.Record, Writes: true, Type: string(m.FullName()), Named: string(m.FullName()),
	}
	switch {
	case u.open[m.FullName()]:
		n.Fault = "the message " + n.Named + " contains itself; a table has a fixed shape"
		return n
	case m.Fields().Len() == 0:
		n.Fault = "the message " + n.Named + " has no fields; BigQuery has no empty RECORD"
	}
	u.open[m.FullName()] = true
	for i := range m.Fields().Len() {
		n.Parts = append(n.Parts, u.field(m.Fields().Get(i)))
	}
	delete(u.open, m.FullName())
	return n
}

func (u *unfolder) field(f protoreflect.FieldDescriptor) *shape.Node {
	name := string(f.Name())
	if u.count++; u.count > shape.MostNodes {
		return shape.Fail(name, "the message has more fields than a table has columns")
	}
	n := u.value(f)
	if f.IsMap() {
		n.Kind, n.From, n.Writes = shape.Map, shape.Map, true
	} else if f.Cardinality() == protoreflect.Repeated {
		n = shape.ArrayOf(name, n)
		n.Source, n.Writes = f, true
	}
	n.Name, n.Number, n.Doc = name, int32(f.Number()), optionOf(f).GetDescription()
	if n.Doc == "" {
		n.Doc = comment(f)
	}
	return n
}

// optionKinds are the kinds of fields that may carry the column types that an option names, and those of the columns.
var optionKinds = map[columnv1.ColumnType]struct {
	on     protoreflect.Kind
	column shape.Kind
}{
	columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP:  {protoreflect.Int64Kind, shape.Timestamp},
	columnv1.ColumnType_COLUMN_TYPE_DATE:       {protoreflect.Int32Kind, shape.Date},
	columnv1.ColumnType_COLUMN_TYPE_TIME:       {protoreflect.StringKind, shape.Time},
	columnv1.ColumnType_COLUMN_TYPE_DATETIME:   {protoreflect.StringKind, shape.DateTime},
	columnv1.ColumnType_COLUMN_TYPE_NUMERIC:    {protoreflect.StringKind, shape.Decimal},
	columnv1.ColumnType_COLUMN_TYPE_BIGNUMERIC: {protoreflect.StringKind, shape.Decimal},
	columnv1.ColumnType_COLUMN_TYPE_JSON:       {protoreflect.StringKind, shape.JSON},
	columnv1.ColumnType_COLUMN_TYPE_GEOGRAPHY:  {protoreflect.StringKind, shape.Geography},
	columnv1.ColumnType_COLUMN_TYPE_INTERVAL:   {protoreflect.StringKind, shape.Interval},
}

// value is one value of a field.
func (u *unfolder) value(f protoreflect.FieldDescriptor) *shape.Node {
	what, option := codeOf(f), optionOf(f)
	n := &shape.Node{}
	switch what {
	case opMessage:
		n = u.record(f.Message())
		if k := knownOf(f.Message()); k != nil {
			n.One, n.Hint = k.source, k.hint
		}
	case opEnum:
		n.Kind, n.Symbols = shape.Enum, symbolsOf(f.Enum())
	case opTimestamp:
		n.Kind, n.Unit, n.One = shape.Timestamp, decode.Micros, decode.FromMoment
	case opDuration:
		n.Kind, n.One = shape.Interval, decode.FromSpan
	case opJSON:
		n.Kind = shape.JSON
	case opEmpty:
		n.Kind = shape.Bool
	default:
		k := f.Kind()
		if what == opWrapper {
			k = f.Message().Fields().ByNumber(1).Kind()
		}
		n.Kind, n.Wire = scalars[k].column, scalarType(k)
	}
	n.Type, n.From, n.Source, n.Option = spell(f), n.Kind, f, option
	if t := option.GetType(); t != columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED {
		kinds, ok := optionKinds[t]
		if !ok || f.Kind() != kinds.on {
			n.Fault = fmt.Sprintf("its option asks for %s, which a field of type %s cannot carry", t, f.Kind())
		}
		n.Kind, n.Unit = kinds.column, decode.Micros
	}
	if f.Kind() == protoreflect.GroupKind {
		n.Fault = "it is a group, which BigQuery does not read; make it a message"
	}
	return n
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

// Schema is a message of a parsed schema. It is immutable.
type Schema struct {
	message protoreflect.MessageDescriptor
	root    *shape.Node
}

// NewSchema finds a message of a file by its full name; without a name it is the file's first one.
func NewSchema(f protoreflect.FileDescriptor, message string) (*Schema, error) {
	if f.Messages().Len() == 0 {
		return nil, errors.New("the schema has no message")
	}
	m := f.Messages().Get(0)
	if message != "" {
		first := m.FullName()
		if m = messageOf(f, message); m == nil {
			return nil, fmt.Errorf("the schema has no %s; its first message is %s", message, first)
		}
	}
	return &Schema{m, shapeOf(m)}, nil
}

// Name is the message's full name.
func (s *Schema) Name() string { return string(s.message.FullName()) }

// With returns the schema whose columns are those of both, and what newer has brought. Fields meet by their numbers and
// keep them. A field that has another type in newer, or a name that is taken, stays as it is in s.
func (s *Schema) With(newer *Schema, payload string) (*Schema, decode.Changes) {
	root, changes := shape.Grow(s.root, newer.root, payload, shape.Rules{
		Numbered: true,
		Fit: func(have, want *shape.Node) shape.Fit {
			h, w := have.Source.(protoreflect.FieldDescriptor), want.Source.(protoreflect.FieldDescriptor)
			switch {
			case h.Kind() == w.Kind() && spell(h) == spell(w):
				return shape.Fits
			case grows[[2]protoreflect.Kind{h.Kind(), w.Kind()}]:
				return shape.Widens
			}
			return shape.Conflicts
		},
	})
	return &Schema{s.message, root}, changes
}

// grows are the pairs of kinds, the older first, of which the second holds more, with the same bytes and a column of
// the same type.
var grows = map[[2]protoreflect.Kind]bool{
	{protoreflect.Int32Kind, protoreflect.Int64Kind}:   true,
	{protoreflect.Sint32Kind, protoreflect.Sint64Kind}: true,
}
