package ingest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/infer"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Inference is what a sample of a topic holds, and a contract that takes it.
type Inference struct {
	Topic   string
	Sampled Sampled
	// TypeHeader is the header that names the types; empty when records have none.
	TypeHeader string
	Tombstones int
	// Types are what was found, most records first.
	Types []InferredType
	// Files are the contract's, first the entries of the configuration, then the schemas.
	Files []InferredFile
	// Trial is what becomes of the very records that were read.
	Trial *Trial
	// Notes say what the contract does not.
	Notes []string
}

// InferredType is the records of one contract.
type InferredType struct {
	// Types are the values of the type header, or the full name of the schema.
	Types   []string
	Records int
	// Format is that of the contract. Payloads counts what the payloads are, where they are not all of one kind.
	Format   string
	Payloads map[string]int
	// Schemas are the ids in the registry, Subject is theirs.
	Schemas        []int
	Subject        string
	Table          string
	Fields         []InferredField
	contract       contract.Config
	tree           *infer.Tree
	schema, suffix string
}

// InferredField is what was seen of a field.
type InferredField = infer.Field

// InferredFile is a file of the contract; its name is without a folder.
type InferredFile struct {
	Name    string
	Content []byte
}

// Inferring says what to look at.
type Inferring struct {
	Topic  string
	Bounds Bounds
	// TypeHeader names the header of types; empty to find it out.
	TypeHeader string
	// OneTable has all types without a schema in one contract.
	OneTable bool
	// Table is the table, or what tables of several types begin with; empty for the topic's name.
	Table string
	// Read is called with how many records have been read, of how many at most.
	Read func(n, most int)
}

// LoadAlone reads the configuration and compiles no contract of it: for commands that need none.
func LoadAlone(path string) (Config, error) {
	c := Defaults()
	c.Dir = filepath.Dir(path)
	err := config.Load(path, &c)
	return c, err
}

// LoadWithEntries is Load with the entries of another file in place of the configuration's contracts.
func LoadWithEntries(path, entries string) (Config, error) {
	c, err := LoadAlone(path)
	all, ofEntries := c.withEntries(entries)
	if p, ok := c.registryProblem(all.Contracts); ok {
		ofEntries = config.Merge("", ofEntries, config.Problems{p})
	}
	if err := config.Merge(path, err, ofEntries); err != nil {
		return all, err
	}
	_, err = all.contracts(context.Background(), contract.Env{})
	return all, err
}

func (c Config) withEntries(file string) (Config, error) {
	var err error
	c.ContractsDir = ""
	c.Contracts, err = config.LoadEntries[contract.Config](file)
	return c, err
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
	in := &Inference{Topic: o.Topic, Sampled: sampled}
	groups, err := newGrouping(in, o, schemas.client).all(ctx, records)
	if err != nil {
		return nil, err
	}
	in.draft(groups, o)
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
		if err := in.write(); err != nil {
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
			return in.write() // with what only the rows tell of the fields
		}
	}
}

// give makes schemas wider for the letters of a trial; false when there is nothing to make wider.
func (in *Inference) give(entries []Contract) (some bool) {
	for i := range in.Trial.LettersBy {
		l := &in.Trial.LettersBy[i]
		at := slices.IndexFunc(entries, func(e Contract) bool { return e.Name == l.Contract })
		if l.Reason != "undecodable" || at < 0 || in.Types[at].tree == nil {
			continue
		}
		if field, ok := bytes.CutPrefix([]byte(l.Field), []byte(entries[at].Payload+".")); ok {
			some = in.Types[at].tree.Give(string(field)) || some
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
		if route >= len(counts) || in.Types[route].tree != nil {
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
		case f.tree != nil:
			f.Fields = f.tree.Fields()
		case counts[i] != nil:
			f.Fields = counts[i].fields()
		}
	}
	trial := t.result()
	trial.Sampled = in.Sampled
	return trial, nil
}

// What payloads are.
const (
	isObject    = "json"
	isJSON      = "json, no object"
	isContainer = "avro container file"
	isText      = "text"
	isBytes     = "bytes"
	isEmpty     = "empty"
)

// payloadKind says what a payload without a schema id is.
func payloadKind(value []byte) string {
	trimmed := bytes.TrimLeft(value, " \t\r\n")
	switch {
	case len(value) == 0:
		return isEmpty
	case len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(value):
		return isObject
	case json.Valid(value):
		return isJSON
	case bytes.HasPrefix(value, []byte("Obj\x01")):
		return isContainer
	case utf8.Valid(value) && !bytes.ContainsFunc(value, isControl):
		return isText
	}
	return isBytes
}

// isControl says that a character is not of a text.
func isControl(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' }

// byRecords has the types with the most records first.
func byRecords(a, b InferredType) int {
	return cmp.Or(cmp.Compare(b.Records, a.Records), slices.Compare(a.Types, b.Types))
}
