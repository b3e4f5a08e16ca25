package sink

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// relaxedGrace is how long after a look at a table the Storage Write API may still hold a column for REQUIRED that is
// not any more. BigQuery speaks of minutes.
const relaxedGrace = 15 * time.Minute

// evolve adds the columns that are missing and relaxes those that are REQUIRED. A table that has changed meanwhile is
// left alone: the error is a conflict then, and the next look tells what is left to do.
func (s *Sink) evolve(ctx context.Context, id tableID, found []difference) error {
	// The table is read as REST has it and not through the client's own types, which leave out what they do not know of
	// a column; what is missing in an update is taken away.
	table, err := s.raw.Tables.Get(id.project, id.dataset, id.table).View("BASIC").Context(ctx).Do()
	if err != nil {
		return err
	}
	changes, err := apply(table.Schema, found)
	switch {
	case err != nil:
		return err
	case len(changes) == 0:
		return errMoved
	}
	call := s.raw.Tables.Patch(id.project, id.dataset, id.table, &bq.Table{Schema: table.Schema}).Context(ctx)
	call.Header().Set("If-Match", table.Etag)
	if _, err := call.Do(); err != nil {
		return err
	}
	for _, c := range changes {
		column := found[c.difference]
		s.metrics.columns.WithLabelValues(c.what).Inc()
		if c.what == added {
			s.log.Info("column added", "table", id.String(), "column", column.path, "type", spell(column.want))
		} else {
			s.log.Info("column relaxed", "table", id.String(), "column", column.path, "was", spell(column.have))
		}
	}
	return nil
}

// What evolution does to a column.
const (
	added   = "added"
	relaxed = "relaxed"
)

// change is one change of a schema.
type change struct {
	what string
	// difference is the index of what it does away with.
	difference int
}

// apply changes a schema so that the differences are gone, as far as they are still there.
func apply(schema *bq.TableSchema, found []difference) ([]change, error) {
	if schema == nil {
		return nil, fmt.Errorf("%w: the table has no schema", errUnfit)
	}
	columns := make(map[string]*bq.TableFieldSchema)
	byPath(columns, "", schema.Fields)
	var changes []change
	for i := range found {
		d := &found[i]
		if !d.evolves() {
			continue
		}
		fields, path := &schema.Fields, strings.ToLower(d.path)
		if parent := strings.LastIndexByte(path, '.'); parent >= 0 {
			record := columns[path[:parent]]
			if record == nil {
				return nil, errMoved
			}
			fields = &record.Fields
		}
		column := columns[path]
		switch {
		case column != nil && d.kind == lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED && column.Mode == "REQUIRED":
			column.Mode = "NULLABLE"
			changes = append(changes, change{relaxed, i})
		case column == nil && d.kind == lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING:
			fresh, err := fieldsOf(bigquery.Schema{d.want})
			if err != nil {
				return nil, err
			}
			*fields = append(*fields, fresh[0])
			changes = append(changes, change{added, i})
		}
	}
	return changes, nil
}

// byPath finds columns by their path in lower case: BigQuery's names are the same whatever their case.
func byPath(columns map[string]*bq.TableFieldSchema, prefix string, fields []*bq.TableFieldSchema) {
	for _, f := range fields {
		path := prefix + strings.ToLower(f.Name)
		columns[path] = f
		byPath(columns, path+".", f.Fields)
	}
}

// maxReasons bounds how many columns one message names: a table of another contract differs in thousands.
const maxReasons = 100

// unfit says why the rows cannot go to the table, all of it, and what to do.
func unfit(found []difference, evolution lanev1.Evolution) error {
	additive := evolution == lanev1.Evolution_EVOLUTION_ADDITIVE
	var reasons []string
	byItself, narrow := false, false
	for i := range found {
		d := &found[i]
		if additive && d.evolves() {
			continue
		}
		if d.hinders() {
			reasons = append(reasons, d.String())
			byItself = byItself || d.evolves()
			narrow = narrow || d.kind == lanev1.DifferenceKind_DIFFERENCE_KIND_NARROWER
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	remedy := "change the columns (bq update), or give the contract another table"
	if narrow {
		remedy = "widen the columns (ALTER COLUMN … SET DATA TYPE), or ask for no more than they hold with " +
			"`columns:` of the contract, or give it another table"
	}
	switch {
	case additive:
		remedy += "; evolution never changes a type, a mode or a precision"
	case byItself:
		remedy = "set `evolution: additive` on the contract, and the writer adds what is missing and relaxes what is " +
			"REQUIRED, or " + remedy
	}
	if more := len(reasons) - maxReasons; more > 0 {
		reasons = append(reasons[:maxReasons], fmt.Sprintf("and %d columns more", more))
	}
	return fmt.Errorf("%w: %s; %s; the lane goes on by itself", errUnfit, strings.Join(reasons, "; "), remedy)
}

// aboutRequired matches what BigQuery says of a row, or of a row message, without a REQUIRED column.
var aboutRequired = regexp.MustCompile(`(?i)required.*(missing|not (set|present|specified)|absent)|missing required`)

// excuse turns the refusal of rows for want of a REQUIRED column into a retry on a new connection, while the Storage
// Write API may not know yet that the column is not REQUIRED any more: evolution saw to that when it looked at the
// table. Columns that it does not know yet have a code of their own, see fault.go.
func (t *table) excuse(f *fault, now time.Time) {
	if t == nil || !t.additive || now.Sub(t.looked) > relaxedGrace {
		return
	}
	about := (f.kind == suspect || f.kind == fatal) && aboutRequired.MatchString(f.text)
	for _, row := range f.rows {
		about = about || f.kind == refused && aboutRequired.MatchString(row.Message)
	}
	if about {
		f.kind, f.code, f.rows, f.uncertain = renew, codeNotRelaxed, nil, false
	}
}

// The codes of faults that come of a schema which the Storage Write API does not know yet.
var (
	codeExtraFields = storagepb.StorageError_SCHEMA_MISMATCH_EXTRA_FIELDS.String()
	codeNotRelaxed  = "SCHEMA_NOT_YET_RELAXED"
)

// blindFor is how long the Storage Write API may be blind before the table is looked at again: somebody may have taken
// the column away.
const blindFor = time.Minute

// doubt notes since when the Storage Write API has been blind. The caller holds mu.
func (a *appender) doubt(f *fault, now time.Time) {
	if a.blind.IsZero() && (f.code == codeExtraFields || f.code == codeNotRelaxed) {
		a.blind = now
	}
}

// lookAgain sees to the table again once the Storage Write API has been blind for a while, or whenever it has denied
// the table: then it may be gone. The error, if there is one, ends the queue: the table cannot take the rows any more.
// That BigQuery cannot be asked right now is none.
func (a *appender) lookAgain() error {
	a.mu.Lock()
	due := !a.blind.IsZero() && time.Since(a.blind) >= a.sink.blindFor
	if due {
		a.blind = time.Now()
	}
	barred := !a.queue.barred.IsZero()
	a.mu.Unlock()
	if !due && !barred {
		return nil
	}
	ctx, cancel := context.WithTimeout(a.ctx, callTimeout)
	defer cancel()
	if barred {
		if found, err := a.sink.read(ctx, a.table.id); found == nil && err == nil {
			return fmt.Errorf("%w: table %s is not there: it was deleted", lane.ErrStreamGone, a.table.id)
		}
		return nil
	}
	err := a.table.stand(ctx)
	if !errors.Is(err, errUnfit) {
		return nil
	}
	a.sink.forget(a.table) // The next lane to open looks anew.
	return &halt{codes.FailedPrecondition, err.Error()}
}

// conflict reports whether a change met another one.
func conflict(err error) bool {
	code := httpStatus(err)
	return errors.Is(err, errMoved) || code == http.StatusConflict || code == http.StatusPreconditionFailed
}
