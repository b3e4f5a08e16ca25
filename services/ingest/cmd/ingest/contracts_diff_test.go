package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

func TestContractsDiff(t *testing.T) {
	missing := &lanev1.Difference{
		Column: "payload.note", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING, Want: "STRING",
	}
	required := &lanev1.Difference{
		Column: "payload.id", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED, Have: "REQUIRED STRING",
		Want: "STRING",
	}
	other := &lanev1.Difference{
		Column: "payload.day", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_TYPE, Have: "INTEGER", Want: "DATE",
	}
	narrow := &lanev1.Difference{
		Column: "payload.total", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_NARROWER, Have: "NUMERIC(10, 2)",
		Want: "NUMERIC(12, 4)",
	}
	only := &lanev1.Difference{
		Column: "must", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED, Have: "REQUIRED STRING",
	}
	extra := &lanev1.Difference{Column: "old", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_EXTRA, Have: "STRING"}
	for name, tt := range map[string]struct {
		args []string
		diff func(*lanev1.Route) (*lanev1.TableDiff, error)
		code int
		out  string
		err  string
	}{
		"all is well": {
			diff: func(r *lanev1.Route) (*lanev1.TableDiff, error) {
				d := &lanev1.TableDiff{Table: "p.d." + r.GetTable(), Exists: r.GetTable() != "raw"}
				switch r.GetTable() {
				case "physical_stock_events":
					d.Differences = []*lanev1.Difference{missing, required}
				case "orders":
					d.Differences = []*lanev1.Difference{extra}
				}
				return d, nil
			},
			out: `  table                      contract  evolution  verdict
  p.d.physical_stock_events  stock.v1  additive   columns to add (1 missing, 1 to relax)
  p.d.orders                 order     off        fits (1 only in the table)
  p.d.raw                    raw       off        will be created

p.d.physical_stock_events
  column        table has        rows have  what happens
  payload.note  -                STRING     added
  payload.id    REQUIRED STRING  STRING     relaxed to NULLABLE

3 tables: 1 to be created, 1 fitting, 1 with columns to add, 0 refused
`,
		},
		"refused": {
			args: []string{"--extra"}, code: 1,
			diff: func(r *lanev1.Route) (*lanev1.TableDiff, error) {
				d := &lanev1.TableDiff{Table: "p.d." + r.GetTable(), Exists: true}
				switch r.GetTable() {
				case "physical_stock_events":
					d.Differences = []*lanev1.Difference{missing, other}
				case "orders":
					d.Differences = []*lanev1.Difference{missing, extra}
				}
				return d, nil
			},
			out: `  table                      contract  evolution  verdict
  p.d.physical_stock_events  stock.v1  additive   REFUSED (1 of another type, 1 missing)
  p.d.orders                 order     off        REFUSED (1 missing, 1 only in the table)
  p.d.raw                    raw       off        fits

p.d.physical_stock_events
  column        table has  rows have  what happens
  payload.note  -          STRING     added
  payload.day   INTEGER    DATE       refused: no evolution changes a type; use another table or column

p.d.orders
  column        table has  rows have  what happens
  payload.note  -          STRING     refused: add the column, or set evolution: additive
  old           STRING     -          stays null

3 tables: 0 to be created, 1 fitting, 0 with columns to add, 2 refused
`,
		},
		"tables that exist otherwise": {
			args: []string{"--extra"}, code: 1,
			diff: func(r *lanev1.Route) (*lanev1.TableDiff, error) {
				d := &lanev1.TableDiff{Table: "p.d." + r.GetTable(), Exists: true}
				switch r.GetTable() {
				case "physical_stock_events":
					d.Obstacle = "it is a view, and rows go to tables only: give the contract another table"
				case "orders":
					d.Remarks = []string{"its partitions expire after 10 days: BigQuery takes older rows and " +
						"deletes them"}
					d.Differences = []*lanev1.Difference{
						{
							Column: "event_id", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED,
							Have: "REQUIRED STRING", Want: "STRING", Default: "GENERATE_UUID()",
						},
						{
							Column: "event_time", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_DEFAULT,
							Have: "TIMESTAMP", Want: "TIMESTAMP", Default: "CURRENT_TIMESTAMP()",
						},
						{
							Column: "payload.id", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_SHORTER, Have: "STRING(10)",
							Want: "STRING",
						},
						{
							Column: "loaded", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_EXTRA,
							Have:    "REQUIRED TIMESTAMP",
							Default: "CURRENT_TIMESTAMP()",
						},
					}
				}
				return d, nil
			},
			out: `  table                      contract  evolution  verdict
  p.d.physical_stock_events  stock.v1  additive   REFUSED: it is a view, and rows go to tables only: give the contract another table
  p.d.orders                 order     off        fits (1 REQUIRED, 1 shorter, 1 with a default value, 1 only in the table)
  p.d.raw                    raw       off        fits

p.d.orders
  column      table has           rows have  what happens
  event_id    REQUIRED STRING     STRING     rows without a value are refused, one by one; missing_values: default has BigQuery fill in GENERATE_UUID()
  event_time  TIMESTAMP           TIMESTAMP  missing values are null; missing_values: default has BigQuery fill in CURRENT_TIMESTAMP()
  payload.id  STRING(10)          STRING     rows with longer values are refused, one by one
  loaded      REQUIRED TIMESTAMP  -          BigQuery fills it in: CURRENT_TIMESTAMP()
  note: its partitions expire after 10 days: BigQuery takes older rows and deletes them

3 tables: 0 to be created, 2 fitting, 0 with columns to add, 1 refused
`,
		},
		"without evolution": {
			code: 1,
			diff: func(r *lanev1.Route) (*lanev1.TableDiff, error) {
				d := &lanev1.TableDiff{Table: "p.d." + r.GetTable(), Exists: true}
				switch r.GetTable() {
				case "physical_stock_events":
					d.Differences = []*lanev1.Difference{narrow}
				case "orders":
					d.Differences = []*lanev1.Difference{required}
				case "raw":
					d.Differences = []*lanev1.Difference{required, only}
				}
				return d, nil
			},
			out: `  table                      contract  evolution  verdict
  p.d.physical_stock_events  stock.v1  additive   REFUSED (1 too narrow)
  p.d.orders                 order     off        fits (1 REQUIRED)
  p.d.raw                    raw       off        REFUSED (2 REQUIRED)

p.d.physical_stock_events
  column         table has       rows have       what happens
  payload.total  NUMERIC(10, 2)  NUMERIC(12, 4)  refused: widen the column, or ask for no more digits with columns:

p.d.orders
  column      table has        rows have  what happens
  payload.id  REQUIRED STRING  STRING     rows without a value are refused, one by one

p.d.raw
  column      table has        rows have  what happens
  payload.id  REQUIRED STRING  STRING     rows without a value are refused, one by one
  must        REQUIRED STRING  -          refused: relax the column, or set evolution: additive

3 tables: 0 to be created, 1 fitting, 0 with columns to add, 2 refused
`,
		},
		"no response": {
			diff: func(*lanev1.Route) (*lanev1.TableDiff, error) {
				return nil, status.Error(codes.Unavailable, "BigQuery cannot be asked")
			}, code: 1, err: "the writer: BigQuery cannot be asked (Unavailable)",
		},
		"an old writer": {code: 1, err: "cannot compare tables"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := commandLine(t,
				append([]string{"contracts", "diff", "-c", contractsConfig(t, startTables(t, tt.diff))}, tt.args...)...)
			if code != tt.code || out != tt.out || !strings.Contains(errs, tt.err) {
				t.Errorf("exit status %d\n%s%s", code, out, errs)
			}
		})
	}
}

// The table of unknown types can stop a lane as any other one, so it is compared too.
func TestContractsDiffOfUnknownTypes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingest.yaml")
	writer := startTables(t, func(r *lanev1.Route) (*lanev1.TableDiff, error) {
		return &lanev1.TableDiff{Table: "p.d." + r.GetTable(), Exists: true, Differences: []*lanev1.Difference{
			{Column: "payload", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_TYPE, Have: "STRING", Want: "BYTES"},
		}[:len(r.GetTable())/6]}, nil
	})
	text := fmt.Sprintf(`
kafka: {brokers: '127.0.0.1:1', group: g}
writer: {endpoints: '%s'}
contracts: [{topic: raw, format: raw, table: raw, types: [a.b], unknown: table, unknown_table: others,
  evolution: additive}]
`, writer)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = `  table       contract  evolution  verdict
  p.d.raw     raw       additive   fits
  p.d.others  unknown   additive   REFUSED (1 of another type)

p.d.others
  column   table has  rows have  what happens
  payload  STRING     BYTES      refused: no evolution changes a type; use another table or column

2 tables: 0 to be created, 1 fitting, 0 with columns to add, 1 refused
`
	if code, out, errs := commandLine(t, "contracts", "diff", "-c", path); code != 1 || out != want {
		t.Errorf("exit status %d\n%s%s", code, out, errs)
	}
}
