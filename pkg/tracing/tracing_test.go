package tracing

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// receiver is a collector that keeps the names of spans by their trace.
type receiver struct {
	collector.UnimplementedTraceServiceServer

	mu    sync.Mutex
	names []string
	came  chan struct{}
}

func (r *receiver) Export(_ context.Context, in *collector.ExportTraceServiceRequest) (
	*collector.ExportTraceServiceResponse, error,
) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range in.GetResourceSpans() {
		of := map[string]string{}
		for _, a := range resource.GetResource().GetAttributes() {
			of[a.GetKey()] = a.GetValue().GetStringValue()
		}
		if pid := "/" + strconv.Itoa(os.Getpid()); !strings.HasSuffix(of["service.instance.id"], pid) {
			return nil, status.Errorf(codes.InvalidArgument, "who sends this? %v", of)
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				r.names = append(r.names, of["service.name"]+"/"+span.GetName())
			}
		}
	}
	select {
	case r.came <- struct{}{}:
	default:
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// listen serves the receiver at an address of its own.
func listen(t *testing.T) (*receiver, string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{came: make(chan struct{}, 1)}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, r)
	go server.Serve(l) //nolint:errcheck // ended by Stop
	t.Cleanup(server.Stop)
	return r, l.Addr().String()
}

// Spans go out with the name of their service, the last ones when the Tracer closes.
func TestSpansGoOut(t *testing.T) {
	r, address := listen(t)
	tracer, err := Open(t.Context(), &Config{Endpoint: address, Insecure: true}, "waybill-test", slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Start(t.Context(), "record", time.Now())
	span.End()
	tracer.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := strings.Join(r.names, " "); got != "waybill-test/record" {
		t.Errorf("the collector got %q", got)
	}
}

// Without an endpoint there is no Tracer, and that is no special case for who has one.
func TestNoTracer(t *testing.T) {
	tracer, err := Open(t.Context(), &Config{}, "waybill-test", slog.Default())
	if tracer != nil || err != nil || tracer.Enabled() {
		t.Fatalf("%v, %v", tracer, err)
	}
	tracer.Close()
}

// lines are those of a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	came chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.came <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

// A collector that is away costs one line of the log, and nobody waits for it.
func TestCollectorAway(t *testing.T) {
	out := &lines{came: make(chan struct{}, 1)}
	lossy := &complaints{exporter: broken{}, endpoint: "nowhere:4317", log: slog.New(slog.NewTextHandler(out, nil))}
	for range 3 {
		if err := lossy.ExportSpans(t.Context(), nil); err == nil {
			t.Fatal("the error is swallowed")
		}
	}
	if got := out.text.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "tracing.endpoint") {
		t.Errorf("the log says %q", got)
	}
}

// What ingest injects the writer extracts, and what a producer left is linked to.
func TestContextsTravel(t *testing.T) {
	_, address := listen(t)
	tracer, err := Open(t.Context(), &Config{Endpoint: address, Insecure: true}, "waybill-test", slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer tracer.Close()
	ctx, span := tracer.Start(t.Context(), "settle", time.Now())
	parent := Inject(ctx)
	below, ok := Extract(context.Background(), parent)
	if got := trace.SpanContextFromContext(below); !ok || got.TraceID() != span.SpanContext().TraceID() ||
		got.SpanID() != span.SpanContext().SpanID() || !got.IsSampled() {
		t.Errorf("parent %q: %v", parent, got)
	}
	if links := Linked(parent, "vendor=1"); len(links) != 1 ||
		links[0].SpanContext.SpanID() != span.SpanContext().SpanID() ||
		links[0].SpanContext.TraceState().Get("vendor") != "1" {
		t.Errorf("linked to %v", links)
	}
	for _, nothing := range []string{"", "00-0-0-0", "no trace", strings.Repeat("0", 55), "00-" +
		strings.Repeat("g", 52)} {
		if _, ok := Extract(t.Context(), nothing); ok || len(Linked(nothing, "")) > 0 {
			t.Errorf("%q names a span", nothing)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		key    string
	}{
		"nothing":             {Config{}, ""},
		"of the system":       {Config{Endpoint: "collector:4317"}, ""},
		"insecure":            {Config{Endpoint: "127.0.0.1:4317", Insecure: true}, ""},
		"insecure of nothing": {Config{Insecure: true}, "endpoint"},
		"a URL":               {Config{Endpoint: "http://collector:4317"}, "endpoint"},
		"no port":             {Config{Endpoint: "collector"}, "endpoint"},
		"no host":             {Config{Endpoint: ":4317"}, "endpoint"},
		"both":                {Config{Endpoint: "collector:4317", Insecure: true, CA: "tracing_test.go"}, "insecure"},
		"no such file":        {Config{Endpoint: "collector:4317", CA: "nowhere.pem"}, "ca"},
		"no certificate":      {Config{Endpoint: "collector:4317", CA: "tracing_test.go"}, "ca"},
	} {
		t.Run(name, func(t *testing.T) {
			var keys []string
			c.config.Check(func(key, message, remedy string) {
				keys = append(keys, key)
				if message == "" || remedy == "" {
					t.Errorf("%s: %q, %q", key, message, remedy)
				}
			})
			if got := strings.Join(keys, " "); got != c.key {
				t.Errorf("complains of %q, want %q", got, c.key)
			}
		})
	}
}
