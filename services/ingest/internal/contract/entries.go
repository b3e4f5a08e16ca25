package contract

import (
	"context"
	"errors"
	"fmt"

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

	contract *Contract
}

// Entries lists what the configuration says, topic by topic in its order, those of patterns last. The table of unknown types is not among
// them.
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

// Prepare learns the schema id that a value names, and waits for the schema registry where it is new. The entry's route is then that of its
// contract's newest version. The error is that of ctx.
func (e *Entry) Prepare(ctx context.Context, value []byte) error {
	vs := e.contract.versions
	if vs == nil {
		return nil
	}
	if id, _, ok := confluent.ID(value); ok && !e.contract.at.plan.Known(id) {
		if err := vs.learn(ctx, id); err != nil {
			return err
		}
	}
	e.Route = vs.current.Load().route
	return nil
}

// AppendRow makes the record's row by this entry, whatever the record's type says; itemType is written to the row, nil is none. It
// is as slow as making a decoder.
func (e *Entry) AppendRow(dst []byte, r *record.Record, itemType []byte, nowMicros int64) ([]byte, error) {
	return e.contract.fork().AppendRow(dst, r, Match{itemType: itemType}, nowMicros)
}

// Takes is the entry that takes records of a type, for a topic of patterns too. The error says why there is none.
func (t *Topic) Takes(itemType string) (*Entry, error) {
	r := record.Record{Topic: t.Name, Value: []byte{}}
	if itemType != "" {
		r.Headers = []record.Header{{Key: t.routing.header, Value: []byte(itemType)}}
	}
	m := t.Match(&r)
	switch {
	case m.Action == Ignore:
		return nil, fmt.Errorf("records of the type %q are ignored", itemType)
	case m.Action == Unknown:
		return nil, errors.New(m.Reason)
	case m.Route >= len(t.entries):
		return nil, fmt.Errorf("no contract takes the type %q: its records go to %s as they are", itemType, t.Routes[m.Route].GetTable())
	}
	return &t.entries[m.Route], nil
}
