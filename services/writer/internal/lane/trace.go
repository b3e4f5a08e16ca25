package lane

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/waybill-data/waybill/pkg/tracing"
)

// traced is the span of a batch that a traced record is in, from when it was received until it is settled. A nil one is
// none.
type traced struct{ span trace.Span }

// errUnsettled is how the span of a batch ends that the lane gave up.
var errUnsettled = errors.New("the lane ended before the batch was settled")

// trace begins the span of a batch below the one that ingest named; nil when it named none.
func (l *lane) trace(parent string, b *batch, received time.Time) *traced {
	if !l.service.Tracer.Enabled() {
		return nil
	}
	ctx, ok := tracing.Extract(context.Background(), parent)
	if !ok {
		return nil
	}
	tables := make([]string, 0, len(b.blocks))
	for i := range b.blocks {
		tables = append(tables, l.tables[b.blocks[i].table].route.GetTable())
	}
	_, span := l.service.Tracer.Start(ctx, "append", received, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(
			attribute.String("messaging.destination.name", l.open.GetTopic()),
			attribute.String("messaging.destination.partition.id", strconv.Itoa(int(l.open.GetPartition()))),
			attribute.StringSlice("waybill.tables", tables),
			attribute.Int64("waybill.batch.sequence", int64(b.sequence)),
			attribute.Int64("waybill.batch.bytes", b.bytes),
		))
	return &traced{span}
}

// launched notes that all rows have gone to their write streams: until then they waited for a barrier, or for one.
func (t *traced) launched() {
	if t != nil {
		t.span.AddEvent("launched")
	}
}

// refused notes that BigQuery takes some rows never.
func (t *traced) refused(rows int) {
	if t != nil {
		t.span.AddEvent("rows refused", trace.WithAttributes(attribute.Int("rows", rows)))
	}
}

// end ends the span. An error is why the batch is not settled.
func (t *traced) end(err error) {
	if t == nil {
		return
	}
	if err != nil {
		t.span.SetStatus(codes.Error, err.Error())
	}
	t.span.End()
}

// logger is log with the trace and the span in its lines.
func (t *traced) logger(log *slog.Logger) *slog.Logger {
	if t == nil {
		return log
	}
	return tracing.Log(log, t.span.SpanContext())
}

// traced is the span of the oldest batch in the window that has one; nil where none has.
func (l *lane) traced() *traced {
	for _, b := range l.window {
		if b.traced != nil {
			return b.traced
		}
	}
	return nil
}
