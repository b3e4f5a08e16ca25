// Package query runs GoogleSQL SELECTs over stored rows. A query is parsed, its names are resolved against the
// tables' schemas, and it becomes a query of SQLite (in process, no cgo) whose tables are virtual: SQLite asks for
// row after row, and of each only the columns that the query names are decoded, straight from the bytes the writer
// sent. Nothing is copied into SQLite and nothing is written.
//
// What is not supported is refused with an error that names it.
package query

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

const driverName = "waybill-bigquery"

// module is the virtual table module of every connection of this package; scans finds a running query's tables.
var (
	driverOnce sync.Once
	errDriver  error
	running    sync.Map // statement number -> *Statement
	numbers    atomic.Int64
)

// Engine runs queries over a store.
type Engine struct{ store *store.Store }

// New makes an Engine.
func New(s *store.Store) (*Engine, error) {
	driverOnce.Do(func() {
		d := &sqlite.Driver{}
		if errDriver = register(d); errDriver != nil {
			return
		}
		if errDriver = d.RegisterModule("bqrows", module{}); errDriver == nil {
			sql.Register(driverName, d)
		}
	})
	return &Engine{store: s}, errDriver
}

// Request is one query.
type Request struct {
	SQL string
	// Project and Dataset complete table names that lack them.
	Project, Dataset string
	// Parameters as the REST API carries them.
	Parameters []Parameter
}

// Statement is a translated query.
type Statement struct {
	// Columns of the result.
	Columns []*row.Column
	sql     string
	scans   []*tableScan
}

// Prepare translates a query. Its error is an *Error for a wrong or unsupported one.
func (e *Engine) Prepare(r Request) (*Statement, error) {
	q, err := parse(r.SQL)
	if err != nil {
		return nil, err
	}
	t := &translator{store: e.store, project: r.Project, dataset: r.Dataset}
	if t.params, err = parameters(r.Parameters); err != nil {
		return nil, err
	}
	text, columns, err := t.query(q, nil)
	if err != nil {
		return nil, err
	}
	for i, c := range columns {
		if first, _ := row.Field(columns, c.Name); first != i {
			return nil, refuse(-1, "Duplicate column names in the result are not supported. Found duplicate(s): %s",
				c.Name)
		}
	}
	return &Statement{Columns: columns, sql: text, scans: t.scans}, nil
}

// Run runs the query, a record at a time. An error of each ends it.
func (s *Statement) Run(ctx context.Context, each func(row.Record) error) error {
	number := strconv.FormatInt(numbers.Add(1), 10)
	running.Store(number, s)
	defer running.Delete(number)
	db, err := sql.Open(driverName, ":memory:")
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "PRAGMA temp_store = FILE; PRAGMA cache_size = -65536"); err != nil {
		return err
	}
	for i := range s.scans {
		if _, err := conn.ExecContext(ctx,
			fmt.Sprintf("CREATE VIRTUAL TABLE temp.t%d USING bqrows(%s, %d)", i, number, i)); err != nil {
			return err
		}
	}
	rows, err := conn.QueryContext(ctx, s.sql)
	if err != nil {
		return &Error{Offset: -1, Message: err.Error()}
	}
	defer rows.Close()
	cells := make([]any, len(s.Columns))
	into := make([]any, len(s.Columns))
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		record := make(row.Record, len(cells))
		for i, c := range s.Columns {
			if record[i], err = result(c, cells[i]); err != nil {
				return err
			}
		}
		if err := each(record); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return &Error{Offset: -1, Message: err.Error()}
	}
	return nil
}

// result brings a value out of SQLite into the form of a record.
func result(c *row.Column, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	if c.Repeated || c.Type == row.Struct {
		return row.Parse(c, []byte(text(v)))
	}
	switch c.Type {
	case row.Integer, row.Timestamp:
		if tooLarge(v) {
			return nil, refuse(-1, "int64 overflow: %v", v)
		}
		return whole(v), nil
	case row.Float:
		return fraction(v), nil
	case row.Boolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return whole(v) != 0, nil
	case row.Bytes:
		return append([]byte{}, blob(v)...), nil
	case row.Numeric, row.BigNumeric:
		if f, ok := v.(float64); ok {
			return strconv.FormatFloat(f, 'f', -1, 64), nil
		}
	}
	return text(v), nil
}
