package avro

import (
	"slices"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// Schema is a parsed schema, as a schema registry has it. It is immutable.
type Schema struct {
	// top is what the payloads are of: the record of the columns, or a union that has it as a branch. root is the
	// record; the union itself where it has several and none has been picked.
	top, root *typ
	// names are the full names of the branches of a union, null's nil; of a record its own alone.
	names [][]byte
	// grown are the columns where they are more than those of root.
	grown *shape.Node
	// fingerprint is the CRC-64-AVRO of the schema's canonical form (Avro specification, "Schema Fingerprints"). A
	// merged schema has none.
	fingerprint uint64
	// parts is how many types and references to types it was written with.
	parts    int
	warnings []string
}

// Parse parses Avro schema JSON. References are schemas whose named types it uses, each after those that it uses
// itself.
func Parse(avsc string, references ...string) (*Schema, error) {
	return parseSchema(append(slices.Clip(references), avsc)...)
}

// Warnings are what is wrong with the schema and does not matter, each with the place in it.
func (s *Schema) Warnings() []string { return s.warnings }

// newSchema fills in what follows from the type of the payloads.
func newSchema(s *Schema) *Schema {
	if s.root = s.top; s.top.kind != kindUnion {
		s.names = [][]byte{[]byte(s.top.name)}
		return s
	}
	s.names = make([][]byte, len(s.top.branches))
	for i, b := range s.top.branches {
		if b.kind != kindNull {
			s.names[i] = []byte(b.String())
			if b.name != "" {
				s.names[i] = []byte(b.name)
			}
		}
	}
	return s.like(nil)
}

// Pick is the schema with the columns of the one record of a top-level union whose full name is taken. Any other schema
// is itself.
func (s *Schema) Pick(takes func(name string) bool) *Schema {
	if s.root.kind != kindUnion {
		return s
	}
	return s.only(func(t *typ) bool { return takes(t.name) })
}

// like is the schema with the columns of the record of a top-level union that a reader's values come of: of several the
// one of its name.
func (s *Schema) like(reader *typ) *Schema {
	if s.root.kind != kindUnion {
		return s
	}
	for _, is := range []func(t *typ) bool{
		func(t *typ) bool { return reader != nil && t.name == reader.name },
		func(t *typ) bool { return reader != nil && t.shortName() == reader.shortName() },
		func(*typ) bool { return true },
	} {
		if picked := s.only(is); picked.root.kind != kindUnion {
			return picked
		}
	}
	return s
}

// only picks the record of a union that is the only one of its kind.
func (s *Schema) only(is func(t *typ) bool) *Schema {
	picked := *s
	found := 0
	for _, b := range s.top.branches {
		if b.kind == kindRecord && is(b) {
			picked.root = b
			found++
		}
	}
	if found != 1 {
		return s
	}
	return &picked
}

// Types are the full names of the records that a payload may hold.
func (s *Schema) Types() (all []string) {
	for _, name := range s.names {
		all = append(all, string(name))
	}
	return all
}

// TypeOf is the full name of the record that a payload holds; nil for none. null says that it is null and nothing else.
func (s *Schema) TypeOf(payload []byte) (name []byte, null bool) {
	if s.top.kind != kindUnion {
		return s.names[0], false
	}
	v, next := decode.Varint(payload, 0)
	if next < 0 || v&1 != 0 || v>>1 >= uint64(len(s.names)) {
		return nil, false
	}
	name = s.names[v>>1]
	return name, name == nil && next == len(payload)
}

// HasNull says that payloads may be null by the schema.
func (s *Schema) HasNull() bool {
	return slices.ContainsFunc(s.names, func(name []byte) bool { return name == nil })
}

// Name is the name of the record without its namespace: what Avro compares when it resolves one schema against another.
func (s *Schema) Name() string { return s.root.shortName() }

// Resolution says how the payloads of another schema are read.
type Resolution struct {
	// Origin names the writer's schema in errors, for example "schema 7".
	Origin string
	// Lenient makes null of a value that is null in the payload and may not be in the reader's schema, and of a field
	// that the writer's schema lacks. Avro has an error or the reader's default there; a table has null.
	Lenient bool
}

// CompileFor compiles payloads written with another schema into the columns of s, by Avro's schema resolution. What
// cannot be resolved for one value is an error of the record that has it; the error of CompileFor is about all records,
// a *decode.SchemaError where it is about one field.
func (s *Schema) CompileFor(writer *Schema, o decode.Options, r Resolution) (*Plan, error) {
	p, err := s.Compile(o)
	if err != nil {
		return nil, err
	}
	p.framed = true
	p.program, err = p.resolve(writer, r)
	return p, err
}
