// Package livecheck asks a real BigQuery whether it does what Waybill's argument for exactly once takes for granted
// (docs/exactly-once.md): one short experiment for each assumption, in a table of its own that it creates and deletes.
//
// It talks to the Storage Write API directly, not through package sink, so that what it sees is BigQuery and not our
// way around it.
package livecheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/api/googleapi"

	"github.com/waybill-data/waybill/services/writer/internal/sink"
)

// Config says where to experiment.
type Config struct {
	// BigQuery names project and dataset; the dataset must exist.
	BigQuery sink.Config
	// Version of the program, for BigQuery's logs.
	Version string
	// JSON writes an object a line for each experiment, with check, verdict and seen, and nothing else.
	JSON bool
	// SchemaWait bounds how long an added column may take to reach the Storage Write API.
	SchemaWait time.Duration
}

// experiment is one assumption. It returns what was seen; a *difference says that BigQuery does otherwise than assumed,
// any other error that the experiment could not be made.
type experiment struct {
	name string
	run  func(*bench, context.Context) (seen string, err error)
}

// difference is what was seen in place of what is assumed.
type difference string

func (d difference) Error() string { return string(d) }

func differs(format string, args ...any) error { return difference(fmt.Sprintf(format, args...)) }

// experiments in the order in which they are made; the last one deletes the table.
var experiments = []experiment{
	{"finalize with appends in flight", (*bench).finalizeInFlight},
	{"finalize twice", (*bench).finalizeTwice},
	{"append after finalize", (*bench).appendFinalized},
	{"repeated append", (*bench).repeated},
	{"partial overlap", (*bench).overlap},
	{"offset gap", (*bench).gap},
	{"behind a rejected append", (*bench).pipeline},
	{"second connection", (*bench).secondConnection},
	{"row errors", (*bench).rowErrors},
	{"11 MB append", (*bench).large},
	{"9 MiB append", (*bench).usual},
	{"rows are readable", (*bench).readable},
	{"unknown write stream", (*bench).unknownStream},
	{"dates far away", (*bench).farDates},
	{"added column", (*bench).addedColumn},
	{"write stream of a deleted table", (*bench).deletedTable},
}

// experimentTimeout bounds one experiment, but for the wait for a column.
const experimentTimeout = time.Minute

// createTimeout bounds the creation of the table.
const createTimeout = 20 * time.Second

// cleanupTimeout bounds the deletion of the table after an interruption.
const cleanupTimeout = 20 * time.Second

// bench is where the experiments are made.
type bench struct {
	write   *storage.BigQueryWriteClient
	rest    *bigquery.Client
	table   *bigquery.Table
	version string
	wait    time.Duration
	// dropped says that the table is deleted already.
	dropped bool
	// written is how many rows BigQuery has confirmed or counted.
	written int64
}

// name is projects/P/datasets/D/tables/T.
func (b *bench) name() string {
	return fmt.Sprintf("projects/%s/datasets/%s/tables/%s", b.table.ProjectID, b.table.DatasetID, b.table.TableID)
}

// Run makes all experiments, writes a line for each to w, and reports whether everything is as assumed. The error says
// why it could not begin or end; what could not be tried counts as not as assumed.
func Run(ctx context.Context, c Config, w io.Writer) (ok bool, err error) {
	write, rest, err := sink.Clients(ctx, c.BigQuery, c.Version)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, write.Close(), rest.Close()) }()
	b := &bench{write: write, rest: rest, version: c.Version, wait: c.SchemaWait}
	b.table = rest.Dataset(c.BigQuery.Dataset).Table("waybill_live_check_" +
		strings.ReplaceAll(time.Now().UTC().Format("20060102_150405.000000"), ".", "_"))
	if err := b.create(ctx); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, b.drop(ctx)) }()
	said := &sayer{w: w, json: c.JSON}
	said.begin(b.table)
	failed := 0
	for _, e := range experiments {
		verdict := "ok"
		seen, err := b.try(ctx, e)
		if d := difference(""); errors.As(err, &d) {
			verdict, seen = "differs", string(d)
		} else if err != nil {
			verdict, seen = "failed", strings.Join(strings.Fields(err.Error()), " ")
		}
		if err != nil {
			failed++
		}
		said.result(e.name, verdict, seen)
		if ctx.Err() != nil {
			return false, fmt.Errorf("interrupted: %w", ctx.Err())
		}
	}
	said.end(failed)
	return failed == 0, nil
}

func (b *bench) try(ctx context.Context, e experiment) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, experimentTimeout+b.wait)
	defer cancel()
	return e.run(b, ctx)
}

// create makes the table. It deletes itself after a day, should we not live to do it.
func (b *bench) create(ctx context.Context) error {
	// The client tries again for as long as it may while nobody responds.
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	err := b.table.Create(ctx, &bigquery.TableMetadata{
		Description:    "waybill writer live-check; safe to delete",
		ExpirationTime: time.Now().Add(24 * time.Hour),
		Schema: bigquery.Schema{
			{Name: "n", Type: bigquery.IntegerFieldType},
			{Name: "s", Type: bigquery.StringFieldType},
			{Name: "amount", Type: bigquery.NumericFieldType},
		},
	})
	if err == nil {
		return nil
	}
	remedy := "check the network to the BigQuery API, and --endpoint-rest"
	if errors.As(err, new(*googleapi.Error)) {
		remedy = "the dataset must exist, and the account needs roles/bigquery.dataEditor on it"
	}
	return fmt.Errorf("create table %s.%s.%s: %w; %s", b.table.ProjectID, b.table.DatasetID, b.table.TableID, err,
		remedy)
}

// drop deletes the table, also after an interruption.
func (b *bench) drop(ctx context.Context) error {
	if b.dropped {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if err := b.table.Delete(ctx); err != nil {
		return fmt.Errorf("delete table %s: %w; it expires within a day", b.table.TableID, err)
	}
	b.dropped = true
	return nil
}

// stream creates a write stream, of the type that lanes use. A table just made may be unknown to the Storage Write API
// for a while.
func (b *bench) stream(ctx context.Context) (string, error) {
	request := &storagepb.CreateWriteStreamRequest{
		Parent: b.name(), WriteStream: &storagepb.WriteStream{Type: storagepb.WriteStream_COMMITTED},
	}
	for {
		stream, err := b.write.CreateWriteStream(ctx, request)
		if err == nil {
			return stream.GetName(), nil
		}
		if b.written > 0 || !notFound(err) {
			return "", fmt.Errorf("create a write stream: %w", err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return "", fmt.Errorf("create a write stream: %w", err)
		}
	}
}

func (b *bench) finalize(ctx context.Context, stream string) (int64, error) {
	response, err := b.write.FinalizeWriteStream(ctx, &storagepb.FinalizeWriteStreamRequest{Name: stream})
	return response.GetRowCount(), err
}
