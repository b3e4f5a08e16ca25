package avro

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// Shape is the tree of the schema's columns. Natural is that of JSON data: no fixed bytes stand there for a duration,
// or bytes for a decimal with a scale of its own, and what BigQuery's export says of a column is not heeded.
func (s *Schema) Shape(natural bool) *shape.Node {
	if s.grown != nil {
		return s.grown.Clone()
	}
	u := unfolder{natural: natural, open: map[*typ]bool{}}
	root := u.node(s.root, "")
	if s.root.kind == kindUnion {
		root.Fault = fmt.Sprintf("the schema is of type union, of %s, and a table is of one record: "+
			"write an entry for each, with type_from: schema and the record's full name in types",
			bytes.Join(s.names, []byte(", ")))
	}
	root.Named = "" // the payload's message is called after its column
	return root
}

// unfolder makes a node of each place that a type is used at.
type unfolder struct {
	natural bool
	open    map[*typ]bool
	count   int
}

func (u *unfolder) node(whole *typ, name string) *shape.Node {
	if u.count++; u.count > shape.MostNodes {
		return shape.Fail(name, "the schema has more fields than a table has columns")
	}
	t, nullable := whole.column()
	n := &shape.Node{
		Name: name, Type: t.String(), Named: t.name, Nullable: nullable, NotNull: !nullable, Symbols: t.symbols,
		Fallback: t.enumDefault, Precision: t.precision, Scale: t.scale, Doc: t.doc,
	}
	n.Kind, n.Unit = u.kind(t)
	n.Numbers = n.Kind.IsMoment() || n.Kind == shape.Time
	switch {
	case n.Kind == shape.Bytes && t.kind == kindFixed:
		n.Size = t.size
	case t.logical == logicalBigDecimal && n.Kind == shape.Decimal:
		n.SetUnbounded(true)
	}
	switch t.kind {
	case kindRecord:
		if u.open[t] {
			n.Fault = "the type " + t.name + " contains itself; a table has a fixed shape"
			break
		}
		u.open[t] = true
		for i := range t.fields {
			f := &t.fields[i]
			if f.again && u.natural {
				continue // an object has a field once
			}
			p := u.node(f.typ, f.name)
			p.Number, p.Aliases, p.Doc = int32(i+1), f.aliases, f.doc
			p.Default, p.HasDefault, p.NoDefault = f.source.Default, f.source.HasDefault, f.noDefault
			p.Required = p.NotNull && !p.HasDefault || p.NoDefault != ""
			n.Parts = append(n.Parts, p)
		}
		delete(u.open, t)
	case kindArray:
		array := shape.ArrayOf(name, u.node(t.items, ""))
		if n.Parts = array.Parts; n.Parts[0].Kind == shape.Item {
			n.Parts[0].Type = t.items.String()
		}
	case kindMap:
		n.Parts = shape.MapOf(name, u.node(t.items, "")).Parts
	case kindUnion:
		for i, b := range t.branches {
			if b.kind != kindNull && slices.Index(t.branches, b) == i {
				p := u.node(b, branchName(t, i))
				p.Number, p.Doc = int32(i+1), ""
				n.Parts = append(n.Parts, p)
			}
		}
	}
	n.From, n.Source, n.Writes = n.Kind, whole, n.Kind >= shape.Record
	if !u.natural {
		n.One = oneValue(t)
	}
	if t.hint != nil && (!u.natural || t.hint.Type != decode.JSON) { // in JSON the text stays one
		n.Hint = t.hint
	}
	if t.exported != nil && !u.natural {
		n.Become(t.exported)
	}
	return n
}

// oneValue is what records of Debezium's are that hold one value.
func oneValue(t *typ) decode.Source {
	switch {
	case isVariable(t):
		return decode.FromDecimal
	case isGeometry(t):
		return decode.FromShape
	}
	return 0
}

var kinds = [...]shape.Kind{
	kindNull: shape.Null, kindBoolean: shape.Bool, kindInt: shape.Int32, kindLong: shape.Int64, kindFloat: shape.Float,
	kindDouble: shape.Double, kindBytes: shape.Bytes, kindString: shape.String, kindFixed: shape.Bytes,
	kindEnum: shape.Enum, kindRecord: shape.Record, kindArray: shape.Array, kindMap: shape.Map, kindUnion: shape.Union,
}

// moments are the kinds of logical types that count time, and the units that they count; no kind of the others. They
// are looked up for each value.
var moments = [...]struct {
	kind shape.Kind
	unit decode.Unit
}{
	logicalDate:            {shape.Date, decode.Auto},
	logicalTimeMillis:      {shape.Time, decode.Millis},
	logicalTimeMicros:      {shape.Time, decode.Micros},
	logicalTimestampMillis: {shape.Timestamp, decode.Millis},
	logicalTimestampMicros: {shape.Timestamp, decode.Micros},
	logicalTimestampNanos:  {shape.Timestamp, decode.Nanos},
	logicalLocalMillis:     {shape.DateTime, decode.Millis},
	logicalLocalMicros:     {shape.DateTime, decode.Micros},
	logicalLocalNanos:      {shape.DateTime, decode.Nanos}, // the last of all
}

func (u *unfolder) kind(t *typ) (shape.Kind, decode.Unit) {
	switch m := moments[t.logical]; {
	case m.kind != 0:
		return m.kind, m.unit
	case t.logical == logicalDecimal, t.logical == logicalBigDecimal && !u.natural:
		return shape.Decimal, 0
	case t.logical == logicalUUID:
		return shape.String, 0
	case t.logical == logicalDuration && !u.natural:
		return shape.Interval, 0
	case t.kind == kindUnion && !slices.ContainsFunc(t.branches, func(b *typ) bool { return b.kind != kindNull }):
		return shape.Null, 0
	}
	return kinds[t.kind], 0
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

// typeOf is the type of a node's values, null apart.
func typeOf(n *shape.Node) *typ {
	t, _ := n.Source.(*typ).column()
	return t
}

// exported is the column that a schema written by BigQuery's export asks for, in the property sqlType (BigQuery, "Avro
// export details"); nil if none, or one that the type map gives anyway.
func exported(t *typ, n *avro.SchemaNode) *decode.Column {
	name, _ := n.Props["sqlType"].(string)
	column := &decode.Column{Type: decode.TargetOf(name)}
	if column.Type == decode.NoTarget || column.Type == decode.String || t.logical != logicalNone {
		return nil
	}
	if shape.BySource(&shape.Node{Kind: kinds[t.kind], From: kinds[t.kind], Source: t}, column) != "" ||
		t.kind == kindFixed {
		return nil
	}
	return column
}

// With returns the schema whose columns are those of s and those of newer, and what newer has brought. The columns of s
// keep their numbers: new fields go to the end of their record, new branches to the end of their union.
func (s *Schema) With(newer *Schema, payload string) (*Schema, decode.Changes) {
	newer = newer.like(s.root)
	grown, changes := shape.Grow(s.Shape(false), newer.Shape(false), payload, shape.Rules{
		Fit: func(have, want *shape.Node) shape.Fit {
			h, w := typeOf(have), typeOf(want)
			_, fits := scalarOp(w, have)
			switch {
			case fits:
				return shape.Fits
			case h.logical == logicalNone && w.logical == logicalNone &&
				(h.kind == kindInt && w.kind == kindLong || h.kind == kindFloat && w.kind == kindDouble):
				return shape.Widens
			}
			return shape.Conflicts
		},
		Both:   both,
		Branch: func(union, want *shape.Node) int { return matchBranch(typeOf(want), union) },
		NewBranch: func(want *shape.Node) string {
			return branchName(&typ{branches: []*typ{typeOf(want)}}, 0)
		},
	})
	return &Schema{
		top: s.top, root: s.root, names: s.names, grown: grown, parts: s.parts + newer.parts, warnings: s.warnings,
	}, changes
}
