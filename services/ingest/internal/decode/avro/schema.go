package avro

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// kind is the Avro type of a value.
type kind uint8

const (
	kindNull kind = iota
	kindBoolean
	kindInt
	kindLong
	kindFloat
	kindDouble
	kindBytes
	kindString
	kindFixed
	kindEnum
	kindRecord
	kindArray
	kindMap
	kindUnion
)

var kindNames = [...]string{
	"null", "boolean", "int", "long", "float", "double", "bytes", "string", "fixed", "enum", "record", "array", "map",
	"union",
}

func (k kind) String() string { return kindNames[k] }

// logical is what an Avro value means beyond its type. Unknown logical types are none, as the specification asks.
type logical uint8

const (
	logicalNone logical = iota
	logicalDecimal
	logicalBigDecimal
	logicalUUID
	logicalDuration
	logicalDate
	logicalTimeMillis
	logicalTimeMicros
	logicalTimestampMillis
	logicalTimestampMicros
	logicalTimestampNanos
	logicalLocalMillis
	logicalLocalMicros
	logicalLocalNanos
)

// logicals lists the logical types by name, with the types each may annotate.
var logicals = map[string]struct {
	logical logical
	on      []kind
}{
	"decimal":                {logicalDecimal, []kind{kindBytes, kindFixed}},
	"big-decimal":            {logicalBigDecimal, []kind{kindBytes}},
	"uuid":                   {logicalUUID, []kind{kindString, kindFixed}},
	"duration":               {logicalDuration, []kind{kindFixed}},
	"date":                   {logicalDate, []kind{kindInt}},
	"time-millis":            {logicalTimeMillis, []kind{kindInt}},
	"time-micros":            {logicalTimeMicros, []kind{kindLong}},
	"timestamp-millis":       {logicalTimestampMillis, []kind{kindLong}},
	"timestamp-micros":       {logicalTimestampMicros, []kind{kindLong}},
	"timestamp-nanos":        {logicalTimestampNanos, []kind{kindLong}},
	"local-timestamp-millis": {logicalLocalMillis, []kind{kindLong}},
	"local-timestamp-micros": {logicalLocalMicros, []kind{kindLong}},
	"local-timestamp-nanos":  {logicalLocalNanos, []kind{kindLong}},
}

// typ is one type of a parsed schema. Uses of a named type share one typ, so a recursive schema is a cyclic graph.
type typ struct {
	kind    kind
	logical logical
	name    string // full name of a record, enum or fixed
	aliases []string
	doc     string

	fields           []field  // record
	items            *typ     // array items and map values
	branches         []*typ   // union
	symbols          []string // enum
	enumDefault      string
	size             int // fixed
	precision, scale int // decimal

	// exported is what the schema itself asks of the column in place of the type map; nil if nothing.
	exported *decode.Column
	// hint is what its source says that it is; nil if nothing.
	hint *decode.Column
	// source is the parsed form, which knows how to encode a default.
	source *avro.SchemaNode
}

// field is one field of a record.
type field struct {
	name    string
	aliases []string
	doc     string
	typ     *typ
	// source keeps the parsed form, which knows how to encode the field's default. noDefault says why what the schema
	// has as one is none.
	source    *avro.SchemaField
	noDefault string
	// again: the record has another field of its name before it, by the schema as it is written.
	again bool
}

// shortName is the name without its namespace: what Avro's schema resolution compares.
func (t *typ) shortName() string { return t.name[strings.LastIndexByte(t.name, '.')+1:] }

// only returns the single branch of a one-branch union, else the type itself.
func (t *typ) only() *typ {
	for t.kind == kindUnion && len(t.branches) == 1 {
		t = t.branches[0]
	}
	return t
}

// column returns the type a column is made of, and whether it may be null: [null, T] is T. A union that stays one has
// several branches besides null.
func (t *typ) column() (column *typ, nullable bool) {
	t = t.only()
	if t.kind != kindUnion {
		return t, t.kind == kindNull
	}
	var rest *typ
	for _, b := range t.branches {
		switch {
		case b.kind == kindNull:
			nullable = true
		case rest != nil && rest != b:
			return t, slices.ContainsFunc(t.branches, func(b *typ) bool { return b.kind == kindNull })
		default:
			rest = b
		}
	}
	if rest == nil {
		return t, true // nothing but null is of it
	}
	return rest, nullable
}

// String is the type's name in the words of schemas: long, long (timestamp-millis), a union's with all of its branches.
func (t *typ) String() string {
	switch {
	case t.kind == kindUnion:
		names := make([]string, len(t.branches))
		for i, b := range t.branches {
			names[i] = b.String()
		}
		return "[" + strings.Join(names, ", ") + "]"
	case t.logical == logicalDecimal:
		return fmt.Sprintf("%s (decimal(%d, %d))", t.kind, t.precision, t.scale)
	case t.logical != logicalNone:
		for name, l := range logicals {
			if l.logical == t.logical {
				return t.kind.String() + " (" + name + ")"
			}
		}
	case t.kind == kindFixed:
		return fmt.Sprintf("fixed of %d bytes", t.size)
	}
	return t.kind.String()
}

// parseSchema parses and validates Avro schema JSON, the last of the texts.
func parseSchema(texts ...string) (*Schema, error) {
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	if size > decode.MaxSchema {
		return nil, fmt.Errorf("schema and references of %d bytes are longer than %d", size, decode.MaxSchema)
	}
	m := mender{}
	parsed, err := m.parseTexts(texts)
	if err != nil {
		return nil, err
	}
	g := graph{named: map[string]*typ{}, ahead: map[string]*typ{}, mender: &m}
	g.declare(parsed.Root())
	root, err := g.build(parsed.Root(), "")
	if err != nil {
		return nil, err
	}
	crc := avro.NewRabin()
	parsed.Fingerprint(crc)
	return newSchema(&Schema{top: root, fingerprint: crc.Sum64(), parts: g.parts, warnings: m.warnings}), nil
}

// graph builds types, resolving references to named ones.
type graph struct {
	named map[string]*typ
	// ahead are the types that are defined anywhere: a name may stand before what it means, as Avro 1.12 takes it. What
	// is defined up to there goes before.
	ahead  map[string]*typ
	parts  int // types and references to them
	mender *mender
}

var kindsByName = map[string]kind{
	"null": kindNull, "boolean": kindBoolean, "int": kindInt, "long": kindLong, "float": kindFloat,
	"double": kindDouble, "bytes": kindBytes, "string": kindString, "fixed": kindFixed, "enum": kindEnum,
	"record": kindRecord, "error": kindRecord, "array": kindArray, "map": kindMap, "union": kindUnion,
}

// declare knows the named types before they are read.
func (g *graph) declare(n *avro.SchemaNode) {
	if n.Name != "" {
		g.ahead[qualified(n.Name, n.Namespace)] = &typ{}
	}
	for i := range n.Fields {
		g.declare(&n.Fields[i].Type)
	}
	for i := range n.Branches {
		g.declare(&n.Branches[i])
	}
	for _, inner := range []*avro.SchemaNode{n.Items, n.Values} {
		if inner != nil {
			g.declare(inner)
		}
	}
}

func (g *graph) build(n *avro.SchemaNode, namespace string) (*typ, error) {
	g.parts++
	k, ok := kindsByName[n.Type]
	if !ok {
		for _, types := range []map[string]*typ{g.named, g.ahead} {
			for _, name := range []string{namespace + "." + n.Type, n.Type} {
				if t := types[name]; t != nil {
					return t, nil
				}
			}
		}
		return nil, fmt.Errorf("type %q is not defined", n.Type)
	}
	t := &typ{
		kind: k, doc: n.Doc, size: n.Size, symbols: n.Symbols, enumDefault: n.EnumDefault, precision: n.Precision,
		scale: n.Scale,
	}
	if l, ok := logicals[n.LogicalType]; ok && slices.Contains(l.on, k) {
		t.logical = l.logical
	}
	if k == kindFixed && (t.logical == logicalUUID && t.size != 16 || t.logical == logicalDuration &&
		t.size != durationBytes) {
		t.logical = logicalNone
	}
	t.exported, t.hint, t.source = exported(t, n), hintOf(t, n), n
	if n.Name != "" {
		t.name = qualified(n.Name, n.Namespace)
		if symbols := g.mender.symbols[t.name]; symbols != nil {
			t.symbols = symbols
		}
		if i := strings.LastIndexByte(t.name, '.'); i >= 0 {
			namespace = t.name[:i]
		} else {
			namespace = ""
		}
		for _, alias := range n.Aliases {
			t.aliases = append(t.aliases, alias[strings.LastIndexByte(alias, '.')+1:])
		}
		if known := g.ahead[t.name]; known != nil {
			*known = *t
			t = known
		}
		g.named[t.name] = t
	}
	var err error
	switch k {
	case kindRecord:
		for i := range n.Fields {
			f := &n.Fields[i]
			ft, err := g.build(&f.Type, namespace)
			if err != nil {
				return nil, err
			}
			t.fields = append(t.fields, field{
				name: f.Name, aliases: f.Aliases, doc: f.Doc, typ: ft, source: f,
				noDefault: g.mender.faults[[2]string{t.name, f.Name}], again: g.mender.again[[2]string{t.name, f.Name}],
			})
		}
	case kindArray:
		t.items, err = g.build(n.Items, namespace)
	case kindMap:
		t.items, err = g.build(n.Values, namespace)
	case kindUnion:
		for i := range n.Branches {
			if first, ok := firstOf(n.Branches[i].Name); ok && first < len(t.branches) {
				t.branches = append(t.branches, t.branches[first])
				continue
			}
			b, err := g.build(&n.Branches[i], namespace)
			if err != nil {
				return nil, err
			}
			t.branches = append(t.branches, b)
		}
	}
	return t, err
}
