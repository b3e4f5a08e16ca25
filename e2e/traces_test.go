package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// traceReceiver is an OpenTelemetry collector that keeps the spans of each service by trace.
type traceReceiver struct {
	collector.UnimplementedTraceServiceServer

	mu     sync.Mutex
	traces map[string]map[string]*tracev1.Span
}

// Export implements the collector's service.
func (r *traceReceiver) Export(_ context.Context, in *collector.ExportTraceServiceRequest) (
	*collector.ExportTraceServiceResponse, error,
) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range in.GetResourceSpans() {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				id := hex.EncodeToString(span.GetTraceId())
				if r.traces[id] == nil {
					r.traces[id] = map[string]*tracev1.Span{}
				}
				r.traces[id][service+" "+span.GetName()] = span
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func newTraceReceiver() *traceReceiver {
	return &traceReceiver{traces: map[string]map[string]*tracev1.Span{}}
}

// collect serves a traceReceiver and returns its address.
func collect(t *testing.T) (r *traceReceiver, address string) {
	t.Helper()
	r = newTraceReceiver()
	return r, serveCollector(t, r)
}

// serveCollector serves a collector until the test ends.
func serveCollector(t *testing.T, c collector.TraceServiceServer) (address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, c)
	go server.Serve(l) //nolint:errcheck // ended by Stop
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

func tracingTo(address string) string {
	return fmt.Sprintf("tracing: {endpoint: %q, insecure: true}\n", address)
}

// A sampled record has a trace of its own through both services, linked to the one in its headers.
func TestTraces(t *testing.T) {
	t.Parallel()
	r, address := collect(t)
	w := newWorld(t, stack.Config{
		Contracts:  "\n  - {topic: traced, format: raw, as: string, table: traced, types: [\"*\"]}\n",
		Topics:     []string{"traced:1"},
		IngestYAML: strings.Replace(tracingTo(address), "{", "{one_in: 1, ", 1),
		WriterYAML: tracingTo(address),
	})
	const producer, records = "4bf92f3577b34da6a3ce929d0e0e4736", 20
	client := w.client()
	for i := range records {
		sent := client.ProduceSync(w.ctx, &kgo.Record{
			Topic: "traced", Value: fmt.Append(nil, i),
			Headers: []kgo.RecordHeader{{Key: "traceparent", Value: []byte("00-" + producer + "-00f067aa0ba902b7-01")}},
		})
		if err := sent.FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	// No text: its record is a dead letter, and ingest's log names its trace.
	if err := client.ProduceSync(w.ctx, &kgo.Record{Topic: "traced", Value: []byte{0xff}}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	w.sent["traced"] = records + 1
	w.settled()
	w.until("the log names the trace of a dead letter", func() error { return logNamesTrace(w, r, records) })
	w.until("a trace has spans of both services", func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, spans := range r.traces {
			if whole(spans, producer) {
				return nil
			}
		}
		return fmt.Errorf("%d traces, none of them whole: %v", len(r.traces), r.traces)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	offsets := map[int64]bool{}
	for id, spans := range r.traces {
		top := spans["waybill-ingest record"]
		if top == nil {
			continue // on its way
		}
		if id == producer {
			t.Error("the record is part of its producer's trace")
		}
		for _, a := range top.GetAttributes() {
			if a.GetKey() == "messaging.kafka.offset" {
				offset := a.GetValue().GetIntValue()
				if offset < 0 || offset > records || offsets[offset] {
					t.Errorf("offset %d is traced, or traced again", offset)
				}
				offsets[offset] = true
			}
		}
	}
}

// logNamesTrace looks for ingest's line about the dead letter of an offset, and for the span that it names.
func logNamesTrace(w *world, r *traceReceiver, offset int64) error {
	b, err := os.ReadFile(w.Ingests[0].Log)
	if err != nil {
		return err
	}
	line := `a traced record is a dead letter now" topic=traced partition=0 trace_id=(\w{32}) span_id=(\w{16}) offset=`
	m := regexp.MustCompile(line + strconv.FormatInt(offset, 10) + " ").FindSubmatch(b)
	if m == nil {
		return errors.New("no such line")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	span := r.traces[string(m[1])]["waybill-ingest record"]
	if hex.EncodeToString(span.GetSpanId()) != string(m[2]) ||
		span.GetStatus().GetCode() != tracev1.Status_STATUS_CODE_ERROR {
		return fmt.Errorf("the trace is %v", span)
	}
	return nil
}

// whole reports whether a trace has all its spans, as they belong below each other.
func whole(spans map[string]*tracev1.Span, producer string) bool {
	top, settle, appended := spans["waybill-ingest record"], spans["waybill-ingest settle"],
		spans["waybill-writer append"]
	if top == nil || settle == nil || appended == nil || len(top.GetParentSpanId()) > 0 || len(top.GetLinks()) != 1 ||
		hex.EncodeToString(top.GetLinks()[0].GetTraceId()) != producer ||
		!bytes.Equal(appended.GetParentSpanId(), settle.GetSpanId()) ||
		top.GetStatus().GetCode() != tracev1.Status_STATUS_CODE_UNSET {
		return false
	}
	for _, name := range []string{"fetch", "decode", "batch", "settle"} {
		if s := spans["waybill-ingest "+name]; s == nil || !bytes.Equal(s.GetParentSpanId(), top.GetSpanId()) {
			return false
		}
	}
	return true
}

// A collector that nobody has started stops nothing: every event arrives once, and the log says that traces are lost.
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // nobody accepts there
	w := newWorld(t, stack.Config{
		IngestYAML: strings.Replace(tracingTo(l.Addr().String()), "{", "{one_in: 1, ", 1),
		WriterYAML: tracingTo(l.Addr().String()),
	})
	for _, topic := range []string{"delivery_events_v6_topic", "sms_physical_stock_updated_topic"} {
		w.produce(topic, 2000, events.Config{})
	}
	w.verified()
	w.until("the log says that traces are lost", func() error {
		if !w.logHas(w.Ingests[0], "traces are lost") {
			return errors.New("it does not")
		}
		return nil
	})
}
