// Package shape is the tree of a payload's columns: what each value at each place of a payload becomes.
//
// The formats parse schemas into it, and compile what runs over payloads from it. All that is about columns is here,
// once: the overrides of a contract, what BigQuery takes, the fields that the envelope takes (Tree.Compile), the row's
// descriptor (Columns.AddPayload), and how a tree grows by a newer schema (Grow).
//
// A type that a schema uses at several places is a Node at each, so that a place can be changed without the others.
// Bounds on the columns of a table bound the tree.
package shape

import (
	"slices"

	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Node is a value at one place of the payload.
type Node struct {
	// Name is that of the field or branch; of the one column in the RECORD around an item value or items. An item that
	// is a column by itself has that of its array.
	Name    string
	Aliases []string
	// Column is the column's name where a contract gave it another, and Skip says that it is to have none: the value is
	// read past, what is below it has no columns either, and nothing that is wrong with them counts.
	Column string
	Skip   bool
	Number int32
	Kind   Kind
	// Type is the schema's word for the type, and Named the full name of a named one.
	Type, Named, Doc string
	// Nullable: the schema takes null. Required: the field must be there. NotNull: null is refused.
	Nullable, Required, NotNull bool
	// Default stands for a field that is missing, if HasDefault.
	Default    any
	HasDefault bool
	// NoDefault says why what the schema has as a default is none: a payload that lacks the field is refused. Empty
	// where that is of no matter.
	NoDefault string

	// Parts are the fields of a record, the branches of a union but for null, the item of an array, the key and the
	// value of a map, or the one column of an Item.
	Parts    []*Node
	Symbols  []string // of an enum
	Fallback string   // of an enum: what stands for unknown symbols; empty for none
	Size     int      // bytes of a fixed length; 0 for any

	// Unit is that of numbers in a moment; Numbers says that JSON may have such.
	Unit    decode.Unit
	Numbers bool
	// Precision and Scale are those of a decimal. Big is set for a BIGNUMERIC, whatever its digits; Unbounded where the
	// column's own bounds hold.
	Precision, Scale int
	Big, Unbounded   bool
	// Wire is the type in the row's descriptor if it is not that of the kind, and Option what the schema itself says of
	// the column.
	Wire   descriptorpb.FieldDescriptorProto_Type
	Option *columnv1.Column
	// Hint is the column that the source of the payloads says that the value is; nil if it does not say.
	Hint *decode.Column

	// From is the kind before the contract's override: what the payload has. Override is the column that it names; nil
	// for none.
	From     Kind
	Override *decode.Column
	// One is what the value of a record or a message is by itself, where it may be a column of one value: a decimal, a
	// shape, a moment; 0 where it may not.
	One decode.Source
	// Fault says why the value can be no column as it stands; empty if it can.
	Fault string
	// Writes says that the format writes the value as JSON where a contract asks for that: whole, as it stands there.
	Writes bool
	// Source is what the format's parser knows of the type.
	Source any
}

// Names of the column in the RECORD around an item.
const (
	Value = "value"
	Items = "items"
)

// ArrayOf is the node of an array. A RECORD stands around items that are no column by themselves: value for those that
// may be null, since a REPEATED column has no null (GoogleSQL, "Array type"), items for arrays and maps, since there is
// no REPEATED of REPEATED.
func ArrayOf(name string, item *Node) *Node {
	around := ""
	switch {
	case item.Kind == Array || item.Kind == Map:
		around = Items
	case item.Nullable:
		around = Value
	}
	if item.Number = 1; around != "" {
		item.Name = around
		item = &Node{Name: name, Number: 1, Kind: Item, Type: item.Type, Parts: []*Node{item}, Source: item.Source}
	}
	item.Name = or(item.Name, name)
	return &Node{Name: name, Kind: Array, Type: Array.String(), Parts: []*Node{item}}
}

// MapOf is the node of a map with keys of text.
func MapOf(name string, value *Node) *Node {
	value.Name, value.Number = Value, 2
	key := &Node{Name: "key", Number: 1, Kind: String, From: String, Type: String.String()}
	return &Node{Name: name, Kind: Map, Type: Map.String(), Parts: []*Node{key, value}}
}

func or(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}

// ColumnName is the name of the column.
func (n *Node) ColumnName() string { return or(n.Column, n.Name) }

// Fail makes a node of a value that can be no column.
func Fail(name, reason string) *Node { return &Node{Name: name, Fault: reason} }

// Part finds a part by its name; -1 if there is none.
func (n *Node) Part(name string) int {
	return slices.IndexFunc(n.Parts, func(p *Node) bool { return p.Name == name })
}

// Last is the highest number of the parts.
func (n *Node) Last() (last int32) {
	for _, p := range n.Parts {
		last = max(last, p.Number)
	}
	return last
}

// Clone copies a node with all that is below it.
func (n *Node) Clone() *Node {
	c := *n
	c.Parts = make([]*Node, len(n.Parts))
	for i, p := range n.Parts {
		c.Parts[i] = p.Clone()
	}
	c.Symbols = slices.Clone(n.Symbols)
	return &c
}

// Count is how many nodes there are.
func (n *Node) Count() int {
	count := 1
	for _, p := range n.Parts {
		count += p.Count()
	}
	return count
}

// MostNodes bounds a tree while it is made: types that name each other may stand for any number of places. What is
// beyond is at fault.
const MostNodes = 4 * decode.MaxColumns
