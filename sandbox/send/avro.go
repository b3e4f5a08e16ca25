package send

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
)

// Avro registers an Avro schema under a subject and returns what encodes the JSON of values with it, in the Confluent
// wire format: a zero, the schema's id in four bytes, the datum. Fields with a default may be left out; unions are
// written plainly.
func Avro(ctx context.Context, registry, subject, schema string) (func(json.RawMessage) ([]byte, error), error) {
	parsed, err := avro.Parse(schema)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	client, err := sr.NewClient(sr.URLs(registry))
	if err != nil {
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	registered, err := client.CreateSchema(ctx, subject, sr.Schema{Schema: schema, Type: sr.TypeAvro})
	if err != nil {
		return nil, fmt.Errorf("register the schema as %s: %w", subject, err)
	}
	header := new(sr.ConfluentHeader)
	return func(value json.RawMessage) ([]byte, error) {
		frame, err := header.AppendEncode(nil, registered.ID, nil)
		if err != nil {
			return nil, err
		}
		var datum any
		if err := parsed.DecodeJSON(value, &datum); err != nil {
			return nil, fmt.Errorf("value: %w", err)
		}
		return parsed.AppendEncode(frame, datum)
	}, nil
}
