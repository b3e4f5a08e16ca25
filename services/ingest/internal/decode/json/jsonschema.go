package json

import (
	"cmp"
	stdjson "encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// shaper reads a JSON Schema (draft 7, 2019-09, 2020-12) for what shapes columns: types, properties, items, references, formats. What has no
// column of its own becomes a JSON column. Keywords that only judge values, such as minimum or pattern, are not checked.
type shaper struct {
	// documents are the schema, and those that it refers to.
	documents []*document
	// in is the one that is being read.
	in   *document
	refs map[pointer]*reference
	// faults are those of properties; the reading goes on behind them.
	faults decode.Misfits
}

// reference is a place that $ref leads to; open while it is being read.
type reference struct {
	shape
	open bool
	err  error
}

// shape is what a schema makes of a value.
type shape struct {
	typ      *typ
	nullable bool
}

func readJSONSchema(schema []byte, payload string, references []Reference) (*typ, error) {
	documents, err := readDocuments(schema, references)
	if err != nil {
		return nil, err
	}
	main := documents[0]
	s := shaper{documents: documents, in: main, refs: map[pointer]*reference{{main, ""}: {open: true}}}
	found, err := s.read(main.root, payload)
	if err == nil || s.faults.Len() > 0 {
		err = cmp.Or(s.faults.Add(err), s.faults.Err())
	}
	if err != nil {
		return nil, err
	}
	if found.typ.kind != kindRecord {
		return nil, decode.Misfit(payload, "a payload is an object with properties; the schema makes it a "+found.typ.kind.String())
	}
	return found.typ, nil
}

// anything is the shape of a value that may be any JSON.
func anything(doc string) shape { return shape{&typ{kind: kindJSON, doc: doc}, true} }

// opaque is a value with no column of its own type, kept as JSON.
func opaque(nullable bool) shape { return shape{&typ{kind: kindJSON}, nullable} }

func (s *shaper) read(n *node, path string) (shape, error) {
	switch {
	case n.is(true):
		return anything(""), nil
	case n.is(false):
		return shape{}, decode.Misfit(path, "the schema takes no value here at all: leave the field out of it")
	case n.kind != takesObject:
		return shape{}, decode.Misfit(path, "a schema is an object, true or false, this is "+string(n.raw))
	}
	for _, name := range []string{"$dynamicRef", "$recursiveRef", "extends"} {
		if n.get(name) != nil {
			return shape{}, decode.Misfit(path, name+" is not supported: use $ref")
		}
	}
	found, err := s.shapeOf(n, path)
	if err != nil {
		return found, err
	}
	if n.get("nullable").is(true) { // of OpenAPI
		found.nullable = true
	}
	if doc := n.get("description").text(); doc != "" && found.typ.doc == "" && n.get("$ref") == nil {
		found.typ.doc = doc
	}
	return found, nil
}

func (s *shaper) shapeOf(n *node, path string) (shape, error) {
	if ref := n.get("$ref"); ref != nil {
		for i := range n.members {
			if name := n.members[i].name; shapes[name] && name != "$ref" {
				return shape{}, decode.Misfit(path, name+" beside $ref: put it into what $ref leads to")
			}
		}
		return s.follow(ref.text(), path)
	}
	if all := n.get("allOf"); all != nil {
		return s.allOf(n, all, path)
	}
	types, nullable := s.types(n)
	for _, name := range []string{"oneOf", "anyOf"} {
		if choices := n.get(name); choices != nil && adds(choices) {
			if len(types) > 0 && n.get("properties") != nil {
				return shape{}, decode.Misfit(path, name+" beside properties: a table has one set of columns; list all fields as properties and require what all of them have")
			}
			found, err := s.choice(choices, path)
			found.nullable = found.nullable || nullable
			return found, err
		}
	}
	switch {
	case len(types) == 0 && nullable:
		return shape{&typ{kind: kindNull}, true}, nil
	case len(types) == 0:
		return anything(""), nil
	case len(types) == 2 && slices.Contains(types, "integer") && slices.Contains(types, "number"):
		types = []string{"number"}
	case len(types) > 1:
		return opaque(nullable), nil
	}
	t, err := s.typed(n, types[0], path)
	return shape{t, nullable}, err
}

// shapes are the keywords that shape columns.
var shapes = map[string]bool{
	"$ref": true, "type": true, "properties": true, "items": true, "prefixItems": true, "additionalProperties": true, "patternProperties": true,
	"enum": true, "const": true, "format": true, "contentEncoding": true, "oneOf": true, "anyOf": true, "allOf": true, "required": true, "nullable": true,
}

// adds reports whether choices say more than which fields are required together.
func adds(choices *node) bool {
	return slices.ContainsFunc(choices.items, func(n *node) bool {
		return slices.ContainsFunc(n.members, func(m member) bool { return shapes[m.name] && m.name != "required" })
	})
}

// follow reads what a reference leads to, once.
func (s *shaper) follow(ref, path string) (shape, error) {
	to, err := s.find(s.in, ref)
	if err != nil {
		return shape{}, decode.Misfit(path, fmt.Sprintf("$ref %q: %v", ref, err))
	}
	known := s.refs[to]
	switch {
	case known == nil:
	case known.open:
		return shape{}, decode.Misfit(path, fmt.Sprintf("%q contains itself; a table has a fixed shape", ref))
	default:
		return known.shape, known.err
	}
	n, err := to.in.root.at(to.fragment)
	if err != nil {
		return shape{}, decode.Misfit(path, fmt.Sprintf("$ref %q: %v", ref, err))
	}
	known = &reference{open: true}
	s.refs[to] = known
	from := s.in
	s.in = to.in
	known.shape, err = s.read(n, path)
	s.in = from
	known.open, known.err = false, err
	if name := to.fragment[strings.LastIndexByte(to.fragment, '/')+1:]; err == nil && known.typ.kind == kindRecord && known.typ.name == "" && identifier(name) {
		known.typ.name = name
	}
	return known.shape, err
}

// identifier reports whether a name can be that of a message.
func identifier(name string) bool { return checkColumn(name, map[string]bool{}, "") == nil }

// choice reads oneOf or anyOf: one type and null is that type, several are JSON.
func (s *shaper) choice(choices *node, path string) (shape, error) {
	var rest []shape
	nullable := false
	for _, n := range choices.items {
		if types, null := s.types(n); len(types) == 0 && null && n.get("$ref") == nil {
			nullable = true
			continue
		}
		if len(rest) > 0 {
			return opaque(true), nil
		}
		found, err := s.read(n, path)
		if err != nil {
			return shape{}, err
		}
		rest = append(rest, found)
	}
	if len(rest) == 0 {
		return shape{&typ{kind: kindNull}, true}, nil
	}
	return shape{rest[0].typ, rest[0].nullable || nullable}, nil
}

// allOf joins the properties of several objects; one schema alone is itself.
func (s *shaper) allOf(n, all *node, path string) (shape, error) {
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
		return s.read(parts[0], path)
	}
	joined := &typ{kind: kindRecord}
	required := names(n.get("required"))
	for _, part := range parts {
		if part.kind == takesObject && len(part.members) == 1 && part.members[0].name == "required" {
			required = append(required, names(part.get("required"))...)
			continue
		}
		found, err := s.read(part, path)
		if err != nil {
			return found, err
		}
		if found.typ.kind != kindRecord {
			return shape{}, decode.Misfit(path, "allOf joins objects with properties only, not a "+found.typ.kind.String()+": write the schema as one")
		}
		for _, f := range found.typ.fields {
			if slices.ContainsFunc(joined.fields, func(other field) bool { return other.name == f.name }) {
				return shape{}, decode.Misfit(path+"."+f.name, "two parts of allOf have the field: keep one of them")
			}
			f.number = int32(len(joined.fields) + 1)
			joined.fields = append(joined.fields, f)
		}
	}
	for i := range joined.fields {
		if f := &joined.fields[i]; slices.Contains(required, f.name) {
			f.require()
		}
	}
	return shape{joined, false}, nil
}

// require makes a field required; null is taken where the schema says so.
func (f *field) require() { f.required, f.notNull = true, !f.nullable }

// names lists the strings of an array.
func names(n *node) (list []string) {
	if n != nil {
		for _, item := range n.items {
			list = append(list, item.text())
		}
	}
	return list
}

// types are the types that a value may have, null apart. Where type is left out they follow from the other keywords; none if from nothing.
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
		case n.get("properties") != nil, n.get("additionalProperties") != nil && !n.get("additionalProperties").is(true), n.get("patternProperties") != nil:
			types = []string{"object"}
		case n.get("items") != nil, n.get("prefixItems") != nil:
			types = []string{"array"}
		case n.get("format") != nil, n.get("contentEncoding") != nil:
			types = []string{"string"}
		}
	}
	rest := slices.DeleteFunc(slices.Clone(types), func(name string) bool { return name == "null" })
	nullable = len(rest) < len(types) && (values == nil || slices.ContainsFunc(values, func(n *node) bool { return n.kind == 0 }))
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
		name := map[takes]string{0: "null", takesBool: "boolean", takesString: "string", takesObject: "object", takesArray: "array"}[v.kind]
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
