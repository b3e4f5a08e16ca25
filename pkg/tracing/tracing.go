// Package tracing sends traces of single records to an OpenTelemetry collector (OTLP over gRPC).
//
// A sampled record has a trace of its own: no span is the parent of other records' spans, however many share a batch.
// What its producer left in the record's headers (W3C trace context) is linked to, not continued: a record may be read
// long after, and more than once. Ingest makes the spans `record`, `fetch`, `decode`, `batch` and `settle`; the writer,
// reported by the batch, `append` below `settle`.
//
// Nothing waits for a collector. Spans are queued; while it is away, or slower than they come, they are dropped, and
// the log says so once a minute at most.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/credentials"

	"github.com/waybill-data/waybill/pkg/version"
)

const (
	// queued is how many spans wait for the collector at most, exported how many go at once.
	queued, exported = 4096, 512
	// sendsEvery is how long a span waits for others at most, closesWithin how long the last ones may take at the end.
	sendsEvery   = 2 * time.Second
	closesWithin = 3 * time.Second
	// saysEvery is how often the log says at most that spans are lost.
	saysEvery = time.Minute
)

// Tracer makes spans. A nil one makes none; its methods may be called all the same.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Open connects to the collector in the background. service is who the spans are of, such as waybill-ingest. Without an
// endpoint the Tracer is nil. The error is one of the configuration.
func Open(ctx context.Context, c *Config, service string, log *slog.Logger) (*Tracer, error) {
	if !c.enabled() {
		return nil, nil //nolint:nilnil // documented
	}
	secure, err := c.tls()
	if err != nil {
		return nil, fmt.Errorf("tracing.ca: %w", err)
	}
	options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(c.Endpoint)}
	if secure == nil {
		options = append(options, otlptracegrpc.WithInsecure())
	} else {
		options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(secure)))
	}
	exporter, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	lossy := &complaints{exporter: exporter, log: log, endpoint: c.Endpoint}
	provider := sdk.NewTracerProvider(
		// Who samples is the lane: what gets here is meant to go out.
		sdk.WithSampler(sdk.AlwaysSample()),
		sdk.WithBatcher(lossy, sdk.WithMaxQueueSize(queued), sdk.WithMaxExportBatchSize(exported),
			sdk.WithBatchTimeout(sendsEvery)),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", service), attribute.String("service.version", version.String()),
			attribute.String("service.instance.id", instance()))),
	)
	return New(provider), nil
}

// instance tells processes of a service apart: the host, which is the pod in a cluster, and the number of the process.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + strconv.Itoa(os.Getpid())
}

// New makes a Tracer of a provider, which it owns.
func New(provider *sdk.TracerProvider) *Tracer {
	return &Tracer{provider: provider, tracer: provider.Tracer("waybill")}
}

// Close sends what is queued, for a few seconds at most.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closesWithin)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // The exporter has said why.
}

// Start begins a span at a time. Its parent is that of ctx.
func (t *Tracer) Start(ctx context.Context, name string, at time.Time, options ...trace.SpanStartOption) (
	context.Context, trace.Span,
) {
	return t.tracer.Start(ctx, name, append(options, trace.WithTimestamp(at))...)
}

// Enabled tells whether the Tracer makes spans.
func (t *Tracer) Enabled() bool { return t != nil }

// contexts reads and writes the W3C trace context.
var contexts = propagation.TraceContext{}

// Parent is the field or header that names a span.
const Parent = "traceparent"

// Linked is the link to what a traceparent and a tracestate say; none when they say nothing.
func Linked(parent, state string) []trace.Link {
	carrier := propagation.MapCarrier{Parent: parent, "tracestate": state}
	of := trace.SpanContextFromContext(contexts.Extract(context.Background(), carrier))
	if !of.IsValid() {
		return nil
	}
	return []trace.Link{{SpanContext: of}}
}

// Extract is ctx below the span that a traceparent names; ok is false where it names none.
func Extract(ctx context.Context, parent string) (_ context.Context, ok bool) {
	if parent == "" {
		return ctx, false
	}
	below := contexts.Extract(ctx, propagation.MapCarrier{Parent: parent})
	return below, trace.SpanContextFromContext(below).IsValid()
}

// Inject is the traceparent of the span of ctx.
func Inject(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	contexts.Inject(ctx, carrier)
	return carrier[Parent]
}

// Log is log with the trace and the span of c in its lines, as trace_id and span_id; log itself where c names none.
func Log(log *slog.Logger, c trace.SpanContext) *slog.Logger {
	if !c.IsValid() {
		return log
	}
	return log.With("trace_id", c.TraceID().String(), "span_id", c.SpanID().String())
}

// init has the library say nothing by itself: it would write to the standard error.
func init() { otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {})) }
