package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/confluent"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/protobuf"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// typing tells the types of a topic's records by the schemas that they are written with, and not by a header: the full
// name of the record or message. All forks of a topic share it; safe for concurrent use.
//
// What a schema id says never changes, so a replay routes as before. A record whose schema cannot be had is a dead
// letter whatever becomes of unknown types: it is in the list of what was left out, and a schema that comes later moves
// nothing.
type typing struct {
	schemas Schemas
	// ids are the schemas of framed payloads; nil where they are bare, and of says what they are.
	ids *confluent.Plan
	of  confluent.TypeOf
}

// typeOf is the type of a value; nil if it is null by its schema. The reason says why it has none.
func (y *typing) typeOf(value []byte) (name []byte, null bool, reason string) {
	of := y.of
	if y.ids != nil {
		id, rest, ok := confluent.ID(value)
		if !ok {
			return nil, false, "the value does not name its schema: a zero byte and a schema id come first"
		}
		source, ok := y.ids.Find(id)
		switch {
		case !ok:
			return nil, false, fmt.Sprintf("schema id %d was not looked up", id)
		case source.Types == nil:
			return nil, false, source.Reason
		}
		of, value = source.Types, rest
	}
	if name, null = of(value); name == nil && !null {
		return nil, false, "the schema does not say of which type the payload is: it has no branch, message or title " +
			"for it"
	}
	return name, null, ""
}

// learn asks the registry about the schema id of a value, unless it is known. The error is that of ctx.
func (y *typing) learn(ctx context.Context, value []byte, waits func(what string)) error {
	if y == nil || y.ids == nil {
		return nil
	}
	id, _, ok := confluent.ID(value)
	if !ok || y.ids.Known(id) {
		return nil
	}
	if y.schemas == nil {
		y.ids.Learn(id, confluent.Source{Reason: "no schema registry is configured"})
		return nil
	}
	done := waiting(waits, fmt.Sprintf("schema id %d of the schema registry", id))
	s, err := y.schemas.ByID(ctx, int(id))
	done()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	source := confluent.Source{}
	if err == nil {
		source.Types, err = TypesOf(s)
	}
	if err != nil {
		source.Reason = fmt.Sprintf("schema id %d: %v", id, err)
		if missing, ok := errors.AsType[*registry.MissingError](err); ok {
			source.Reason, source.Until = err.Error(), missing.Until
		}
	}
	y.ids.Learn(id, source)
	return nil
}

// waiting tells what is being waited for; done that it is over.
func waiting(waits func(what string), what string) (done func()) {
	if waits == nil {
		return func() {}
	}
	waits(what)
	return func() { waits("") }
}

// TypesOf is how the payloads of a schema say their type, as `type_from: schema` reads it: Avro by the record's full
// name, protobuf by the message's, a JSON Schema by its title. The error is that of the schema.
func TypesOf(s *registry.Schema) (confluent.TypeOf, error) {
	switch s.Format {
	case "avro":
		parsed, err := avro.Parse(s.Text, s.Texts()...)
		if err != nil {
			return nil, err
		}
		return parsed.TypeOf, nil
	case "protobuf":
		file, err := protobuf.ParseSource(protobufTexts(s), protobufFile)
		if err != nil {
			return nil, err
		}
		return protobuf.Types(file), nil
	}
	var head struct {
		Title string `json:"title"`
	}
	if err := json.Unmarshal([]byte(s.Text), &head); err != nil {
		return nil, err
	}
	var title []byte
	if head.Title != "" {
		title = []byte(head.Title)
	}
	return func([]byte) ([]byte, bool) { return title, false }, nil
}

// typing makes what tells the types of a topic by its schemas; nil if there was a problem, or a header tells them.
func (l *loader) typing(entries []entry) *typing {
	from, says := l.agreed(entries, "type_from", "header", func(c *Config) string { return c.TypeFrom })
	if from != typeFromSchema {
		return nil
	}
	if at := slices.IndexFunc(entries, func(e entry) bool { return e.TypeHeader != "" }); at >= 0 {
		l.report(&entries[at], "type_header", "the schema says the type", "remove it, or type_from")
	}
	for i := range entries {
		if e := &entries[i]; e.Framing != entries[0].Framing {
			l.report(e, "framing", "some records of the topic name their schema and others do not",
				"say the same in all contracts of the topic")
			return nil
		}
	}
	if entries[0].Framing == framingConfluent {
		return &typing{schemas: l.env.Schemas, ids: confluent.NewPlan(entries[0].Name, entries[0].Payload, nil)}
	}
	var types []string
	for i := range entries {
		t, ok := entries[i].contract.plan.(*avro.Plan)
		switch {
		case !ok:
			l.report(says, "type_from", "payloads of format "+entries[i].Format+" do not say their type",
				"write framing: confluent, or remove type_from")
			return nil
		case types == nil:
			types = t.Schema().Types()
		case !slices.Equal(types, t.Schema().Types()):
			l.report(&entries[i], "schema", "the payloads of a topic are of one schema, and nothing before them says "+
				"of which",
				"give all contracts of the topic the same union, or write framing: confluent")
			return nil
		}
	}
	return &typing{of: entries[0].contract.plan.(*avro.Plan).Schema().TypeOf}
}

// null says that a value that is there is null by its schema: it is a tombstone then.
func (c *Contract) null(value []byte) bool {
	return (c.at != nil || c.nulls != nil) && c.nullBySchema(value)
}

func (c *Contract) nullBySchema(value []byte) bool {
	if c.at != nil {
		return c.at.plan.Null(value)
	}
	_, null := c.nulls(value)
	return null
}
