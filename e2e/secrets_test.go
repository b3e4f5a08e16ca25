package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// keyedReceiver is a collector that wants a key, and keeps all that it is sent.
type keyedReceiver struct {
	*traceReceiver
	key  string
	keys int
	all  strings.Builder
}

// Export implements the collector's service.
func (r *keyedReceiver) Export(ctx context.Context, in *collector.ExportTraceServiceRequest) (
	*collector.ExportTraceServiceResponse, error,
) {
	r.mu.Lock()
	if got := metadata.ValueFromIncomingContext(ctx, "x-key"); len(got) == 1 && got[0] == r.key {
		r.keys++
	}
	r.all.WriteString(prototext.Format(in))
	r.mu.Unlock()
	return r.traceReceiver.Export(ctx, in)
}

// No secret of a fleet that works, and meets faults, comes out: by no command, page, event, tap or trace, in no log,
// nor in what a process leaves behind that is made to crash.
func TestNoSecretComesOutOfTheFleet(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{
		"the registry's password": "canary-registry-0815",
		"the collector's key":     "canary-collector-4711",
		"the key of checkpoints":  "canary-checkpoint-key-of-more-than-32-bytes",
	}
	seal := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(seal, []byte(secrets["the key of checkpoints"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &keyedReceiver{traceReceiver: newTraceReceiver(), key: secrets["the collector's key"]}
	tracing := tracingTo(serveCollector(t, r))
	w := prepared(t, stack.Config{
		DeliveryPartitions: 1, StockPartitions: 1, Contracts: "  - builtin: delivery.v6\n  - builtin: stock.v1\n",
		IngestYAML: strings.Replace(tracing, "{", "{one_in: 1, ", 1),
		WriterYAML: tracing + "checkpoint: {keys: [" + seal + "]}\n",
		Env:        []string{"OTEL_EXPORTER_OTLP_HEADERS=x-key=" + r.key},
	})
	config, err := os.ReadFile(w.Ingests[0].Config)
	if err != nil {
		t.Fatal(err)
	}
	guarded := strings.Replace(string(config), "\nregistry:\n",
		"\nregistry:\n  user: ann\n  password: "+secrets["the registry's password"]+"\n", 1)
	if err := os.WriteFile(w.Ingests[0].Config, []byte(guarded), 0o600); err != nil {
		t.Fatal(err)
	}
	w.upSandbox()
	w.upServices()

	// Rows, dead letters, refusals and faults.
	w.fault(stack.BigQuery, map[string]any{"kind": "row_errors", "every": 50})
	w.produce(stack.DeliveryTopic, 300, events.Config{TruncatedEvery: 20, UnknownTypeEvery: 30})
	w.fault(stack.Registry, map[string]any{"status": 401, "count": 3})
	var out strings.Builder
	run := func(program string, args ...string) (said string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(w.ctx, 5*time.Minute)
		defer cancel()
		text, _ := exec.CommandContext(ctx, filepath.Join(bin, program), args...).CombinedOutput()
		if len(text) == 0 {
			t.Errorf("%s %v says nothing", program, args)
		}
		out.Write(text)
		return string(text)
	}
	if said := run("ingest", "check", "-c", w.Ingests[0].Config); !strings.Contains(said, "FAIL  schema registry") {
		t.Errorf("the registry refuses, and check says\n%s", said)
	}
	w.settled()
	tapped := make(chan string, 1)
	go func() {
		text, errs, _ := w.ingest("tap", "--at", "dead-letter", "--limit", "1", "--for", "2m", "-o", "json")
		tapped <- text + errs
	}()
	for tap := ""; tap == ""; {
		select {
		case tap = <-tapped:
			if !strings.Contains(tap, "undecodable") && !strings.Contains(tap, "unknown") {
				t.Errorf("the tap shows %s", tap)
			}
			out.WriteString(tap)
		default:
			w.produce(stack.DeliveryTopic, 50, events.Config{TruncatedEvery: 5})
		}
	}
	for _, args := range [][]string{
		{"check"},
		{"top", "--once"},
		{"top", "--once", "-o", "json"},
		{"plan"},
		{"events", "-o", "json"},
		{"explain", stack.DeliveryTopic + "/0/7", "-o", "json"},
		{"dead-letters", "list", "--topic", stack.DeliveryTopic},
		{"contracts", "list"},
		{"contracts", "diff"},
		{"pause", "--list"},
		{"health"},
	} {
		run("ingest", append(args, "-c", w.Ingests[0].Config)...)
	}
	run("writer", "check", "-c", w.Writers[0].Config)
	for _, s := range []*stack.Service{w.Ingests[0], w.Writers[0]} {
		for _, path := range []string{
			"/", "/events", "/events.json", "/fleet", "/contracts", "/letters", "/lanes", "/plan", "/metrics",
			"/readyz", "/table?name=delivery_events", "/lane?topic=" + stack.DeliveryTopic + "&partition=0",
			"/act?do=pause",
			"/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1",
		} {
			out.WriteString(w.page(s, path))
		}
	}
	w.until("traces of both services", func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.keys < 2 || !strings.Contains(r.all.String(), "append") || !strings.Contains(r.all.String(), "decode") {
			return fmt.Errorf("%d exports with the key", r.keys)
		}
		return nil
	})
	// A crash: the Go runtime prints every goroutine, as it does in a panic that nobody catches.
	for _, s := range []*stack.Service{w.Ingests[0], w.Writers[0]} {
		if err := s.Signal(syscall.SIGQUIT); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.Exited():
		case <-w.ctx.Done():
			t.Fatal(w.ctx.Err())
		}
		log, err := os.ReadFile(s.Log)
		if err != nil || !strings.Contains(string(log), "SIGQUIT: quit") ||
			!strings.Contains(string(log), "goroutine ") {
			t.Fatalf("%s left no dump: %v", s.Name, err)
		}
		out.Write(log)
		w.restart(s) // so that it can stop in order
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	everything := out.String() + r.all.String()
	for name, secret := range secrets {
		if i := strings.Index(everything, secret); i >= 0 {
			t.Errorf("%s came out: %s", name, everything[max(0, i-300):min(len(everything), i+100)])
		}
	}
}

// page is the text of a page of the admin port, whatever its status.
func (w *world) page(s *stack.Service, path string) string {
	w.t.Helper()
	r := request(w.ctx, w.t, http.MethodGet, "http://"+s.Admin+path, "")
	return fmt.Sprint(r.header) + r.body
}
