package ingest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/services/ingest/internal/draft"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Inference is what a sample of a topic holds, and a contract that takes it.
type Inference struct {
	draft.Draft

	Sampled Sampled
	// Trial is what becomes of the very records that were read.
	Trial *Trial
}

// Inferring says what to look at.
type Inferring struct {
	draft.Options

	Bounds Bounds
	// Read is called with how many records have been read, of how many at most.
	Read func(n, most int)
}

// mostGives bounds how often the schema is made wider for records that it refuses.
const mostGives = 100

// Infer reads a bounded sample of a topic and makes a contract of it. It joins no group, commits nothing and writes no
// file. It is an error when the topic does not exist, cannot be read, or holds nothing.
func Infer(ctx context.Context, c Config, o Inferring) (*Inference, error) {
	found, schemas := checkRegistry(ctx, &c)
	defer schemas.close()
	for _, f := range found {
		if f.State == findings.Fail {
			return nil, fmt.Errorf("the schema registry does not respond: %s\n    %s", f.Detail, f.Remedy)
		}
	}
	records, sampled, err := sample(ctx, &c, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Bounds.Time) // what the registry takes
	defer cancel()
	drafted, err := draft.Of(ctx, records, o.Options, schemas.client)
	if err != nil {
		return nil, err
	}
	in := &Inference{Draft: *drafted, Sampled: sampled}
	err = in.verify(ctx, c, schemas, records)
	return in, err
}

// sample reads the records, and keeps them.
func sample(ctx context.Context, c *Config, o Inferring) (records []*record.Record, sampled Sampled, err error) {
	scanner, err := source.NewScanner(ctx, &c.Kafka, []string{o.Topic})
	if err != nil {
		return nil, sampled, fmt.Errorf("connect to the brokers: %w", err)
	}
	defer scanner.Close()
	sampled, err = scanner.Sample(ctx, o.Topic, o.Bounds, o.Read, func(_ context.Context, r *record.Record) error {
		records = append(records, r.Clone())
		return nil
	})
	if err == nil && len(records) == 0 {
		err = fmt.Errorf("%s holds no record to look at", o.Topic)
		if sampled.Ended == "time" {
			err = fmt.Errorf("no record of %s came in time: raise --timeout", o.Topic)
		}
	}
	return records, sampled, err
}

// verify compiles the contract and tries it on the records; what a schema of ours refuses, it is made wider for.
func (in *Inference) verify(ctx context.Context, c Config, s schemas, records []*record.Record) error {
	dir, err := os.MkdirTemp("", "waybill-infer-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder of temporary files
	for gives := 0; ; gives++ {
		if err := in.Write(); err != nil {
			return err
		}
		if len(in.Types) == 0 {
			return nil
		}
		for _, f := range in.Files {
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Content, 0o600); err != nil {
				return err
			}
		}
		tried, err := c.withEntries(filepath.Join(dir, in.Files[0].Name))
		if err != nil {
			return fmt.Errorf("the contract is not what the configuration takes: %w", err)
		}
		set, err := tried.contracts(ctx, s.env)
		if err != nil {
			return fmt.Errorf("the contract does not compile: %w", err)
		}
		contracts := &Contracts{set: set, config: tried}
		if in.Trial, err = in.try(ctx, contracts, records); err != nil {
			return err
		}
		if gives == mostGives || !in.give(contracts.List()) {
			return in.Write() // with what only the rows tell of the fields
		}
	}
}

// give makes schemas wider for the letters of a trial; false when there is nothing to make wider.
func (in *Inference) give(entries []Contract) (some bool) {
	for i := range in.Trial.LettersBy {
		l := &in.Trial.LettersBy[i]
		at := slices.IndexFunc(entries, func(e Contract) bool { return e.Name == l.Contract })
		if l.Reason != "undecodable" || at < 0 || in.Types[at].Tree == nil {
			continue
		}
		if field, ok := bytes.CutPrefix([]byte(l.Field), []byte(entries[at].Payload+".")); ok {
			some = in.Types[at].Tree.Give(string(field)) || some
		}
	}
	return some
}

// try has the contract take the records, and counts the columns of types whose fields only the rows tell.
func (in *Inference) try(ctx context.Context, c *Contracts, records []*record.Record) (*Trial, error) {
	t, err := c.trier(in.Topic)
	if err != nil {
		return nil, err
	}
	counts := make([]*columnCounts, len(in.Types))
	t.seen = func(route int, framed []byte) {
		if route >= len(counts) || in.Types[route].Tree != nil {
			return
		}
		if counts[route] == nil {
			counts[route] = &columnCounts{}
		}
		counts[route].add(t.topic.Routes[route], c.List()[route].Payload, framed)
	}
	for _, r := range records {
		if err := t.take(ctx, r); err != nil {
			return nil, err
		}
	}
	for i := range in.Types {
		switch f := &in.Types[i]; {
		case f.Tree != nil:
			f.Fields = f.Tree.Fields()
		case counts[i] != nil:
			f.Fields = counts[i].fields()
		}
	}
	trial := t.result()
	trial.Sampled = in.Sampled
	return trial, nil
}
