package json

import (
	stdjson "encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// shaper reads a JSON Schema (draft 7, 2019-09, 2020-12) for what shapes columns: types, properties, items, references,
// formats. What has no column of its own becomes a JSON column. Keywords that only judge values, such as minimum or
// pattern, are not checked.
type shaper struct {
	// documents are the schema, and those that it refers to.
	documents []*document
	// in is the one that is being read.
	in   *document
	refs map[pointer]*reference
	// payload: what is read next is the payload itself, or a part of it.
	payload bool
	nodes   int // so far: a few references may name each other an exponential number of times
}

// reference is a place that $ref leads to; open while it is being read.
type reference struct {
	node *shape.Node
	open bool
}

func readJSONSchema(schema []byte, references []Reference) (*Schema, error) {
	documents, err := readDocuments(schema, references)
	if err != nil {
		return nil, err
	}
	main := documents[0]
	s := shaper{documents: documents, in: main, refs: map[pointer]*reference{
		{in: main}: {open: true}, {in: main, payload: true}: {open: true},
	}}
	root := s.root(main.root)
	if root.Kind != shape.Record && root.Fault == "" {
		root.Fault = "a payload is an object with properties; the schema makes it a " + root.Kind.String()
	}
	read := &Schema{root: root}
	for _, d := range documents {
		read.warnings = append(read.warnings, d.warnings...)
	}
	return read, nil
}

// root reads the schema of a payload.
func (s *shaper) root(n *node) *shape.Node {
	s.payload = true
	return s.read(n)
}

// of is a node of a kind.
func of(k shape.Kind) *shape.Node { return &shape.Node{Kind: k, From: k, Type: k.String()} }

// anything is a value that may be any JSON.
func anything() *shape.Node {
	n := of(shape.JSON)
	n.Nullable = true
	return n
}

func fail(format string, args ...any) *shape.Node {
	return shape.Fail("", fmt.Sprintf(format, args...))
}

// read makes the node of a schema; one at fault where it makes none.
func (s *shaper) read(n *node) *shape.Node {
	payload := s.payload
	s.payload = false
	switch {
	case n.is(true):
		return anything()
	case n.is(false):
		return fail("the schema takes no value here at all: leave the field out of it")
	case n.kind != takesObject:
		return fail("a schema is an object, true or false, this is %s", n.raw)
	}
	for _, name := range []string{"$dynamicRef", "$recursiveRef", "extends"} {
		if n.get(name) != nil {
			return fail("%s is not supported: use $ref", name)
		}
	}
	found := s.shapeOf(n, payload)
	compose(found, n.get("title").text())
	if hint := hintOf(n, found); hint != nil {
		found.Hint = hint
	}
	if s.nodes++; s.nodes > shape.MostNodes {
		return fail("the schema has more fields than a table has columns")
	}
	if n.get("nullable").is(true) { // of OpenAPI
		found.Nullable = true
	}
	if doc := n.get("description").text(); doc != "" && found.Doc == "" && n.get("$ref") == nil {
		found.Doc = doc
	}
	return found
}

// shapeOf is what a schema says of types. payload: it is that of the payload, or of a part of it.
func (s *shaper) shapeOf(n *node, payload bool) *shape.Node {
	if ref := n.get("$ref"); ref != nil {
		for i := range n.members {
			if name := n.members[i].name; shapes[name] && name != "$ref" {
				return fail("%s beside $ref: put it into what $ref leads to", name)
			}
		}
		return s.follow(ref.text(), payload)
	}
	if all := n.get("allOf"); all != nil && len(all.items) > 0 {
		return s.allOf(n, all, payload)
	}
	types, nullable := s.types(n)
	for _, name := range []string{"oneOf", "anyOf"} {
		if choices := n.get(name); choices != nil && adds(choices) {
			if payload {
				return s.alternatives(n)
			}
			if len(types) > 0 && n.get("properties") != nil {
				return fail("%s beside properties: a table has one set of columns; list all fields as properties and "+
					"require what all of them have", name)
			}
			found := s.choice(choices)
			found.Nullable = found.Nullable || nullable
			return found
		}
	}
	var found *shape.Node
	switch {
	case len(types) == 0 && nullable:
		found = of(shape.Null)
	case len(types) == 0:
		return anything()
	case len(types) == 2 && slices.Contains(types, "integer") && slices.Contains(types, "number"):
		found = of(shape.Double)
	case len(types) > 1:
		found = of(shape.JSON)
	default:
		found = s.typed(n, types[0])
	}
	found.Nullable = nullable
	return found
}

// shapes are the keywords that shape columns.
var shapes = map[string]bool{
	"$ref": true, "type": true, "properties": true, "items": true, "prefixItems": true, "additionalProperties": true,
	"patternProperties": true, "enum": true, "const": true, "format": true, "contentEncoding": true, "oneOf": true,
	"anyOf": true, "allOf": true, "required": true, "nullable": true,
}

// adds reports whether choices say more than which fields are required together.
func adds(choices *node) bool {
	return slices.ContainsFunc(choices.items, func(n *node) bool {
		return slices.ContainsFunc(n.members, func(m member) bool { return shapes[m.name] && m.name != "required" })
	})
}

// follow reads what a reference leads to, once.
func (s *shaper) follow(ref string, payload bool) *shape.Node {
	to, err := s.find(s.in, ref)
	if err != nil {
		return fail("$ref %q: %v", ref, err)
	}
	to.payload = payload
	known := s.refs[to]
	switch {
	case known == nil:
	case known.open:
		return fail("%q contains itself; a table has a fixed shape", ref)
	default:
		s.nodes += known.node.Count()
		return known.node.Clone()
	}
	n, err := to.in.at(to.fragment)
	if err != nil {
		return fail("$ref %q: %v", ref, err)
	}
	known = &reference{open: true}
	s.refs[to] = known
	from := s.in
	s.in, s.payload = to.in, payload
	known.node = s.read(n)
	s.in = from
	known.open = false
	if name := to.fragment[strings.LastIndexByte(to.fragment, '/')+1:]; known.node.Kind == shape.Record &&
		known.node.Named == "" && decode.IsName(name) {
		known.node.Named = name
	}
	return known.node.Clone()
}

// choice reads oneOf or anyOf: one type and null is that type, several are JSON.
func (s *shaper) choice(choices *node) (only *shape.Node) {
	nullable := false
	for _, n := range choices.items {
		if types, null := s.types(n); len(types) == 0 && null && n.get("$ref") == nil {
			nullable = true
			continue
		}
		if only != nil {
			return anything()
		}
		if only = s.read(n); only.Fault != "" {
			return only
		}
	}
	if only == nil {
		only, nullable = of(shape.Null), true
	}
	only.Nullable = only.Nullable || nullable
	return only
}

// allOf joins the properties of several objects; one schema alone is itself.
func (s *shaper) allOf(n, all *node, payload bool) *shape.Node {
	own := &node{kind: takesObject}
	for i := range n.members {
		if m := n.members[i]; m.name != "allOf" && shapes[m.name] {
			own.members = append(own.members, m)
		}
	}
	parts := slices.Clone(all.items)
	if len(own.members) > 0 {
		parts = append(parts, own)
	}
	if len(parts) == 1 {
		s.payload = payload
		return s.read(parts[0])
	}
	joined := of(shape.Record)
	required := names(n.get("required"))
	for _, part := range parts {
		if part.kind == takesObject && len(part.members) == 1 && part.members[0].name == "required" {
			required = append(required, names(part.get("required"))...)
			continue
		}
		s.payload = payload
		found := s.read(part)
		switch {
		case found.Fault != "":
			return found
		case found.Kind != shape.Record:
			return fail("allOf joins objects with properties only, not a %s: write the schema as one", found.Kind)
		}
		for _, f := range found.Parts {
			if at := joined.Part(f.Name); at >= 0 {
				joined.Parts[at].Fault = "two parts of allOf have the field: keep one of them"
				continue
			}
			f.Number = joined.Last() + 1
			joined.Parts = append(joined.Parts, f)
		}
	}
	require(joined, required)
	return joined
}

// require marks the fields of a record that must be there.
func require(record *shape.Node, names []string) {
	for _, f := range record.Parts {
		if slices.Contains(names, f.Name) {
			f.Required, f.NotNull = true, !f.Nullable
		}
	}
}

// names lists the strings of an array.
func names(n *node) (list []string) {
	if n != nil {
		for _, item := range n.items {
			list = append(list, item.text())
		}
	}
	return list
}

// types are the types that a value may have, null apart. Where type is left out they follow from the other keywords;
// none if from nothing.
func (s *shaper) types(n *node) (types []string, nullable bool) {
	declared := n.get("type")
	switch {
	case declared == nil:
	case declared.kind == takesString:
		types = []string{declared.text()}
	default:
		types = names(declared)
	}
	values := valuesOf(n)
	if declared == nil {
		switch {
		case values != nil:
			types = typesOf(values)
		case n.get("properties") != nil, n.get("additionalProperties") != nil &&
			!n.get("additionalProperties").is(true), n.get("patternProperties") != nil:
			types = []string{"object"}
		case n.get("items") != nil, n.get("prefixItems") != nil:
			types = []string{"array"}
		case n.get("format") != nil, n.get("contentEncoding") != nil:
			types = []string{"string"}
		}
	}
	rest := slices.DeleteFunc(slices.Clone(types), func(name string) bool { return name == "null" })
	nullable = len(rest) < len(types) &&
		(values == nil || slices.ContainsFunc(values, func(n *node) bool { return n.kind == 0 }))
	return rest, nullable
}

// valuesOf are the values of enum or const, nil if there is neither.
func valuesOf(n *node) []*node {
	if list := n.get("enum"); list != nil {
		return list.items
	}
	if only := n.get("const"); only != nil {
		return []*node{only}
	}
	return nil
}

// typesOf are the types of values, each once.
func typesOf(values []*node) (types []string) {
	for _, v := range values {
		name := map[takes]string{
			0: "null", takesBool: "boolean", takesString: "string", takesObject: "object", takesArray: "array",
		}[v.kind]
		if v.kind == takesNumber {
			name = "integer"
			if _, err := v.value.(stdjson.Number).Int64(); err != nil {
				name = "number"
			}
		}
		if !slices.Contains(types, name) {
			types = append(types, name)
		}
	}
	return types
}
