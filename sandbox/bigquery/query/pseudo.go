package query

import (
	"strings"
	"time"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// pseudos are the columns that a table partitioned by the time of ingestion has besides its own: the partition that a
// row lies in, by when it came. * does not show them
// (https://cloud.google.com/bigquery/docs/querying-partitioned-tables). _PARTITIONDATE is there by the day only.
var pseudos = map[string]*row.Column{
	"_PARTITIONTIME": {Name: "_PARTITIONTIME", Type: row.Timestamp},
	"_PARTITIONDATE": {Name: "_PARTITIONDATE", Type: row.Date},
}

// pseudo finds a pseudo column of a table; nil when the table has none of that name.
func pseudo(t *store.Table, name string) *row.Column {
	unit := ingestionUnit(t)
	c := pseudos[strings.ToUpper(name)]
	if unit == "" || c == nil || c.Type == row.Date && unit != "DAY" {
		return nil
	}
	return c
}

// ingestionUnit is the length of a partition of a table that is partitioned by the time of ingestion, empty for any
// other table.
func ingestionUnit(t *store.Table) string {
	if p := t.Definition().TimePartitioning; p != nil && p.Field == "" {
		return p.Type
	}
	return ""
}

// partitionOf is what a pseudo column says of the row that a scan is at, as SQLite has it.
func partitionOf(c *row.Column, unit string, scan *store.Scanner) any {
	start := truncate(unit, time.UnixMicro(scan.Micros()).UTC())
	if c.Type == row.Date {
		return start.Format(time.DateOnly)
	}
	return start.UnixMicro()
}
