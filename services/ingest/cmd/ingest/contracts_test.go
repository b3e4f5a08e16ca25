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
	code, out, errs := commandLine(t, "contracts", "test", "-c", config, "--topic", "orders", "--type", "a.Order",
		order)
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

// A registry that is away matters only to contracts that ask it.
func TestContractsWhileTheRegistryIsAway(t *testing.T) {
	for entry, want := range map[string]string{
		"{builtin: stock.v1}": "",
		"{topic: parcels, format: avro, framing: confluent, subject: parcels-value, table: parcels, types: ['*']}": "" +
			"the schema registry does not respond",
	} {
		path := filepath.Join(t.TempDir(), "ingest.yaml")
		text := "kafka: {brokers: '127.0.0.1:1', group: g}\nwriter: {endpoints: '127.0.0.1:1'}\n" +
			"registry: {urls: 'http://127.0.0.1:1'}\ncontracts: [" + entry + "]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := commandLine(t, "contracts", "list", "-c", path)
		if want == "" && (code != 0 || !strings.Contains(out, "physical_stock_events")) ||
			want != "" && (code != 1 || !strings.Contains(errs, want) ||
				!strings.Contains(errs, "correct registry.urls")) {
			t.Errorf("%s: exit status %d\n%s%s", entry, code, out, errs)
		}
	}
}
