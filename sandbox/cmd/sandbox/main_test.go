package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/sandbox"
	"github.com/waybill-data/waybill/sandbox/kafka"
	"github.com/waybill-data/waybill/sandbox/sandboxtest"
)

// command runs a command line as a user would.
func command(ctx context.Context, t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e strings.Builder
	code = run(ctx, args, &o, &e)
	return code, o.String(), e.String()
}

// point writes an endpoints file.
func point(t *testing.T, e sandbox.Endpoints) string {
	t.Helper()
	e.Project, e.Dataset = sandbox.Project, sandbox.Dataset
	if e.Admin == "" {
		server := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(server.Close)
		e.Admin = server.URL
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), sandbox.EndpointsFile)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHelp(t *testing.T) {
	for _, words := range []string{
		"", "up", "produce", "query", "verify", "faults", "faults list", "faults add", "faults clear", "version",
	} {
		code, out, _ := command(t.Context(), t, append(strings.Fields(words), "--help")...)
		if code != 0 || !strings.Contains(out, "Usage: sandbox") {
			t.Errorf("%s --help: %d\n%s", words, code, out)
		}
		for _, withExamples := range []string{"up", "produce", "query", "verify", "faults add"} {
			if words == withExamples && !strings.Contains(out, "Examples:") {
				t.Errorf("%s --help has no examples", words)
			}
		}
	}
}

// A wrong command line is reported in one line with the way out, and is told apart from a failure by the code.
func TestWrongCommandLines(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "sandbox.json")
	here := point(t, sandbox.Endpoints{Kafka: []string{"127.0.0.1:1"}})
	dead := point(t, sandbox.Endpoints{Admin: "http://127.0.0.1:1"})
	for _, wrong := range []struct {
		args string
		code int
		says string
	}{
		{"dance", 2, `see "sandbox --help"`},
		{"produce --codec brotli", 2, "none"},
		{"query", 2, "sql"},
		{"up --seed-topics a --dir " + t.TempDir(), 1, "NAME:PARTITIONS"},
		{"up --seed-topics a:0 --dir " + t.TempDir(), 1, "NAME:PARTITIONS"},
		{"verify --sandbox " + missing, 1, "Start one with"},
		{"produce --events 0 --sandbox " + here, 1, "--endless"},
		{"verify --topics nope --sandbox " + here, 1, "no built-in contract"},
		{"faults add kafka key --sandbox " + here, 1, "field=value"},
		{"faults add kafka count=x --sandbox " + here, 1, "whole number"},
		{"faults add kafka partitions=1,x --sandbox " + here, 1, "commas"},
		{"faults add bigquery probability=x --sandbox " + here, 1, "from 0 to 1"},
		{"faults add bigquery in_stream=x --sandbox " + here, 1, "true or false"},
		{"faults clear nowhere", 2, `see "sandbox faults clear --help"`},
		{"faults clear --id 1 --sandbox " + here, 1, "faults clear bigquery --id 1"},
		{"produce --partitions 0 --sandbox " + here, 1, "--partitions must be positive"},
		{"faults list --sandbox " + dead, 1, "still running"},
		{"faults list --sandbox " + here, 1, "404"},
	} {
		code, out, errs := command(t.Context(), t, strings.Fields(wrong.args)...)
		if code != wrong.code || !strings.Contains(errs, wrong.says) || out != "" {
			t.Errorf("%s: %d, %s%s", wrong.args, code, out, errs)
		}
	}
}

func TestFaults(t *testing.T) {
	cluster := sandboxtest.Kafka(t, kafka.Config{Topics: []kafka.Topic{{Name: "a", Partitions: 2}}})
	var posted string
	mux := http.NewServeMux()
	mux.Handle("/kafka/faults", cluster.Handler())
	schemas := sandboxtest.Registry(t)
	mux.Handle("/registry/faults", schemas.Handler())
	mux.HandleFunc("/bigquery/faults", func(w http.ResponseWriter, r *http.Request) {
		switch body, _ := io.ReadAll(r.Body); {
		case r.Method == http.MethodPost && strings.Contains(string(body), "wrong"):
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"unknown kind"}`))
		case r.Method == http.MethodPost:
			posted = string(body)
			_, _ = w.Write([]byte(`{"id":"f1","kind":"latency","delay":"20ms","hits":0}`))
		case r.Method == http.MethodGet:
			_, _ = w.Write([]byte(`[{"id":"f1","kind":"latency","delay":"20ms","jitter":"0s","hits":12}]`))
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	at := "--sandbox=" + point(t, sandbox.Endpoints{Admin: server.URL})
	expect := func(wantCode int, says string, args ...string) {
		t.Helper()
		code, out, errs := command(t.Context(), t, append(args, at)...)
		if code != wantCode || !strings.Contains(out+errs, says) {
			t.Errorf("%v: %d, %s%s; want %q", args, code, out, errs, says)
		}
	}
	expect(0, "added kafka 1: count=3 error=NOT_COORDINATOR key=OffsetCommit partitions=0,1",
		"faults", "add", "kafka", "key=offsetcommit", "error=not_coordinator", "count=3", "partitions=0,1")
	expect(0, "done: action=move_leaders", "faults", "add", "kafka", "action=move_leaders")
	expect(1, "REQUEST_TIMED_OUT", "faults", "add", "kafka", "key=Fetch", "error=nope")
	expect(0, "added bigquery f1: delay=20ms kind=latency",
		"faults", "add", "bigquery", "kind=latency", "delay=20ms", "probability=0.5", "offsets=7", "in_stream=true",
		"count=2")
	const want = `{"count":2,"delay":"20ms","in_stream":true,"kind":"latency","offsets":[7],"probability":0.5}`
	if posted != want {
		t.Errorf("posted %s, want %s", posted, want)
	}
	expect(1, "bigquery faults: unknown kind", "faults", "add", "bigquery", "kind=wrong")
	expect(0, "  bigquery  f1  delay=20ms kind=latency                                          12\n", "faults")
	expect(0, `"on":"kafka"`, "faults", "list", "--json")
	expect(0, "cleared kafka 1\n", "faults", "clear", "kafka", "--id=1")
	expect(1, "kafka has no fault with the id 1", "faults", "clear", "kafka", "--id=1")
	expect(1, "faults add --help", "faults", "add", "kafka", "kee=Fetch")
	if left := cluster.Faults(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	expect(0, "added registry 1: status=503", "faults", "add", "registry", "status=503")
	expect(0, "cleared bigquery\ncleared kafka\ncleared registry\n", "faults", "clear")
}

// response is what BigQuery's REST API sends for a query: every value is a string.
const response = `{"kind":"bigquery#queryResponse","jobComplete":true,"totalRows":"2",
 "jobReference":{"projectId":"sandbox","jobId":"j"},
"schema":{"fields":[{"name":"name","type":"STRING"},{"name":"n","type":"INTEGER"},{"name":"share","type":"FLOAT"},
 {"name":"at","type":"TIMESTAMP"},{"name":"key","type":"BYTES"},{"name":"price","type":"NUMERIC"},
  {"name":"yes","type":"BOOLEAN"},
 {"name":"place","type":"RECORD","fields":[{"name":"city","type":"STRING"},
   {"name":"tags","type":"INTEGER","mode":"REPEATED"}]}]},
"rows":[
{"f":[{"v":"São"},{"v":"9007199254740993"},{"v":"0.5"},{"v":"1793491200000001"},{"v":"AQI="},{"v":"1.50"},{"v":"true"},
 {"v":{"f":[{"v":"Porto"},{"v":[{"v":"1"},{"v":"2"}]}]}}]},
{"f":[{"v":null},{"v":"0"},{"v":null},{"v":null},{"v":null},{"v":null},{"v":null},{"v":{"f":[{"v":null},{"v":[]}]}}]}]}`

// Types are respected: whole numbers exact, null apart from zero and empty, records and arrays as JSON.
func TestQuery(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "SELEC ") {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":{"code":400,"message":"Syntax error at [1:1]"}}`))
			return
		}
		if !strings.Contains(string(body), `"datasetId":"waybill"`) {
			t.Errorf("no default dataset: %s", body)
		}
		_, _ = w.Write([]byte(response))
	}))
	defer server.Close()
	at := "--sandbox=" + point(t, sandbox.Endpoints{BigQueryREST: server.URL})
	code, out, errs := command(t.Context(), t, "query", "SELECT 1", at)
	want := `  name                 n  share  at                           key         price  yes   place
  São   9007199254740993    0.5  2026-11-01T00:00:00.000001Z  AQI=  1.500000000  true  {"city":"Porto","tags":[1,2]}
  null                 0   null  null                         null         null  null  {"city":null,"tags":[]}
2 rows in `
	if code != 0 || !strings.HasPrefix(out, want) {
		t.Errorf("%d, %s got\n%s\nwant\n%s", code, errs, out, want)
	}
	code, out, _ = command(t.Context(), t, "query", "--json", "--rows=1", "SELECT 1", at)
	if code != 0 || !strings.Contains(out, `"n":9007199254740993,"name":"São"`) || strings.Count(out, "\n") != 1 {
		t.Errorf("%d, %s", code, out)
	}
	if code, _, errs := command(t.Context(), t, "query", "SELEC 1", at); code != 1 ||
		!strings.Contains(errs, "Syntax error at [1:1]") {
		t.Errorf("%d, %s", code, errs)
	}
}

func TestProduce(t *testing.T) {
	cluster, err := kafka.Start(kafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	at := "--sandbox=" + point(t, sandbox.Endpoints{Kafka: cluster.Seeds()})
	code, out, errs := command(t.Context(), t, "produce", "--events=300", "--size=4000", "--no-bad", "--json",
		"--codec=zstd", at)
	var summary struct {
		Events, Truncated int64
		Bytes             int64
	}
	if err := json.Unmarshal([]byte(out), &summary); code != 0 || err != nil || summary.Events != 300 ||
		summary.Truncated != 0 {
		t.Errorf("%d, %s%s, %v", code, out, errs, err)
	}
	code, out, _ = command(t.Context(), t, "produce", "--events=50", "--topic=sms_physical_stock_updated_topic",
		"--first=10", at)
	if code != 0 || !strings.HasPrefix(out, "produced 50 events (0.0 MB) to sms_physical_stock_updated_topic in ") ||
		!strings.HasSuffix(out, "seed 1, next --first 60\n") {
		t.Errorf("%d, %s", code, out)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	if code, out, errs := command(ctx, t, "produce", "--endless", at); code == 0 {
		t.Errorf("an interrupt before the start: %d, %s%s", code, out, errs)
	}
}

func TestVersion(t *testing.T) {
	if code, out, _ := command(t.Context(), t, "version"); code != 0 || !strings.HasPrefix(out, "sandbox ") {
		t.Errorf("%d, %s", code, out)
	}
}
