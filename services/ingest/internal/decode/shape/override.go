package shape

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Tree is the columns of a payload.
type Tree struct {
	Root *Node
	// Payload is the name of the payload's column, Path its place.
	Payload string
	Path    *decode.Path
	// Become says why a value cannot be the column of an override, empty if it can: BySource, unless a format has
	// rules of its own. Whole says that the override is of
	// arrays, unions and what is in a RECORD around an item too.
	Become func(n *Node, c *decode.Column) (reason string)
	Whole  func(n *Node, c *decode.Column) bool
	// AsRow: the envelope takes values as they stand in the row, and not as they stand in the payload.
	AsRow bool

	faults decode.Faults
}

// New is the tree of a payload; it takes root over.
func New(root *Node, o *decode.Options) *Tree {
	return &Tree{Root: root, Payload: o.Payload, Path: decode.PathOf(o.Payload), Become: BySource}
}

// Compile makes the overrides of a contract, checks the tree and what the envelope takes of it, and lays the columns
// out. The error is a *decode.SchemaError, or decode.SchemaErrors.
func (t *Tree) Compile(o *decode.Options) (*Columns, error) {
	if o.Only != nil {
		only(t.Root, "", o.Only)
	}
	t.override(o.Columns)
	if !o.IgnoreHints {
		t.heed(o)
	}
	columns := t.lay()
	t.take(o)
	return columns, t.faults.Err()
}

func (t *Tree) fault(path, reason string) { _ = t.faults.Add(decode.FaultAt(path, reason)) }

// override changes the columns that the contract names.
func (t *Tree) override(columns decode.Columns) {
	for _, path := range columns.Paths() {
		column := columns[path]
		if reason := t.place(t.Root, strings.Split(path, "."), &column); reason != "" {
			t.fault(t.Payload+"."+path, "columns: "+reason)
		}
	}
}

// refuse is a fault that another column would mend, or none; instead is empty where nothing but none does.
func (t *Tree) refuse(path *decode.Path, reason, instead string) {
	at := path.String()
	if below, ok := strings.CutPrefix(decode.WithoutMarks(at), t.Payload+"."); ok {
		if instead != "" {
			instead += ", or "
		}
		reason += fmt.Sprintf("; write columns: {%q: %s{skip: true}}", below, instead)
	}
	t.fault(at, reason)
}

// fail is a fault of a node, and says which type would mend it.
func (t *Tree) fail(n *Node, path *decode.Path, reason string) {
	for _, c := range []decode.Column{{Type: decode.JSON}, {Type: decode.String}} {
		if t.Become(n, &c) == "" {
			t.refuse(path, reason, "{type: "+c.Type.String()+"}")
			return
		}
	}
	t.refuse(path, reason, "")
}

// place finds the column at the end of names, makes it what the override says and gives it its name.
func (t *Tree) place(n *Node, names []string, c *decode.Column) (reason string) {
	if len(names) == 0 && c.Unit == decode.Auto &&
		(c.Type == decode.Record && n.Kind == Record || c.Type == decode.Integer && n.Kind.IsWhole()) {
		n.Hint = nil
		return ""
	}
	if len(names) == 0 && (n.Kind != Union && n.Kind != Array && n.Kind != Item || t.whole(n, c)) {
		if c.Whole && n.Kind != Array && n.Kind != Map {
			return "whole: true is of lists: leave it out"
		}
		if reason := t.Become(n, c); reason != "" {
			return reason
		}
		n.Become(c)
		return ""
	}
	at, used := -1, 1
	switch n.Kind {
	case Array:
		return t.place(n.Parts[0], names, c)
	case Item:
		if len(names) > 0 && names[0] == n.Parts[0].Name {
			if len(names) > 1 || c.Type != decode.NoTarget {
				return t.place(n.Parts[0], names[1:], c)
			}
			return t.name(n, n.Parts[0], nil, c)
		}
		return t.place(n.Parts[0], names, c)
	case Map:
		if at = n.Part(names[0]); at < 0 || at == 0 && n.Parts[0].Source == nil && c.Type != decode.NoTarget {
			return mapReason(n)
		}
	case Union:
		if len(names) > 0 {
			at = n.Part(names[0])
		}
		if at < 0 {
			return "the union has no branch of this name"
		}
	case Record, Range:
		for ; at < 0 && used <= len(names); used++ { // a name may have dots in it
			at = n.Part(strings.Join(names[:used], "."))
		}
		if used--; at < 0 {
			return fmt.Sprintf("the schema has no field %s there", names[0])
		}
	default:
		return fmt.Sprintf("there is no %s in a %s", names[0], n.Kind)
	}
	return t.name(n, n.Parts[at], names[used:], c)
}

// whole says that an override is of all items of a list, or of a union.
func (t *Tree) whole(n *Node, c *decode.Column) bool {
	switch {
	case t.Whole != nil && t.Whole(n, c):
		return true
	case n.Kind != Array || !n.Writes || c.Type != decode.JSON:
		return false
	}
	item := n.Parts[0]
	for item.Kind == Array || item.Kind == Item {
		item = item.Parts[0]
	}
	return c.Whole || t.place(item.Clone(), nil, c) != ""
}

// name goes on to a part, or gives it its name if it is the last.
func (t *Tree) name(n, part *Node, names []string, c *decode.Column) (reason string) {
	switch {
	case len(names) > 0:
	case c.Skip && (n.Kind == Map || n.Kind == Item || n.Kind == Range):
		return fmt.Sprintf("a %s has all of its columns: skip the field around it", n.Kind)
	case c.Name != "" && n.Kind == Range:
		return "the bounds of a RANGE have no names"
	default:
		part.Column, part.Skip = c.Name, c.Skip
		if c.Type == decode.NoTarget {
			return ""
		}
	}
	return t.place(part, names, c)
}

// mapReason says what of a map can be another column.
func mapReason(n *Node) string {
	if n.Parts[0].Source == nil {
		return "a map: name its values, with .value behind it"
	}
	return "a map: name its keys or values, with .key or .value behind it"
}

// BySource is the Become of formats whose values are read by their type, and not by what they look like.
func BySource(n *Node, c *decode.Column) (reason string) {
	var from decode.Source
	switch {
	case c.Type == decode.JSON && n.Writes:
		return ""
	case n.Kind == Map:
		return mapReason(n)
	case n.Option != nil && n.Option.Type != 0:
		return "the schema's option makes it what it is"
	case n.One != 0 && (n.From != Record || c.Type != decode.Range):
		from = n.One
	case n.Kind == Record || n.Kind == Range:
		from = decode.FromRecord
	case n.Source != nil && (n.From == String || n.From == Bytes):
		from = decode.FromText
	case n.Source != nil && n.From.IsWhole():
		from = decode.FromNumber
	case n.Source != nil && n.From == Decimal && !n.Unbounded:
		from = decode.FromDecimal
	default:
		return fmt.Sprintf("of type %s, which becomes nothing but what the type map says", n.Type)
	}
	return c.Check(from)
}

// isRange reports whether a record can be a RANGE.
func (n *Node) isRange() bool {
	return len(n.Parts) == 2 && n.Parts[0].Kind == n.Parts[1].Kind && n.Parts[0].Kind.IsMoment() &&
		n.Part("start") >= 0 && n.Part("end") >= 0
}

// Bounds says where the bounds of a RANGE are in its message; nil for any other value.
func (n *Node) Bounds() *decode.RangeBounds {
	if n.Kind != Range {
		return nil
	}
	number := func(name string) protowire.Number { return protowire.Number(n.Parts[n.Part(name)].Number) }
	return &decode.RangeBounds{Start: number("start"), End: number("end")}
}
