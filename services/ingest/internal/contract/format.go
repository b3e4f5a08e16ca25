package contract

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/json"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/protobuf"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/raw"
)

// format is how the payloads of an entry become columns.
type format struct {
	// schema says what file the entry's schema is, for people; empty when the format has none.
	schema string
	// columns says that the plan heeds Options.Columns.
	columns bool
	// compile makes the plan. schema is the content of that file. Errors about one field are *decode.SchemaError.
	compile func(schema []byte, c *Config, o decode.Options) (decode.Plan, error)
}

// formats lists the formats by their name in the configuration.
var formats = map[string]format{
	"avro": {
		schema: "the .avsc file", columns: true,
		compile: func(schema []byte, c *Config, o decode.Options) (decode.Plan, error) {
			parsed, err := avro.Parse(string(schema))
			if err != nil {
				return nil, fmt.Errorf("schema: %w", err)
			}
			return plan(parsed.Pick(c.names).Compile(o))
		},
	},
	"json": {
		schema: "the .avsc file, or the .json file of a JSON Schema,", columns: true,
		compile: func(schema []byte, c *Config, o decode.Options) (decode.Plan, error) {
			return plan(json.Compile(schema, jsonLanguage(c.Schema), c.jsonSettings(), o))
		},
	},
	"protobuf": {
		schema: "the descriptor set (.binpb, .pb or .desc)", columns: true,
		compile: func(schema []byte, c *Config, o decode.Options) (decode.Plan, error) {
			return plan(protobuf.Compile(schema, c.Message, unknownNumbers[c.UnknownFields], o))
		},
	},
	"raw": {compile: func(_ []byte, c *Config, o decode.Options) (decode.Plan, error) {
		return plan(raw.Compile(raw.Kinds[cmp.Or(c.As, "bytes")], o))
	}},
}

// unknownFields are the choices of unknown_fields.
var unknownFields = map[string]json.Unknown{"refuse": json.Refuse, "drop": json.Drop, "keep": json.Keep}

// jsonLanguage tells by its name what a schema file is written in.
func jsonLanguage(file string) json.Language {
	if strings.HasSuffix(file, ".json") {
		return json.JSONSchema
	}
	return json.Avro
}

// jsonSettings is what the entry says about JSON beside the schema.
func (c *Config) jsonSettings() json.Settings {
	return json.Settings{Unknown: unknownFields[c.UnknownFields], Lenient: c.Mode == "lenient"}
}

// names says that the entry names a type: exactly, or by a prefix.
func (c *Config) names(name string) bool {
	return slices.ContainsFunc(c.Types, func(written string) bool {
		p, err := parseTypes(written)
		return err == nil && p.text != "" && (p.text == name || p.prefix && strings.HasPrefix(name, p.text))
	})
}

// unknownNumbers are the choices of unknown_fields for protobuf.
var unknownNumbers = map[string]protobuf.Unknown{"drop": protobuf.Drop, "refuse": protobuf.Refuse}

// plan keeps a nil pointer from becoming a plan.
func plan[P decode.Plan](p P, err error) (decode.Plan, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

func formatNames() []string { return slices.Sorted(maps.Keys(formats)) }
