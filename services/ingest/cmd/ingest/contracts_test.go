package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// tables is a writer that compares tables as it was told.
type tables struct {
	lanev1.UnimplementedTableServiceServer
	diff func(*lanev1.Route) (*lanev1.TableDiff, error)
}

func (s *tables) Diff(_ context.Context, req *lanev1.DiffRequest) (*lanev1.DiffResponse, error) {
	resp := &lanev1.DiffResponse{}
	for _, r := range req.GetRoutes() {
		d, err := s.diff(r)
		if err != nil {
			return nil, err
		}
		resp.Tables = append(resp.Tables, d)
	}
	return resp, nil
}

func startTables(t *testing.T, diff func(*lanev1.Route) (*lanev1.TableDiff, error)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	if diff != nil {
		lanev1.RegisterTableServiceServer(server, &tables{diff: diff})
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// contractsConfig writes a configuration with three contracts.
func contractsConfig(t *testing.T, writer string) (path string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"ingest.yaml": fmt.Sprintf(`
kafka: {brokers: '127.0.0.1:1', group: g}
writer: {endpoints: '%s'}
contracts:
  - builtin: stock.v1
    evolution: additive
  - {topic: orders, format: avro, schema: order.avsc, table: orders, types: [a.Order, a.Paid, a.x, a.y],
     ignore: [a.Ping], delivery: at_least_once}
  - {topic_pattern: 'raw\..*', format: raw, as: json, table: raw, types: ['*'], tombstones: row}
`, writer),
		"order.avsc": `{"type": "record", "name": "Order", "fields": [
			{"name": "id", "type": "string"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
			{"name": "day", "type": {"type": "int", "logicalType": "date"}}, {"name": "note", "type": ["null", "string"]}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "ingest.yaml")
}

func commandLine(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr strings.Builder
	code = run(t.Context(), args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestContractsList(t *testing.T) {
	code, out, errs := commandLine(t, "contracts", "list", "-c", contractsConfig(t, "127.0.0.1:1"))
	want := `  topic                             contract  types                                              format  schema      table                  policies
  sms_physical_stock_updated_topic  stock.v1  contracts.sms.sms_physical_stock_updated_events.*  avro    built in    physical_stock_events  exactly once, evolution additive
  orders                            order     a.Order, a.Paid, a.x, 1 more                       avro    order.avsc  orders                 at least once, ignores a.Ping
  /raw\..*/                         raw       *                                                  raw     -           raw                    exactly once, tombstones row
`
	if code != 0 || out != want || errs != "" {
		t.Errorf("exit status %d\n%s%s", code, out, errs)
	}
}

func TestContractsTest(t *testing.T) {
	config := contractsConfig(t, "127.0.0.1:1")
	dir := filepath.Dir(config)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	order := file("order.bin", "\x04ab\x02\x02\x00")
	code, out, errs := commandLine(t, "contracts", "test", "-c", config, "--topic", "orders", "--type", "a.Order", order)
	var row struct {
		ID      *string `json:"event_id"`
		Type    string  `json:"event_type"`
		Topic   string  `json:"kafka_topic"`
		Payload struct {
			ID, At, Day string
			Note        *string
		}
	}
	if err := json.Unmarshal([]byte(out), &row); err != nil || code != 0 {
		t.Fatalf("exit status %d, %v\n%s%s", code, err, out, errs)
	}
	if row.Type != "Order" || row.Topic != "orders" || row.Payload.ID != "ab" || row.Payload.Note != nil ||
		row.Payload.Day != "1970-01-02" ||
		row.Payload.At != "1970-01-01 00:00:00.000001 UTC" || !strings.Contains(out, `"note": null`) ||
		!strings.Contains(out, "\n  \"payload\": {\n") {
		t.Errorf("got %s", out)
	}

	for name, tt := range map[string]struct {
		args     []string
		code     int
		out, err []string
	}{
		"cut": {
			[]string{"--contract", "order", order, file("cut.bin", "\x04ab\x02")},
			1,
			[]string{`"id": "ab"`},
			[]string{"cut.bin: order: payload.day at byte 4: ", "04 61 62 02 ", "^^", "byte 4", "1 row, 1 failure"},
		},
		"lines": {
			[]string{"--topic", "raw.a", "--lines", "--compact", file("lines.json", "{\"a\": 1}\n\n[1,\n2\r\n")},
			1,
			[]string{`"payload":{"a": 1}}` + "\n", `"kafka_topic":"raw.a"`, `"kafka_offset":2`, `"payload":2}` + "\n"},
			[]string{"lines.json:3: raw: payload at byte 3", "2 rows, 1 failure"},
		},
		"hex": {
			[]string{"--contract", "order", "--hex", file("order.hex", "04 61 62\n02 02 00\n")},
			0,
			[]string{`"id": "ab"`},
			[]string{"1 row, 0 failures"},
		},
		"base64": {
			[]string{"--contract", "order", "--base64", "--lines", file("order.b64", "BGFiAgIA\nBGFiAgIA\n")},
			0,
			[]string{`"id": "ab"`},
			[]string{"2 rows, 0 failures"},
		},
		"no hex": {[]string{"--contract", "order", "--hex", order}, 1, nil, []string{"order.bin: it is not hex"}},
		"no contract": {
			[]string{"--contract", "nope", order},
			1, nil,
			[]string{"there is no contract nope", "\n    order, of topic orders", `raw, of topics raw\..*`},
		},
		"any":      {[]string{order}, 1, nil, []string{"more than one contract"}},
		"no topic": {[]string{"--topic", "nope", order}, 1, nil, []string{"no contract is for the topic nope"}},
		"no type":  {[]string{"--topic", "orders", "--type", "b", order}, 1, nil, []string{`item_type_name is "b"`}},
		"ignored":  {[]string{"--topic", "orders", "--type", "a.Ping", order}, 1, nil, []string{"are ignored"}},
		"no file":  {[]string{"--contract", "order", filepath.Join(dir, "none")}, 1, nil, []string{"no such file"}},
		"both":     {[]string{"--hex", "--base64", order}, 2, nil, []string{"can't be used together"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := commandLine(t, append([]string{"contracts", "test", "-c", config}, tt.args...)...)
			if code != tt.code {
				t.Errorf("exit status %d", code)
			}
			for _, want := range tt.out {
				if !strings.Contains(out, want) {
					t.Errorf("no %q on standard output", want)
				}
			}
			for _, want := range tt.err {
				if !strings.Contains(errs, want) {
					t.Errorf("no %q on standard error", want)
				}
			}
			if t.Failed() {
				t.Logf("%s\n%s", out, errs)
			}
		})
	}
}

func TestContractsTestReadsStandardInput(t *testing.T) {
	config := contractsConfig(t, "127.0.0.1:1")
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte("\x04ab\x02\x02\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	before := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = before }()
	if code, out, errs := commandLine(t, "contracts", "test", "-c", config, "--contract", "order", "-"); code != 0 ||
		!strings.Contains(out, `"id": "ab"`) {
		t.Errorf("exit status %d\n%s%s", code, out, errs)
	}
}

func TestContractsDiff(t *testing.T) {
	missing := &lanev1.Difference{
		Column: "payload.note", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING, Want: "STRING",
	}
	required := &lanev1.Difference{
		Column: "payload.id", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED, Have: "REQUIRED STRING", Want: "STRING",
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
					d.Remarks = []string{"its partitions expire after 10 days: BigQuery takes older rows and deletes them"}
					d.Differences = []*lanev1.Difference{
						{Column: "event_id", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED, Have: "REQUIRED STRING", Want: "STRING", Default: "GENERATE_UUID()"},
						{Column: "event_time", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_DEFAULT, Have: "TIMESTAMP", Want: "TIMESTAMP", Default: "CURRENT_TIMESTAMP()"},
						{Column: "payload.id", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_SHORTER, Have: "STRING(10)", Want: "STRING"},
						{Column: "loaded", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_EXTRA, Have: "REQUIRED TIMESTAMP", Default: "CURRENT_TIMESTAMP()"},
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
		"no answer": {
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

// A registry that is away matters only to contracts that ask it.
func TestContractsWhileTheRegistryIsAway(t *testing.T) {
	for entry, want := range map[string]string{
		"{builtin: stock.v1}": "",
		"{topic: parcels, format: avro, framing: confluent, subject: parcels-value, table: parcels, types: ['*']}": "" +
			"the schema registry does not answer",
	} {
		path := filepath.Join(t.TempDir(), "ingest.yaml")
		text := "kafka: {brokers: '127.0.0.1:1', group: g}\nwriter: {endpoints: '127.0.0.1:1'}\n" +
			"registry: {urls: 'http://127.0.0.1:1'}\ncontracts: [" + entry + "]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := commandLine(t, "contracts", "list", "-c", path)
		if want == "" && (code != 0 || !strings.Contains(out, "physical_stock_events")) ||
			want != "" && (code != 1 || !strings.Contains(errs, want) || !strings.Contains(errs, "correct registry.urls")) {
			t.Errorf("%s: exit status %d\n%s%s", entry, code, out, errs)
		}
	}
}
