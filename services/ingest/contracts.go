package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/findings"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Contract is an entry of the configuration as it was understood.
type Contract = contract.Entry

// DecodeError says why a record is no row.
type DecodeError = decode.Error

// Contracts are those of a configuration, for commands that look at them without running.
type Contracts struct {
	set     *contract.Set
	config  Config
	schemas schemas
}

// OpenContracts compiles the contracts of a configuration. The error is config.Problems, or a schema registry that does
// not respond. Close them at the end.
func OpenContracts(ctx context.Context, c Config) (*Contracts, error) {
	if needed, err := c.needRegistry(); err != nil {
		return nil, err
	} else if !needed {
		c.Registry.URLs = nil // nobody would ask it
	}
	found, schemas := checkRegistry(ctx, &c)
	for _, f := range found {
		if f.State == findings.Fail {
			schemas.close()
			return nil, fmt.Errorf("the schema registry does not respond: %s\n    %s", f.Detail, f.Remedy)
		}
	}
	set, err := c.contracts(ctx, schemas.env)
	if err != nil {
		schemas.close()
		return nil, err
	}
	return &Contracts{set: set, config: c, schemas: schemas}, nil
}

// Close closes the connections to the schema registry.
func (c *Contracts) Close() { c.schemas.close() }

// List lists the contracts.
func (c *Contracts) List() []Contract { return c.set.Entries() }

// Choice says which contract a sample is for: by its name, or by topic and type as a record is routed.
type Choice struct{ Contract, Topic, Type string }

// Reader turns samples into rows of one contract.
type Reader struct {
	// Contract is the one chosen; where each sample says its own type, that of the last sample.
	Contract Contract
	// Warnings are what is wrong with the schemas and does not matter.
	Warnings []string

	choice Choice
	topic  *contract.Topic // where each sample says its own type
	row    *rowPrinter
	route  *lanev1.Route // of row
}

// Reader finds the contract of a choice. The error says what there is to choose from.
func (c *Contracts) Reader(choice Choice) (*Reader, error) {
	all := c.List()
	var found []Contract
	t := c.set.Topic(choice.Topic)
	switch {
	case choice.Contract == "" && choice.Type == "" && t != nil && t.TypedBySchema():
		return &Reader{choice: choice, topic: t, Warnings: t.Warnings()}, nil
	case choice.Contract == "" && choice.Topic != "":
		e, err := c.routed(choice)
		if err != nil {
			return nil, err
		}
		found = []Contract{*e}
	default:
		for _, e := range all {
			if (choice.Contract == "" || e.Name == choice.Contract) && (choice.Topic == "" || e.Topic == choice.Topic) {
				found = append(found, e)
			}
		}
	}
	if len(found) != 1 {
		var names []string
		for _, e := range all {
			names = append(names, fmt.Sprintf("\n    %s, of %s", e.Name, topicOf(&e)))
		}
		reason := "more than one contract may be meant"
		if len(found) == 0 {
			reason = fmt.Sprintf("there is no contract %s", choice.Contract)
		}
		return nil, fmt.Errorf("%s: choose with --contract, or with --topic and --type, one of%s", reason,
			strings.Join(names, ""))
	}
	row, err := newRowPrinter(found[0].Route)
	if err != nil {
		return nil, err
	}
	return &Reader{
		Contract: found[0], Warnings: found[0].Warnings, choice: choice, row: row, route: found[0].Route,
	}, nil
}

// routed finds the contract that takes records of a type.
func (c *Contracts) routed(choice Choice) (*Contract, error) {
	t := c.set.Topic(choice.Topic)
	if t == nil {
		return nil, fmt.Errorf("no contract is for the topic %s", choice.Topic)
	}
	return t.Takes(choice.Type)
}

func topicOf(e *Contract) string {
	if e.Topic == "" {
		return "topics " + e.TopicPattern
	}
	return "topic " + e.Topic
}

// ErrTombstone says that a payload is null by its schema, and that the contract makes no row of that.
var ErrTombstone = errors.New("the payload is null, a tombstone")

// Row decodes one payload and returns its row as JSON: envelope and payload, nulls included. The error is a
// *DecodeError where the payload is at fault, and ErrTombstone where it is null. offset stands for the record's offset.
func (r *Reader) Row(ctx context.Context, value []byte, offset int64, indent string) ([]byte, error) {
	if r.topic != nil {
		found, err := r.topic.Reads(ctx, value)
		if err != nil {
			return nil, err
		}
		r.Contract = *found
	}
	route, err := r.Contract.Prepare(ctx, value)
	if err != nil {
		return nil, err
	}
	if route != r.route { // another contract's, or the contract has grown
		if r.row, err = newRowPrinter(route); err != nil {
			return nil, err
		}
		r.route, r.Contract.Route = route, route
	}
	topic := r.choice.Topic
	if topic == "" {
		topic = r.Contract.Topic
	}
	rec := record.Record{Topic: topic, Offset: offset, TimestampMicros: -1, Value: value}
	itemType, null := r.Contract.TypeOf(value)
	if null && r.Contract.Tombstones != "row" {
		return nil, fmt.Errorf("%w (tombstones: %s)", ErrTombstone, r.Contract.Tombstones)
	}
	if r.choice.Type != "" {
		itemType = []byte(r.choice.Type)
		rec.Headers = []record.Header{{Key: []byte(r.Contract.TypeHeader), Value: itemType}}
	}
	framed, err := r.Contract.AppendRow(nil, &rec, itemType, time.Now().UnixMicro())
	if err != nil {
		return nil, err
	}
	return r.row.print(framed, indent)
}

// Name is what the samples are read by, for people.
func (r *Reader) Name() string {
	if r.topic != nil {
		return "topic " + r.choice.Topic
	}
	return "contract " + r.Contract.Name
}

// TableDiff is a table compared with the rows of a contract.
type TableDiff struct {
	Contract Contract
	Diff     *lanev1.TableDiff
}

// mostRoutes is how many tables one call compares (tables.proto).
const mostRoutes = 1000

// Diff asks a writer to compare the tables of all contracts, those of unknown types included, with their rows. It
// changes nothing.
func (c *Contracts) Diff(ctx context.Context) ([]TableDiff, error) {
	conn, err := c.config.Writer.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return diffEntries(ctx, lanev1.NewTableServiceClient(conn), slices.Concat(c.List(), c.set.Unknown()))
}

// diffEntries asks a writer to compare the tables of contracts with their rows.
func diffEntries(ctx context.Context, writer lanev1.TableServiceClient, all []Contract) ([]TableDiff, error) {
	var found []TableDiff
	for entries := range slices.Chunk(all, mostRoutes) {
		req := &lanev1.DiffRequest{}
		for i := range entries {
			req.Routes = append(req.Routes, entries[i].Route)
		}
		resp, err := writer.Diff(ctx, req, grpc.WaitForReady(false))
		switch {
		case status.Code(err) == codes.Unimplemented:
			return nil, fmt.Errorf("the writer cannot compare tables: it is older than this ingest, or no writer")
		case err != nil:
			remedy := ""
			if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
				remedy = "\n    `ingest check` tells whether a writer responds, `writer check` there whether " +
					"BigQuery does"
			}
			return nil, fmt.Errorf("the writer: %s (%s)%s", status.Convert(err).Message(), status.Code(err), remedy)
		case len(resp.GetTables()) != len(entries):
			return nil, fmt.Errorf("the writer compared %d of %d tables", len(resp.GetTables()), len(entries))
		}
		for i, d := range resp.GetTables() {
			found = append(found, TableDiff{entries[i], d})
		}
	}
	return found, nil
}
