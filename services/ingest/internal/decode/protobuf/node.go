package protobuf

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// node is a message at one place of the payload.
type node struct {
	fields []field // ascending by number
	// dense finds a field by its number, as index+1; numbers beyond it are searched for.
	dense []uint16
	// Singular fields have a bit each, members of a oneof one together. required are those that must be there; fill are
	// those whose absence has a value in the row: values[bit], tag included.
	words          int
	required, fill []uint64
	values         [][]byte
	names          []string // by bit, of required fields
	// bounds are those of a RANGE, nil if it is none.
	bounds *decode.RangeBounds
}

// deepest is how many words of bits the deepest way through the node needs.
func (n *node) deepest() int {
	below := 0
	for i := range n.fields {
		if in := n.fields[i].node; in != nil {
			below = max(below, in.deepest())
		}
	}
	return n.words + below
}

// code is how a field is read.
type code uint8

const (
	opScalar  code = iota // a scalar, whose kind says how
	opVarint              // as it is
	opText                // UTF-8
	opBytes               // as it is
	opMessage             // into it
	opFixed64             // as it is
	opFixed32             // as it is
	// The others are rare: see rare.
	opUnsigned  // a number of at most 63 bits
	opMicros    // a varint of microseconds
	opDays      // a varint of days
	opEnum      // a varint that becomes a name
	opTimestamp // a google.protobuf.Timestamp
	opDuration  // a google.protobuf.Duration
	opWrapper   // one of google.protobuf's wrappers
	opJSON      // a Struct, Value or ListValue; a message, list or map that an override makes a JSON column of
	opEmpty     // a message without fields, which says that it is there and no more: true
	opKnown     // a message of common schemas that is one value
	opSkip      // a field that a contract leaves out
	// Overrides, and moments that a contract's dates bound.
	opColumnText
	opColumnNumber
)

// field is one field of a message. What each value needs comes first.
type field struct {
	// tag is that of one value on the wire; packed that of a packed list of them, 0 if there can be none.
	tag, packed uint32
	// bit is the field's in its node; -1 if it is repeated.
	bit  int32
	take decode.Take
	// implicit: the field has no presence, its zero is its absence.
	implicit bool
	// scalar is that of the field's own values; op may be another than by the type map.
	scalar
	// node is the message's, json that of a JSON column; enum the enum's symbols.
	node  *node
	json  *member
	enum  *symbols
	known *known
	// inner is the wrapper's value.
	inner *field
	// cell is the column where values are written anew by its rules, nil elsewhere.
	cell *decode.Cell
	// out is the tag to write where the value is written anew.
	out  []byte
	name string
}

// compiler builds the nodes of one plan. A message used at several places has a node at each, so that what the envelope
// takes is known by place; BigQuery's limit on columns bounds them.
type compiler struct {
	options *decode.Options
	depth   int
	texts   map[protoreflect.FullName]*text
	faults  decode.Faults // of defaults
}

func (c *compiler) node(record *shape.Node, path *decode.Path, depth int) *node {
	c.depth = max(c.depth, depth)
	n := &node{}
	oneofs := map[protoreflect.FullName]int32{}
	parts := slices.SortedFunc(slices.Values(record.Parts),
		func(a, b *shape.Node) int { return cmp.Compare(a.Number, b.Number) })
	for _, part := range parts {
		fd, at := part.Source.(protoreflect.FieldDescriptor), path.Field(part.Name)
		f := c.field(part, at, depth)
		if f.bit >= 0 {
			f.bit = n.addBit()
			if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
				if bit, ok := oneofs[o.FullName()]; ok {
					f.bit = bit
				} else {
					oneofs[o.FullName()] = f.bit
				}
			}
			if part.Skip {
				// What is missing has no value in the row.
			} else if fd.Cardinality() == protoreflect.Required || f.emptyRange(fd) || f.noZero(fd) {
				n.required[f.bit/64] |= 1 << (f.bit % 64)
				n.names[f.bit] = f.name
			} else if value, reason := absent(fd, &f); reason != "" {
				_ = c.faults.Add(decode.FaultAt(at.String(), reason))
			} else if value != nil {
				n.fill[f.bit/64] |= 1 << (f.bit % 64)
				n.values[f.bit] = value
			}
		}
		n.fields = append(n.fields, f)
	}
	if len(parts) > 0 {
		n.dense = make([]uint16, min(int(parts[len(parts)-1].Number), 4*len(parts)+64)+1)
	}
	for i, part := range parts {
		if int(part.Number) < len(n.dense) {
			n.dense[part.Number] = uint16(i + 1)
		}
	}
	return n
}

// addBit makes room for one more bit. The bits of a oneof's later members stay unused.
func (n *node) addBit() int32 {
	bit := int32(len(n.values))
	n.values, n.names = append(n.values, nil), append(n.names, "")
	if int(bit)/64 >= n.words {
		n.words++
		n.required, n.fill = append(n.required, 0), append(n.fill, 0)
	}
	return bit
}

func (c *compiler) field(n *shape.Node, path *decode.Path, depth int) field {
	name, skip := n.Name, n.Skip
	whole := n.Kind == shape.JSON
	if n.Kind == shape.Array {
		n = n.Parts[0]
	}
	fd := n.Source.(protoreflect.FieldDescriptor)
	f := field{
		name: name, take: c.options.Takes(path), scalar: scalars[fd.Kind()],
		implicit: !fd.HasPresence() && fd.Cardinality() != protoreflect.Repeated,
	}
	if whole = whole && fd.Cardinality() == protoreflect.Repeated; fd.Cardinality() == protoreflect.Repeated && !whole {
		f.bit = -1
	}
	what, column := codeOf(fd), n.Override
	switch {
	case skip:
		f.op = opSkip
		f.setTags(fd.Number(), false)
		return f
	case what == opJSON, whole, n.Kind == shape.JSON && what == opMessage:
		f.op, f.json = opJSON, c.jsonOf(fd)
		f.json.list = whole
		f.setTags(fd.Number(), false)
		f.tag, f.packed = f.json.tag, f.json.packed
		return f
	}
	switch f.op = what; what {
	case opScalar:
		switch f.op = scalarCode(fd.Kind(), optionOf(fd).GetType()); {
		case column != nil:
		case c.options.Dates != nil && n.Kind == shape.Timestamp:
			column = &decode.Column{Type: decode.Timestamp, Unit: decode.Micros}
		case c.options.Dates != nil && n.Kind == shape.Date:
			column = &decode.Column{Type: decode.Date}
		}
		if column != nil {
			f.op = opColumnNumber
			if f.wire == protowire.BytesType {
				f.op = opColumnText
			}
		}
	case opEnum:
		f.enum = newSymbols(n.Symbols)
	case opTimestamp:
		column = cmp.Or(column, &decode.Column{Type: decode.Timestamp})
	case opDuration:
		column = cmp.Or(column, &decode.Column{Type: decode.Interval})
	case opWrapper:
		value := fd.Message().Fields().ByNumber(1)
		f.inner = &field{name: "value", scalar: scalars[value.Kind()]}
		f.inner.op = f.inner.scalar.op
		f.inner.setTags(fd.Number(), false) // out is written in the row's message
		f.inner.tag = uint32(protowire.EncodeTag(1, f.inner.wire))
	case opMessage:
		if n.Kind < shape.Record {
			f.op, f.known = opKnown, knownOf(fd.Message())
			break
		}
		f.node = c.node(n, path, depth+1)
		f.node.bounds = n.Bounds()
	}
	if column != nil && f.op != opEnum && f.op != opMessage && f.op != opEmpty {
		f.cell = &decode.Cell{Column: column, Dates: c.options.Dates, Item: f.bit < 0}
		f.cell.Day = f.known != nil && f.known.source == decode.FromDate
		// A number that is zero may be an absent one: it is taken as it is read.
		if moment := f.op == opTimestamp || f.op == opKnown; f.take&decode.TakeTime != 0 &&
			(moment || column.Type == decode.Timestamp && f.op != opColumnNumber) {
			f.cell.Take = true
			f.take &^= decode.TakeTime
		}
	}
	f.setTags(fd.Number(), fd.Cardinality() == protoreflect.Repeated)
	return f
}

// setTags sets the tags that the field is read and written by.
func (f *field) setTags(number protowire.Number, repeated bool) {
	f.tag = uint32(protowire.EncodeTag(number, f.wire))
	if repeated && f.wire != protowire.BytesType {
		f.packed = uint32(protowire.EncodeTag(number, protowire.BytesType))
	}
	wire := f.wire
	switch {
	case f.cell != nil:
		wire = f.cell.Wire()
	case f.op == opEnum, f.op == opJSON:
		wire = protowire.BytesType
	case f.op == opEmpty:
		wire = protowire.VarintType
	}
	if f.out = protowire.AppendTag(nil, number, wire); f.cell != nil {
		f.cell.Tag = f.out
	}
}

func scalarCode(k protoreflect.Kind, option columnv1.ColumnType) code {
	switch option {
	case columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP:
		return opMicros
	case columnv1.ColumnType_COLUMN_TYPE_DATE:
		return opDays
	}
	return scalars[k].op
}
