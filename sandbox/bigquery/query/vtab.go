package query

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"modernc.org/sqlite/vtab"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// module makes virtual tables over the scans of a running statement: bqrows(STATEMENT, SCAN).
type module struct{}

// Create implements vtab.Module.
func (module) Create(ctx vtab.Context, args []string) (vtab.Table, error) {
	if len(args) != 5 {
		return nil, errors.New("bqrows takes a statement and a scan")
	}
	s, ok := running.Load(strings.TrimSpace(args[3]))
	n, err := strconv.Atoi(strings.TrimSpace(args[4]))
	if !ok || err != nil {
		return nil, errors.New("no such statement")
	}
	scan := s.(*Statement).scans[n]
	columns := []string{"none"} // a table must have a column, and COUNT(*) needs none
	for i := range scan.paths {
		columns = append(columns, "c"+strconv.Itoa(i))
	}
	return &rowTable{scan: scan}, ctx.Declare("CREATE TABLE x(" + strings.Join(columns, ", ") + ")")
}

// Connect implements vtab.Module.
func (m module) Connect(ctx vtab.Context, args []string) (vtab.Table, error) {
	return m.Create(ctx, args)
}

type rowTable struct{ scan *tableScan }

// BestIndex implements vtab.Table: every scan is a full one.
func (t *rowTable) BestIndex(info *vtab.IndexInfo) error {
	rows, _ := t.scan.table.RowCount()
	info.EstimatedRows, info.EstimatedCost = rows, float64(rows)
	return nil
}

// Open implements vtab.Table.
func (t *rowTable) Open() (vtab.Cursor, error) {
	return &cursor{of: t.scan, out: make([]any, len(t.scan.paths))}, nil
}

// Disconnect implements vtab.Table.
func (t *rowTable) Disconnect() error { return nil }

// Destroy implements vtab.Table.
func (t *rowTable) Destroy() error { return nil }

// cursor reads one scan. Columns of a row are decoded together, when the first of them is asked for.
type cursor struct {
	of         *tableScan
	scan       *store.Scanner
	shape      *row.Shape
	projection *row.Projection
	fields     []*row.Column // of the paths
	unit       string        // of partitions by the time of ingestion
	out        []any
	read       bool
	end        bool
	id         int64
}

// Filter implements vtab.Cursor: it starts over.
func (c *cursor) Filter(int, string, []vtab.Value) error {
	if err := c.Close(); err != nil {
		return err
	}
	c.scan, c.end, c.id, c.shape = c.of.table.Scan(), false, 0, nil
	c.fields, c.unit = c.fields[:0], ingestionUnit(c.of.table)
	for _, path := range c.of.paths {
		columns := c.scan.Columns()
		var field *row.Column
		for _, name := range path {
			if _, field = row.Field(columns, name); field == nil {
				field = pseudo(c.of.table, name)
			}
			if field == nil {
				return fmt.Errorf("column %s is gone", strings.Join(path, "."))
			}
			columns = field.Fields
		}
		c.fields = append(c.fields, field)
	}
	return c.Next()
}

// Next implements vtab.Cursor.
func (c *cursor) Next() error {
	c.end = !c.scan.Next()
	c.read = false
	c.id++
	return c.scan.Err()
}

// Eof implements vtab.Cursor.
func (c *cursor) Eof() bool { return c.end } //nolint:revive,staticcheck // vtab.Cursor names it so

// Column implements vtab.Cursor.
func (c *cursor) Column(col int) (vtab.Value, error) {
	if col == 0 {
		return nil, nil
	}
	if !c.read {
		if shape := c.scan.Shape(); shape != c.shape {
			c.shape, c.projection = shape, shape.Project(c.of.paths)
		}
		if err := c.projection.Read(c.scan.Row(), c.out); err != nil {
			return nil, err
		}
		for i, field := range c.fields {
			if field == pseudos[field.Name] {
				c.out[i] = partitionOf(field, c.unit, c.scan)
			}
		}
		c.read = true
	}
	v, field := c.out[col-1], c.fields[col-1]
	if field.Repeated || v != nil && field.Type == row.Struct {
		return string(row.AppendValue(nil, field, v, row.Query)), nil
	}
	return v, nil
}

// Rowid implements vtab.Cursor.
func (c *cursor) Rowid() (int64, error) { return c.id, nil }

// Close implements vtab.Cursor.
func (c *cursor) Close() error {
	if c.scan == nil {
		return nil
	}
	err := c.scan.Close()
	c.scan = nil
	return err
}
