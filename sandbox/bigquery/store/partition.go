package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// Partition is one partition of a table, by what is in it now.
type Partition struct {
	// ID is what BigQuery calls it: 20240131 and the like, the start of a range, __NULL__ or __UNPARTITIONED__.
	ID   string
	Rows int64
	// First and Last are when the first and the last of its rows came, in emulator time.
	First, Last time.Time
}

// Partitions lists the partitions that have rows, in the order they are met. Nil is a table without partitions.
func (t *Table) Partitions(ctx context.Context) ([]*Partition, error) {
	def := t.Definition()
	id := partitionID(def)
	if id == nil {
		return nil, nil
	}
	var path [][]string
	if field := partitionField(def); field != "" {
		path = [][]string{{field}}
	}
	scan := t.Scan()
	defer scan.Close()
	out, byID := []*Partition{}, map[string]*Partition{}
	var shape *row.Shape
	var projection *row.Projection
	value := make([]any, len(path))
	for scan.NextIn(ctx) {
		if scan.Shape() != shape {
			shape = scan.Shape()
			projection = shape.Project(path)
		}
		if err := projection.Read(scan.Row(), value); err != nil {
			return nil, err
		}
		var of any = scan.Micros()
		if len(path) > 0 {
			of = value[0]
		}
		name := id(of)
		p := byID[name]
		if p == nil {
			p = &Partition{ID: name, First: time.UnixMicro(scan.Micros())}
			byID[name] = p
			out = append(out, p)
		}
		p.Rows++
		p.Last = time.UnixMicro(scan.Micros())
	}
	return out, scan.Err()
}

func partitionField(def *bq.Table) string {
	switch {
	case def.TimePartitioning != nil:
		return def.TimePartitioning.Field
	case def.RangePartitioning != nil:
		return def.RangePartitioning.Field
	}
	return ""
}

// partitionID names the partition of a value of the partitioning field; nil for a table without partitions.
func partitionID(def *bq.Table) func(any) string {
	if p := def.RangePartitioning; p != nil {
		return func(v any) string {
			n, ok := v.(int64)
			switch {
			case !ok:
				return "__NULL__"
			case n < p.Range.Start || n >= p.Range.End:
				return "__UNPARTITIONED__"
			}
			return strconv.FormatInt(p.Range.Start+(n-p.Range.Start)/p.Range.Interval*p.Range.Interval, 10)
		}
	}
	if def.TimePartitioning == nil {
		return nil
	}
	layout := map[string]string{
		"HOUR": "2006010215", "DAY": "20060102", "MONTH": "200601", "YEAR": "2006",
	}[def.TimePartitioning.Type]
	return func(v any) string {
		switch v := v.(type) {
		case int64:
			return time.UnixMicro(v).UTC().Format(layout)
		case string: // a DATE or DATETIME in its canonical text
			for _, form := range []string{time.DateOnly, "2006-01-02T15:04:05.999999"} {
				if at, err := time.Parse(form, v); err == nil {
					return at.Format(layout)
				}
			}
			return fmt.Sprintf("%q", v) // cannot be: rows are checked
		}
		return "__NULL__"
	}
}
