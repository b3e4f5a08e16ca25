package contract

import (
	"fmt"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// Changes are what a newer schema has that an older one has not.
type Changes = avro.Changes

// schema is a parsed schema of the registry, of any format that may come behind a schema id. Both schemas of a call are of one format.
type schema interface {
	// name is the record's, without its namespace.
	name() string
	// with adds the columns of a newer schema; those it has keep their numbers.
	with(newer schema, payload string) (schema, Changes)
	// compile makes the columns.
	compile(o decode.Options) (decode.Plan, error)
	// compileFor makes a plan from another schema's payloads to these columns. origin names that schema in errors; lenient makes null
	// of what it lacks.
	compileFor(writer schema, o decode.Options, origin string, lenient bool) (decode.Plan, error)
}

// dialects are how the formats that may come behind a schema id parse what a registry has.
var dialects = map[string]func(*registry.Schema) (schema, error){
	"avro": func(s *registry.Schema) (schema, error) {
		parsed, err := avro.Parse(s.Text, s.Texts()...)
		return avroSchema{parsed}, err
	},
}

func parseSchema(s *registry.Schema) (schema, error) {
	parse, ok := dialects[s.Format]
	if !ok {
		return nil, fmt.Errorf("schemas of format %s are not read from a registry", s.Format)
	}
	return parse(s)
}

type avroSchema struct{ *avro.Schema }

func (a avroSchema) name() string { return a.Name() }

func (a avroSchema) with(newer schema, payload string) (schema, Changes) {
	merged, changes := a.With(newer.(avroSchema).Schema, payload)
	return avroSchema{merged}, changes
}

func (a avroSchema) compile(o decode.Options) (decode.Plan, error) { return plan(a.Compile(o)) }

func (a avroSchema) compileFor(writer schema, o decode.Options, origin string, lenient bool) (decode.Plan, error) {
	return plan(a.CompileFor(writer.(avroSchema).Schema, o, avro.Resolution{Origin: origin, Lenient: lenient}))
}
