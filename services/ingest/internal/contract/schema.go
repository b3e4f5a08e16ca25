package contract

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/confluent"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/json"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/protobuf"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// schema is a parsed schema of the registry, of any format that may come behind a schema id. Both schemas of a call are
// of one format.
type schema interface {
	// name is the record's, without its namespace, or the message's; empty where a schema has none.
	name() string
	// with adds the columns of a newer schema; those it has keep their numbers.
	with(newer schema, payload string) (schema, decode.Changes)
	// compile makes the columns.
	compile(o decode.Options) (decode.Plan, error)
	// types says of which type payloads are; nulls, whether they may be null.
	types() (of confluent.TypeOf, nulls bool)
	// compileFor makes a plan from another schema's payloads to these columns. origin names that schema in errors;
	// lenient makes null of what it lacks.
	compileFor(writer schema, o decode.Options, origin string, lenient bool) (decode.Plan, error)
}

// dialects are how the formats that may come behind a schema id parse a schema: the registry's, or the entry's file,
// which has no id.
var dialects = map[string]func(s *registry.Schema, c *Config) (schema, error){
	"avro":     parseAvro,
	"json":     parseJSON,
	"protobuf": parseProtobuf,
}

func parseSchema(s *registry.Schema, c *Config) (schema, error) {
	parse, ok := dialects[s.Format]
	if !ok {
		return nil, fmt.Errorf("schemas of format %s are not read from a registry", s.Format)
	}
	return parse(s, c)
}

func parseAvro(s *registry.Schema, c *Config) (schema, error) {
	parsed, err := avro.Parse(s.Text, s.Texts()...)
	if err != nil {
		return nil, err
	}
	return avroSchema{parsed.Pick(c.names)}, nil
}

type avroSchema struct{ *avro.Schema }

func (a avroSchema) name() string { return a.Name() }

func (a avroSchema) with(newer schema, payload string) (schema, decode.Changes) {
	merged, changes := a.With(newer.(avroSchema).Schema, payload)
	return avroSchema{merged}, changes
}

func (a avroSchema) types() (confluent.TypeOf, bool) { return a.TypeOf, a.HasNull() }

func (a avroSchema) compile(o decode.Options) (decode.Plan, error) { return plan(a.Compile(o)) }

func (a avroSchema) compileFor(writer schema, o decode.Options, origin string, lenient bool) (decode.Plan, error) {
	return plan(a.CompileFor(writer.(avroSchema).Schema, o, avro.Resolution{Origin: origin, Lenient: lenient}))
}

func parseJSON(s *registry.Schema, c *Config) (schema, error) {
	language := json.JSONSchema
	if s.ID == 0 {
		language = jsonLanguage(c.Schema)
	}
	references := make([]json.Reference, len(s.References))
	for i, r := range s.References {
		references[i] = json.Reference(r)
	}
	parsed, err := json.Parse([]byte(s.Text), language, references...)
	return jsonSchema{parsed, c.jsonSettings()}, err
}

// jsonSchema is a schema of JSON. Payloads are read by the names in them, so the writer's schema says nothing that they
// do not.
type jsonSchema struct {
	*json.Schema
	settings json.Settings
}

// name is none: an object does not say what it is.
func (j jsonSchema) name() string { return "" }

func (j jsonSchema) with(newer schema, payload string) (schema, decode.Changes) {
	merged, changes := j.With(newer.(jsonSchema).Schema, payload)
	return jsonSchema{merged, j.settings}, changes
}

func (jsonSchema) types() (confluent.TypeOf, bool) { return nil, false }

func (j jsonSchema) compile(o decode.Options) (decode.Plan, error) {
	return plan(j.Compile(j.settings, o))
}

func (j jsonSchema) compileFor(_ schema, o decode.Options, _ string, lenient bool) (decode.Plan, error) {
	if lenient {
		return plan(j.Relaxed().Compile(j.settings, o))
	}
	return j.compile(o)
}

// protobufFile is what the registry's text is called; references have their own names.
const protobufFile = "schema.proto"

func parseProtobuf(s *registry.Schema, c *Config) (schema, error) {
	unknown := unknownNumbers[c.UnknownFields]
	if s.ID == 0 {
		parsed, err := protobuf.ParseSet([]byte(s.Text), c.Message, c.Payload)
		return protobufSchema{parsed, nil, unknown}, err
	}
	file, err := protobuf.ParseSource(protobufTexts(s), protobufFile)
	if err != nil {
		return nil, err
	}
	parsed, err := protobuf.NewSchema(file, c.Message)
	return protobufSchema{parsed, file, unknown}, err
}

// protobufTexts are the files of a schema.
func protobufTexts(s *registry.Schema) map[string]string {
	texts := map[string]string{protobufFile: s.Text}
	for _, r := range s.References {
		texts[r.Name] = r.Text
	}
	return texts
}

// protobufSchema is a message of a protobuf schema. Fields meet by their numbers.
type protobufSchema struct {
	*protobuf.Schema
	file    protoreflect.FileDescriptor // nil for a descriptor set of the configuration
	unknown protobuf.Unknown
}

func (p protobufSchema) name() string { return p.Name() }

func (p protobufSchema) with(newer schema, payload string) (schema, decode.Changes) {
	merged, changes := p.With(newer.(protobufSchema).Schema, payload)
	return protobufSchema{merged, p.file, p.unknown}, changes
}

func (protobufSchema) types() (confluent.TypeOf, bool) { return nil, false }

func (p protobufSchema) compile(o decode.Options) (decode.Plan, error) {
	return plan(p.Compile(p.unknown, o))
}

func (p protobufSchema) compileFor(writer schema, o decode.Options, _ string, _ bool) (decode.Plan, error) {
	columns, err := p.Compile(p.unknown, o)
	if err != nil {
		return nil, err
	}
	return columns.Written(writer.(protobufSchema).file)
}
