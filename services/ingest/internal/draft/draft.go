// Package draft makes a contract to start from, of a sample of a topic's records. It knows neither Kafka nor a running
// ingest: records, and what the schema registry has of them, come in, the files of a contract go out.
//
//	d, err := draft.Of(ctx, records, draft.Options{Topic: topic}, client)
//	err = d.Write()                                  // d.Files: again after a Tree was made wider
//
//	groups.go  which records are of one type
//	kinds.go   what a payload is
//	types.go   a contract for each group, and what tells it from the others
//	write.go   the entries of the configuration, and the schemas that they name
package draft

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/infer"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// Options say what is to be drafted.
type Options struct {
	Topic string
	// TypeHeader names the header of types; empty to find it out.
	TypeHeader string
	// OneTable has all types without a schema in one contract.
	OneTable bool
	// Table is the table, or what tables of several types begin with; empty for the topic's name.
	Table string
}

// Draft is a contract of records.
type Draft struct {
	Topic string
	// Records is how many it was made of.
	Records int
	// TypeHeader is the header that names the types; empty when records have none.
	TypeHeader string
	Tombstones int
	// Types are what was found, most records first.
	Types []Type
	// Files are the contract's, first the entries of the configuration, then the schemas: see Write.
	Files []File
	// Notes say what the contract does not.
	Notes []string
}

// Type is the records of one contract.
type Type struct {
	// Types are the values of the type header, or the full name of the schema.
	Types   []string
	Records int
	// Format is that of the contract. Payloads counts what the payloads are, where they are not all of one kind.
	Format   string
	Payloads map[string]int
	// Schemas are the ids in the registry, Subject is theirs.
	Schemas []int
	Subject string
	Table   string
	// Fields are what was seen, where they are known.
	Fields []infer.Field
	// Tree is the schema of JSON objects that have none, which may be made wider; else it is nil.
	Tree *infer.Tree

	contract       contract.Config
	schema, suffix string
}

// File is a file of the contract; its name is without a folder.
type File struct {
	Name    string
	Content []byte
}

// Of drafts the contract of records; Write makes its files. client may be nil. The error is that of ctx, which ends
// while the schema registry is waited for.
func Of(ctx context.Context, records []*record.Record, o Options, client *registry.Client) (*Draft, error) {
	in := &Draft{Topic: o.Topic, Records: len(records)}
	groups, err := newGrouping(in, o, client).all(ctx, records)
	if err != nil {
		return nil, err
	}
	in.draft(groups, o)
	return in, nil
}

func (in *Draft) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(in.Notes, n) {
		in.Notes = append(in.Notes, n)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// byRecords has the types with the most records first.
func byRecords(a, b Type) int {
	return cmp.Or(cmp.Compare(b.Records, a.Records), slices.Compare(a.Types, b.Types))
}
