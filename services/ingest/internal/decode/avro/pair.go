package avro

import (
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// Schema is a parsed schema, as a schema registry has it. It is immutable.
type Schema struct {
	root *typ
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
	return parseSchema(append(references[:len(references):len(references)], avsc)...)
}

// Warnings are what is wrong with the schema and does not matter, each with the place in it.
func (s *Schema) Warnings() []string { return s.warnings }

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
