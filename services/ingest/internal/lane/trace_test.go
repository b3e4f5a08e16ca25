package lane

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/waybill-data/waybill/pkg/tracing"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// tracedLane is a lane whose spans spans has.
func tracedLane(oneIn int) (l *Lane, spans *tracetest.SpanRecorder) {
	spans = tracetest.NewSpanRecorder()
	tracer := tracing.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)))
	return &Lane{Group: "waybill", Traces: Traces{tracer, oneIn}}, spans
}

// tracedBuilder lays down with a sampler that picks the next row.
func tracedBuilder(l *Lane, c Contracts) *builder {
	b := &builder{
		contracts: c, budget: NewBudget(1 << 30).Account("orders"), routes: 2,
		replay: replay{remaining: make([]uint64, 2)},
		limits: newLimits(DefaultConfig(), &lanev1.Limits{}), traces: newSampler(l),
	}
	b.traces.left = 0
	return b
}

func (b *builder) mustTake(t *testing.T, offset int64, headers ...record.Header) {
	t.Helper()
	var r record.Record
	if _, err := oneRecord(300).Read(0, &r, nil); err != nil {
		t.Fatal(err)
	}
	r.Offset, r.TimestampMicros, r.Headers = offset, 1_000_000, headers
	if taken, err := b.take(&r, time.Now()); !taken || err != nil {
		t.Fatal(taken, err)
	}
}

// A traced row has a trace of its own with all that became of it, linked to its producer's; the writer is told its
// span.
func TestTraceOfARow(t *testing.T) {
	l, spans := tracedLane(1)
	b := tracedBuilder(l, &plainContracts{})
	b.traces.read(time.UnixMicro(500_000), time.UnixMicro(2_000_000))
	const producer = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	b.mustTake(t, 7, record.Header{Key: []byte("traceparent"), Value: []byte(producer)})
	b.mustTake(t, 8)
	done := b.finish(3)
	done.sent = time.Now()
	done.traced.sent(done, true)
	reported := done.message().Trace
	done.traced.refused(1, &lanev1.RefusedRow{Code: "OF ANOTHER ROW"})
	done.traced.end(nil)

	byName := map[string]sdk.ReadOnlySpan{}
	for _, s := range spans.Ended() {
		byName[s.Name()] = s
	}
	names := slices.Sorted(maps.Keys(byName))
	if diff := cmp.Diff([]string{"batch", "decode", "fetch", "record", "settle"}, names); diff != "" {
		t.Fatalf("spans (-want +got):\n%s", diff)
	}
	top := byName["record"]
	for name, s := range byName {
		if s.SpanContext().TraceID() != top.SpanContext().TraceID() {
			t.Errorf("%s is of another trace", name)
		}
		if name != "record" && s.Parent().SpanID() != top.SpanContext().SpanID() {
			t.Errorf("%s is not below the record", name)
		}
		if s.StartTime().After(s.EndTime()) {
			t.Errorf("%s takes from %v to %v", name, s.StartTime(), s.EndTime())
		}
	}
	if links := top.Links(); len(links) != 1 || top.Parent().IsValid() ||
		links[0].SpanContext.TraceID().String() != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("links %v, parent %v", links, top.Parent())
	}
	if f := byName["fetch"]; !f.StartTime().Equal(time.UnixMicro(1_000_000)) ||
		!f.EndTime().Equal(time.UnixMicro(2_000_000)) {
		t.Errorf("fetched from %v to %v", f.StartTime(), f.EndTime())
	}
	if s := top.Status(); s.Code != codes.Unset {
		t.Errorf("status %v", s)
	}
	ctx, ok := tracing.Extract(context.Background(), reported)
	if !ok || trace.SpanContextFromContext(ctx).SpanID() != byName["settle"].SpanContext().SpanID() {
		t.Errorf("the writer is told %q", reported)
	}
	got := map[string]string{}
	for _, a := range top.Attributes() {
		got[string(a.Key)] = a.Value.String()
	}
	want := map[string]string{
		"messaging.system": "kafka", "messaging.consumer.group.name": "waybill", "messaging.destination.name": "orders",
		"messaging.destination.partition.id": "0", "messaging.kafka.offset": "7",
		"messaging.kafka.message.timestamp_us": "1000000", "waybill.contract": toRoute0.Name,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

// A record was fetched from when it was asked for, or from its own time on where that was waited for. A time outside of
// the wait is of another clock, and counts for nothing.
func TestFetchOfATrace(t *testing.T) {
	for name, test := range map[string]struct{ requested, came, want int64 }{
		"there before it was asked for": {1_500_000, 2_000_000, 1_500_000},
		"produced while it was awaited": {500_000, 2_000_000, 1_000_000},
		"produced after it came":        {200_000, 800_000, 200_000},
	} {
		l, spans := tracedLane(1)
		b := tracedBuilder(l, &plainContracts{})
		b.traces.read(time.UnixMicro(test.requested), time.UnixMicro(test.came))
		b.mustTake(t, 0)
		b.finish(1).recycle()
		for _, s := range spans.Ended() {
			if s.Name() == "fetch" && (!s.StartTime().Equal(time.UnixMicro(test.want)) ||
				!s.EndTime().Equal(time.UnixMicro(test.came))) {
				t.Errorf("%s: from %v to %v", name, s.StartTime(), s.EndTime())
			}
		}
	}
}

// Where a lane is traced its reader says when records came, and else spares that.
func TestReaderTellsWhenRecordsCame(t *testing.T) {
	for _, traced := range []bool{true, false} {
		l, _ := laneAt(&spot{}, nil)
		if traced {
			of, _ := tracedLane(1)
			l.Traces = of.Traces
		}
		out := make(chan chunk, 2)
		r := &reading{lane: l, out: out, reader: &yielding{sizes: []int{1}}}
		r.run(t.Context())
		if c := <-out; len(c.records) != 1 || c.requested.IsZero() || c.received.IsZero() == traced {
			t.Errorf("traced %v: %d records, asked for at %v, came at %v", traced, len(c.records), c.requested,
				c.received)
		}
	}
}

// An older writer is told nothing: it would not know the field.
func TestOlderWriterGetsNoTrace(t *testing.T) {
	l, _ := tracedLane(1)
	b := tracedBuilder(l, &plainContracts{})
	b.traces.read(time.Now(), time.Now())
	b.mustTake(t, 0)
	done := b.finish(1)
	done.traced.sent(done, false)
	if reported := done.message().Trace; reported != "" {
		t.Errorf("reported %q", reported)
	}
}

// How a trace ends says what became of the record.
func TestEndOfATrace(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*batch)
		want string
	}{
		"given up": {(*batch).recycle, errUnsettled.Error()},
		"refused": {func(b *batch) {
			b.traced.refused(0, &lanev1.RefusedRow{Code: "FIELDS_ERROR", Message: "no"})
			b.traced.end(nil)
		}, "FIELDS_ERROR: no"},
	} {
		t.Run(name, func(t *testing.T) {
			l, spans := tracedLane(1)
			b := tracedBuilder(l, &plainContracts{})
			b.traces.read(time.Now(), time.Now())
			b.mustTake(t, 0)
			c.end(b.finish(1))
			ended := spans.Ended()
			if last := ended[len(ended)-1]; last.Name() != "record" || last.Status().Description != c.want ||
				last.Status().Code != codes.Error {
				t.Errorf("%s ends with %v", last.Name(), last.Status())
			}
		})
	}
}

// badContracts cannot read any record.
type badContracts struct{ plainContracts }

func (*badContracts) AppendRow(dst []byte, _ *record.Record, _ int64) ([]byte, error) {
	return dst, errors.New("no JSON")
}

// A record that cannot be read has a trace that says so, and is over.
func TestTraceOfABadRecord(t *testing.T) {
	l, spans := tracedLane(1)
	b := tracedBuilder(l, &badContracts{})
	b.traces.read(time.Now(), time.Now())
	b.mustTake(t, 0)
	var got []string
	for _, s := range spans.Ended() {
		got = append(got, s.Name()+" "+s.Status().Description)
	}
	if diff := cmp.Diff("fetch , decode , record no JSON", strings.Join(got, ", ")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// One row in so many is traced, at most one of a batch, and none without a Tracer.
func TestHowManyAreTraced(t *testing.T) {
	count := func(oneIn int, read bool) (traced int) {
		l, spans := tracedLane(oneIn)
		b := tracedBuilder(l, &plainContracts{})
		if read {
			b.traces.read(time.Now(), time.Now())
		}
		for i := range int64(100) {
			b.mustTake(t, i)
			if i%10 == 9 {
				b.finish(1).recycle()
			}
		}
		for _, s := range spans.Ended() {
			if s.Name() == "record" {
				traced++
			}
		}
		return traced
	}
	for _, c := range []struct {
		oneIn int
		read  bool
		want  int
	}{{1, true, 10}, {25, true, 4}, {50, true, 2}, {1000, true, 1}, {1, false, 0}} {
		if got := count(c.oneIn, c.read); got != c.want {
			t.Errorf("one in %d: %d traces, want %d", c.oneIn, got, c.want)
		}
	}
}

// Where a lane begins to count is left to chance, within one round.
func TestSamplersStartAnywhere(t *testing.T) {
	l, _ := tracedLane(4)
	seen := map[int]bool{}
	for range 1000 {
		seen[newSampler(l).left] = true
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3}, slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
