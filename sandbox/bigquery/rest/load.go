package rest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

const (
	// maxLine bounds a row of a load job, in bytes: https://cloud.google.com/bigquery/quotas#load_jobs.
	maxLine = 100 << 20
	// loadBlock is how much of a load is appended at a time, in bytes.
	loadBlock = 1 << 20
)

// load runs a load job of newline-delimited JSON. All rows become readable at once, or none does.
func (a *api) load(ctx context.Context, reference *bq.JobReference, config *bq.JobConfiguration,
	source *os.File,
) (*job, error) {
	begin := time.Now()
	if err := loadable(config.Load); err != nil {
		return nil, err
	}
	t, err := a.destination(ctx, config.Load)
	if err != nil {
		return nil, err
	}
	in, err := a.newEncoder(ctx, t)
	if err != nil {
		return nil, err
	}
	in.ignore = config.Load.IgnoreUnknownValues
	if err := in.only(config.Load.Schema); err != nil {
		return nil, err
	}
	// The rows are checked before the first of them is written.
	stats, err := in.lines(source, config.Load.MaxBadRecords, func([]byte, int) error { return nil })
	if err != nil {
		return nil, err
	}
	if err := a.commit(t, in, source, config.Load.MaxBadRecords); err != nil {
		return nil, err
	}
	finished := &job{def: a.done(reference, config, begin)}
	finished.def.Statistics.Load = stats
	return finished, a.jobs.add(finished)
}

// loadable refuses what the sandbox does not load.
func loadable(config *bq.JobConfigurationLoad) error {
	refuse := func(what string) error { return badRequest("The sandbox does not load " + what) }
	switch {
	case len(config.SourceUris) > 0:
		return refuse("from sourceUris: it takes what is uploaded with the job")
	case !strings.EqualFold(config.SourceFormat, "NEWLINE_DELIMITED_JSON"):
		return refuse(fmt.Sprintf("the format %q: it takes NEWLINE_DELIMITED_JSON", config.SourceFormat))
	case len(config.SchemaUpdateOptions) > 0:
		return refuse("with schemaUpdateOptions: change the table first")
	case config.DestinationTable == nil:
		return badRequest("Required parameter is missing: destinationTable")
	}
	return nil
}

// destination is the table that a job loads into; it is created if the job says so.
func (a *api) destination(ctx context.Context, config *bq.JobConfigurationLoad) (*store.Table, error) {
	ref := config.DestinationTable
	t, err := a.Store.Table(ref.ProjectId, ref.DatasetId, ref.TableId)
	if refused, ok := errors.AsType[*store.Error](err); ok && refused.Code == codes.NotFound &&
		config.CreateDisposition != "CREATE_NEVER" {
		if config.Schema == nil {
			return nil, badRequest("The sandbox does not detect schemas: give the load job one, or create the table " +
				"first")
		}
		def := &bq.Table{
			TableReference: ref, Schema: config.Schema, TimePartitioning: config.TimePartitioning,
			RangePartitioning: config.RangePartitioning, Clustering: config.Clustering,
		}
		if err := a.prepareTable(ctx, def); err != nil {
			return nil, err
		}
		return a.Store.CreateTable(def)
	}
	if err != nil {
		return nil, err
	}
	if rows, _ := t.RowCount(); rows > 0 {
		switch config.WriteDisposition {
		case "WRITE_EMPTY":
			return nil, &store.Error{
				Code: codes.AlreadyExists, Message: "Already Exists: Table " + t.ID() +
					" has rows, and the job is WRITE_EMPTY",
			}
		case "WRITE_TRUNCATE", "WRITE_TRUNCATE_DATA":
			return nil, badRequest(
				"The sandbox does not truncate tables that have rows: delete the table first, or load with " +
					"WRITE_APPEND")
		}
	}
	return t, nil
}

// commit appends the rows of a load to a stream of their own and makes them readable.
func (a *api) commit(t *store.Table, in *encoder, source io.ReadSeeker, maxBad int64) error {
	st, err := t.CreateStream(storagepb.WriteStream_PENDING)
	if err != nil {
		return err
	}
	var block []byte
	rows := 0
	flush := func() error {
		if rows == 0 {
			return nil
		}
		_, err := st.Append(store.Append{
			Offset: -1, Descriptor: in.descriptor, Rows: rows, Bytes: block,
			Size: len(block),
		})
		block, rows = block[:0], 0
		return err
	}
	_, err = in.lines(source, maxBad, func(b []byte, _ int) error {
		block = protowire.AppendBytes(append(block, 0x0a), b)
		if rows++; len(block) < loadBlock {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err == nil {
		_, err = st.Finalize()
	}
	if err != nil {
		return err
	}
	_, refusals, err := t.Commit([]string{st.Name()})
	if err == nil && len(refusals) > 0 {
		err = refusals[0]
	}
	return err
}

// lines encodes a row a line of source, from its start. Up to maxBad bad rows are passed over.
func (e *encoder) lines(source io.ReadSeeker, maxBad int64,
	each func(row []byte, line int) error,
) (*bq.JobStatistics3, error) {
	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	stats := &bq.JobStatistics3{InputFiles: 1, ForceSendFields: []string{"OutputRows", "OutputBytes", "BadRecords"}}
	scanner := bufio.NewScanner(source)
	scanner.Buffer(nil, maxLine)
	for line := 1; scanner.Scan(); line++ {
		text := bytes.TrimSpace(scanner.Bytes())
		stats.InputFileBytes += int64(len(scanner.Bytes()) + 1)
		if len(text) == 0 {
			continue
		}
		var object map[string]any
		var b []byte
		err := decodeNumbers(text, &object)
		if err == nil {
			b, err = e.encode(object)
		}
		if err != nil {
			if stats.BadRecords++; stats.BadRecords <= maxBad {
				continue
			}
			return nil, &store.Error{Code: codes.InvalidArgument, Message: fmt.Sprintf(
				"Error while reading data, error message: "+
					"JSON table encountered too many errors, giving up. Rows: %d; errors: %d. Line %d: %v", line,
				stats.BadRecords, line, err)}
		}
		stats.OutputRows++
		stats.OutputBytes += int64(len(b))
		if err := each(b, line); err != nil {
			return nil, err
		}
	}
	return stats, scanner.Err()
}

// only has the columns that a job's schema does not name take their default values: those that it names are null
// where a row lacks them.
func (e *encoder) only(schema *bq.TableSchema) error {
	given := e.columns
	if schema != nil {
		var err error
		if given, err = row.Columns(schema); err != nil {
			return badRequest(err.Error())
		}
	}
	var outside []*row.Column
	for _, c := range given {
		_, there := row.Field(e.columns, c.Name)
		if there == nil || there.Type != c.Type || there.Repeated != c.Repeated {
			return badRequest("Provided Schema does not match Table: field " + c.Name +
				" is not in the table, or of another type or mode there")
		}
	}
	for _, c := range e.columns {
		if _, named := row.Field(given, c.Name); named == nil {
			outside = append(outside, c)
		}
	}
	e.defaults = outside
	return nil
}
