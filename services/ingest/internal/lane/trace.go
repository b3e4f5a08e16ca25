package lane

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/waybill-data/waybill/pkg/tracing"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Traces says which rows of a lane have a trace.
type Traces struct {
	// Tracer makes their spans; nil: there are none.
	Tracer *tracing.Tracer
	// OneIn is how many rows share one trace: 1 traces every row, though at most one of a batch.
	OneIn int
}

// sampler picks rows, at most one of a batch.
type sampler struct {
	lane *Lane
	// left is how many rows pass before the next one is picked.
	left int
	// requested and received are those of the chunk at hand; on says that something is traced, which is all that most
	// rows ask.
	requested, received time.Time
	on                  bool
}

// newSampler starts anywhere: lanes that open often would else trace nothing, or first rows only.
func newSampler(l *Lane) sampler {
	return sampler{lane: l, left: rand.IntN(max(1, l.Traces.OneIn))}
}

// read takes the times of a chunk.
func (s *sampler) read(requested, received time.Time) {
	s.requested, s.received, s.on = requested, received, !received.IsZero()
}

// due is now when the row about to be laid down is to be traced, else the zero time. It is asked only while on.
func (s *sampler) due() time.Time {
	if s.left > 0 {
		s.left--
		return time.Time{}
	}
	return time.Now()
}

// traced is the trace of one row, from the fetch of its record until its batch is settled. A nil one is none.
type traced struct {
	tracer *tracing.Tracer
	// ctx is below record, the span of it all; settle is that of the time at the writer.
	ctx            context.Context
	record, settle trace.Span
	// row is its index in the batch, or among its bad records; decoded is when it was laid down.
	row     int
	decoded time.Time
	// parent names settle, for the writer.
	parent string
}

// errUnsettled is how a trace ends whose batch was given up: its records are read again.
var errUnsettled = errors.New("the call ended before the batch was settled; its records are read again")

// begin makes the trace of a record whose decoding has ended, with the spans that are over.
func (s *sampler) begin(r *record.Record, m *record.Match, began time.Time) *traced {
	s.left = s.lane.Traces.OneIn - 1
	tracer := s.lane.Traces.Tracer
	// A record that came while it was waited for was not there before its time, as far as clocks agree.
	fetched := s.requested
	if produced := time.UnixMicro(r.TimestampMicros); produced.After(fetched) && produced.Before(s.received) {
		fetched = produced
	}
	t := &traced{tracer: tracer, decoded: time.Now()}
	t.ctx, t.record = tracer.Start(context.Background(), "record", fetched, trace.WithNewRoot(),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(linked(r)...), trace.WithAttributes(
			attribute.String("messaging.system", "kafka"),
			attribute.String("messaging.consumer.group.name", s.lane.Group),
			attribute.String("messaging.destination.name", r.Topic),
			attribute.String("messaging.destination.partition.id", strconv.Itoa(int(r.Partition))),
			attribute.Int64("messaging.kafka.offset", r.Offset),
			attribute.Int64("messaging.kafka.message.timestamp_us", r.TimestampMicros),
			attribute.String("waybill.contract", m.Name),
		))
	t.span("fetch", fetched, s.received)
	t.span("decode", began, t.decoded)
	return t
}

// linked is the link to the trace that the record's headers name.
func linked(r *record.Record) []trace.Link {
	var parent, state string
	for _, h := range r.Headers {
		switch string(h.Key) {
		case tracing.Parent:
			parent = string(h.Value)
		case "tracestate":
			state = string(h.Value)
		}
	}
	return tracing.Linked(parent, state)
}

// laidDown is the trace of a row that was to be traced. row is its index in the batch.
func (s *sampler) laidDown(r *record.Record, m *record.Match, began time.Time, row int) *traced {
	t := s.begin(r, m, began)
	t.row = row
	return t
}

// failed is the trace of a record that can become no row, which is over; nil where it was not to be traced.
func (s *sampler) failed(r *record.Record, m *record.Match, began time.Time, why error) *traced {
	if began.IsZero() {
		return nil
	}
	t := s.begin(r, m, began)
	t.end(why)
	return t
}

// span adds a span that is over.
func (t *traced) span(name string, from, to time.Time, attributes ...attribute.KeyValue) {
	_, span := t.tracer.Start(t.ctx, name, from, trace.WithAttributes(attributes...))
	span.End(trace.WithTimestamp(to))
}

// sent says that the batch is in the window. tells: the writer takes part.
func (t *traced) sent(b *batch, tells bool) {
	if t == nil {
		return
	}
	t.span("batch", t.decoded, b.sent, attribute.Int("waybill.batch.rows", b.rows),
		attribute.Int("waybill.batch.bytes", b.bytes), attribute.Int64("waybill.batch.sequence", int64(b.sequence)))
	var ctx context.Context
	ctx, t.settle = t.tracer.Start(t.ctx, "settle", b.sent)
	if tells {
		t.parent = tracing.Inject(ctx)
	}
}

// traceparent is what the writer gets; empty for nothing.
func (t *traced) traceparent() string {
	if t == nil {
		return ""
	}
	return t.parent
}

// refused notes that BigQuery takes a row never, when it is this one, and says whether it is.
func (t *traced) refused(row int, why *lanev1.RefusedRow) bool {
	if t == nil || t.row != row {
		return false
	}
	t.record.AddEvent("refused", trace.WithAttributes(attribute.String("code", why.GetCode())))
	t.record.SetStatus(codes.Error, why.GetCode()+": "+why.GetMessage())
	return true
}

// logger is log with the trace and its first span in its lines.
func (t *traced) logger(log *slog.Logger) *slog.Logger {
	if t == nil {
		return log
	}
	return tracing.Log(log, t.record.SpanContext())
}

// traced is the trace of the oldest batch at hand that has one; nil where none has.
func (c *call) traced() *traced {
	for i := range c.window.count {
		if t := c.window.at(i).traced; t != nil {
			return t
		}
	}
	for _, b := range []*batch{c.held, c.builder.batch} {
		if b != nil && b.traced != nil {
			return b.traced
		}
	}
	return nil
}

// log is the lane's log, with the trace of a batch at hand.
func (c *call) log() *slog.Logger { return c.traced().logger(c.lane.Log) }

// logLetter says which of the dead letters written is that of a traced record.
func (j *letterJob) logLetter(log *slog.Logger) {
	if j.traced == nil {
		return
	}
	d := &j.letters[j.letter]
	j.traced.logger(log).Info("a traced record is a dead letter now", "offset", d.Record.Offset, "reason", d.Reason,
		"contract", d.Contract)
}

// end ends the trace. An error is why the record has not become a row.
func (t *traced) end(err error) {
	if t == nil {
		return
	}
	if err != nil {
		t.record.SetStatus(codes.Error, err.Error())
	}
	if t.settle != nil {
		t.settle.End()
	}
	t.record.End()
}
