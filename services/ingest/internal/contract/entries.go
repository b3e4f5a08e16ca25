package contract

import (
	"context"
	"errors"
	"fmt"
	"slices"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/confluent"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Entry is an entry of the configuration as it was understood, for people.
type Entry struct {
	// Config is the entry with its defaults, those that it shares with its topic included.
	Config
	// Name is the contract's name.
	Name string
	// Route is its table.
	Route *lanev1.Route
	// Warnings are what is wrong with the schema and does not matter, each with the place in it.
	Warnings []string

	contract *Contract
	typing   *typing
}

// Entries lists what the configuration says, topic by topic in its order, those of patterns last. The table of unknown
// types is not among them.
func (s *Set) Entries() []Entry {
	var all []Entry
	for _, t := range s.named {
		all = append(all, t.entries...)
	}
	for _, p := range s.patterns {
		all = append(all, p.topic.entries...)
	}
	return all
}

// Warnings are those of the topic's contracts, each with the contract's name.
func (t *Topic) Warnings() []string {
	var all []string
	for _, e := range t.entries {
		for _, w := range e.Warnings {
			all = append(all, e.Name+": "+w)
		}
	}
	return all
}

// Unknown lists the tables of records whose type no entry takes, as entries that say only what concerns the table.
func (s *Set) Unknown() []Entry {
	var all []Entry
	for _, t := range slices.Concat(s.named, s.Patterns()) {
		for i := len(t.entries); i < len(t.Routes); i++ {
			c := Config{
				Topic: t.entries[0].Topic, TopicPattern: t.entries[0].TopicPattern, Table: t.Routes[i].GetTable(),
				Evolution: "off",
			}
			if t.Routes[i].GetEvolution() == lanev1.Evolution_EVOLUTION_ADDITIVE {
				c.Evolution = evolutionAdditive
			}
			all = append(all, Entry{Config: c, Name: unknownContract, Route: t.Routes[i], contract: t.contracts[i]})
		}
	}
	return all
}

// Prepare learns the schema id of a value, if the entry's records name their schema, and returns the table's route as
// it is then: the contract may have grown. The error is that of ctx.
func (e *Entry) Prepare(ctx context.Context, value []byte) (*lanev1.Route, error) {
	if err := e.typing.learn(ctx, value, nil); err != nil {
		return nil, err
	}
	vs := e.contract.versions
	if vs == nil {
		return e.Route, nil
	}
	if id, _, ok := confluent.ID(value); ok && !vs.current.Load().plan.Known(id) {
		if err := vs.learn(ctx, id, nil); err != nil {
			return nil, err
		}
	}
	return vs.current.Load().route, nil
}

// TypeOf is the type of a value by its schema, nil where a header tells it. Null says that the value is a tombstone by
// its schema. Prepare comes before.
func (e *Entry) TypeOf(value []byte) (itemType []byte, null bool) {
	if e.typing != nil {
		itemType, null, _ = e.typing.typeOf(value)
	}
	return itemType, null || e.contract.fork().null(value)
}

// AppendRow makes the record's row by this entry, whatever the record's type says; itemType is written to the row, nil
// is none. It is as slow as making a decoder.
func (e *Entry) AppendRow(dst []byte, r *record.Record, itemType []byte, nowMicros int64) ([]byte, error) {
	return e.contract.fork().AppendRow(dst, r, &Match{itemType: itemType}, nowMicros)
}

// Takes is the entry that takes records of a type, for a topic of patterns too. The error says why there is none.
func (t *Topic) Takes(itemType string) (*Entry, error) {
	var name []byte
	if itemType != "" {
		name = []byte(itemType)
	}
	m := t.matchType(&record.Record{Topic: t.Name, Value: []byte{}}, name, false)
	switch {
	case m.Action == Ignore:
		return nil, fmt.Errorf("records of the type %q are ignored", itemType)
	case m.Action == Unknown:
		return nil, errors.New(m.Reason)
	case m.Route >= len(t.entries):
		return nil, fmt.Errorf("no contract takes the type %q: its records go to %s as they are",
			itemType, t.Routes[m.Route].GetTable())
	}
	return &t.entries[m.Route], nil
}

// TypedBySchema says that records of the topic say their type by their schema: type_from: schema.
func (t *Topic) TypedBySchema() bool { return t.typing != nil }

// Reads is the entry that takes a value by the type that its schema says, as a lane finds it; any of the topic where
// the value is null. The error says why there is none, or is that of ctx.
func (t *Topic) Reads(ctx context.Context, value []byte) (*Entry, error) {
	if err := t.typing.learn(ctx, value, nil); err != nil {
		return nil, err
	}
	switch itemType, null, reason := t.typing.typeOf(value); {
	case reason != "":
		return nil, errors.New(reason)
	case null:
		return &t.entries[0], nil
	default:
		return t.Takes(string(itemType))
	}
}
