package sink

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// kinds are what a name may stand for beside a table, by the REST reference of tables, `type`. The Storage Write API
// appends to tables only.
var kinds = map[string]string{
	"VIEW": "a view", "MATERIALIZED_VIEW": "a materialized view", "EXTERNAL": "an external table",
	"SNAPSHOT": "a snapshot",
}

// obstacle says why nothing is appended to what has the table's name; empty for a table.
func obstacle(table *bq.Table) string {
	switch what := kinds[table.Type]; {
	case table.Type == "" || table.Type == "TABLE":
		return ""
	case what != "":
		return "it is " + what + ", and rows go to tables only: give the contract another table"
	}
	return fmt.Sprintf("it is of type %.40q, and rows go to tables only: give the contract another table", table.Type)
}

// remarks are what stops no lane and surprises people: what the table does to rows, and does not do as the contract
// says.
func remarks(table *bq.Table, route *lanev1.Route) (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if obstacle(table) != "" {
		return nil
	}
	wanted := &bq.Table{}
	lay(wanted, route.GetLayout())
	if have, want := layoutOf(table), layoutOf(wanted); !strings.EqualFold(have, want) {
		say("it is laid out otherwise than the contract says, %s: an existing table stays as it is", want)
	}
	if p := table.TimePartitioning; p != nil && p.ExpirationMs > 0 {
		say("its partitions expire after %s: BigQuery takes older rows and deletes them", days(p.ExpirationMs))
	}
	if table.ExpirationTime > 0 {
		say("the table itself expires at %s, with its rows",
			time.UnixMilli(table.ExpirationTime).UTC().Format(time.DateTime+" UTC"))
	}
	// https://cloud.google.com/bigquery/docs/column-level-security-writes
	if tagged := policed(table.Schema, nil); len(tagged) > 0 {
		say("columns with policy tags or data policies: %s. Appending needs no right on them, reading does",
			list(tagged))
	}
	if c := table.TableConstraints; c != nil && c.PrimaryKey != nil && len(c.PrimaryKey.Columns) > 0 {
		say("its primary key (%s) is not enforced: rows are appended and replace none",
			strings.Join(c.PrimaryKey.Columns, ", "))
	}
	return all
}

// policies is a remark on the row access policies of a table, where there are any. Listing them needs a right of its
// own (bigquery.rowAccessPolicies.list), which appending does not: where they cannot be listed, nothing is said.
func (s *Sink) policies(ctx context.Context, id tableID) (all []string) {
	found, err := s.raw.RowAccessPolicies.List(id.project, id.dataset, id.table).Context(ctx).Do()
	if err != nil || len(found.RowAccessPolicies) == 0 {
		return nil
	}
	var names []string
	for _, policy := range found.RowAccessPolicies {
		if policy.RowAccessPolicyReference != nil {
			names = append(names, policy.RowAccessPolicyReference.PolicyId)
		}
	}
	return []string{"row access policies: " + list(names) + ". Appending heeds none; who reads sees the rows that " +
		"they grant, and none without a grant"}
}

// policed are the paths of columns that not everybody may read.
func policed(schema *bq.TableSchema, all []string) []string {
	if schema == nil {
		return all
	}
	var walk func(prefix string, fields []*bq.TableFieldSchema)
	walk = func(prefix string, fields []*bq.TableFieldSchema) {
		for _, f := range fields {
			if f.PolicyTags != nil && len(f.PolicyTags.Names) > 0 || len(f.DataPolicies) > 0 {
				all = append(all, prefix+f.Name)
			}
			walk(prefix+f.Name+".", f.Fields)
		}
	}
	walk("", schema.Fields)
	return all
}

// list names a few.
func list(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(slices.Clone(names[:most]), ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// days is a time in milliseconds for people; it may be more than a time.Duration holds.
func days(ms int64) string {
	const day = 24 * 60 * 60 * 1000
	if ms%day == 0 {
		return fmt.Sprintf("%d days", ms/day)
	}
	return fmt.Sprintf("%.1f days", float64(ms)/day)
}
