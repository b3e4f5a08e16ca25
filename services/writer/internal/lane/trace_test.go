package lane

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/pkg/tracing"
)

const toldSpan = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// The span of a batch is below the one that ingest named, and ends when the batch is settled, or its lane ends.
func TestTraceOfABatch(t *testing.T) {
	for name, c := range map[string]struct {
		sink  *odd
		trace string
		want  string
	}{
		"settled":      {&odd{}, toldSpan, ""},
		"given up":     {&odd{append: func(uint64, int, func(Result)) {}}, toldSpan, errUnsettled.Error()},
		"not traced":   {&odd{}, "", "none"},
		"told no span": {&odd{}, "whatever", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				spans := tracetest.NewSpanRecorder()
				tracer := tracing.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)))
				w := startWriter(t, &Service{Sink: c.sink, Tracer: tracer})
				call, opened := openLane(t, w, atLeastOnce)
				if !opened.GetTraces() {
					t.Error("Opened does not say that traces are taken")
				}
				a := oneRow(1, 10)
				a.Trace = c.trace
				say(t, call, a)
				synctest.Wait()
				w.stop()
				synctest.Wait()
				ended := spans.Ended()
				if c.want == "none" {
					if len(ended) > 0 {
						t.Errorf("%d spans", len(ended))
					}
					return
				}
				if len(ended) != 1 || ended[0].Name() != "append" || ended[0].Status().Description != c.want ||
					(ended[0].Status().Code == codes.Error) != (c.want != "") {
					t.Fatalf("spans %v", ended)
				}
				if p := ended[0].Parent(); p.SpanID().String() != "00f067aa0ba902b7" || !p.IsRemote() {
					t.Errorf("parent %v", p)
				}
				if e := ended[0].Events(); len(e) != 1 || e[0].Name != "launched" {
					t.Errorf("events %v", e)
				}
			})
		})
	}
}

// A log line about a traced batch names its trace and span.
func TestLogNamesTheTrace(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	tracer := tracing.New(sdk.NewTracerProvider())
	l := &lane{service: &Service{Tracer: tracer}}
	b := l.trace(toldSpan, &batch{}, time.Now())
	b.logger(log).Warn("rows refused")
	(*traced)(nil).logger(log).Warn("no trace")
	if got := out.String(); strings.Count(got, "trace_id=") != 1 ||
		!strings.Contains(got, `"rows refused" trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=`+
			b.span.SpanContext().SpanID().String()) {
		t.Error(got)
	}
}

// A lane that ends with a traced batch under way says so with its trace.
func TestLogNamesTheTraceGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Log
		tracer := tracing.New(sdk.NewTracerProvider())
		sink := &odd{append: func(uint64, int, func(Result)) {}}
		w := startWriter(t, &Service{Sink: sink, Tracer: tracer, Log: log.Logger()})
		call, _ := openLane(t, w, atLeastOnce)
		say(t, call, oneRow(1, 10))
		a := oneRow(2, 20)
		a.Trace = toldSpan
		say(t, call, a)
		synctest.Wait()
		w.stop()
		synctest.Wait()
		for _, line := range log.At(slog.LevelWarn, "lane ended") {
			if strings.Contains(line, " trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=") {
				return
			}
		}
		t.Errorf("no end with the trace:\n%s", log.String())
	})
}

// A writer without traces makes none, whatever it is told.
func TestNoTraceWithoutATracer(t *testing.T) {
	l := &lane{service: &Service{}}
	if b := l.trace(toldSpan, &batch{}, time.Now()); b != nil {
		t.Errorf("%+v", b)
	}
}

// The span of a batch tells how many of its rows BigQuery has refused.
func TestTraceOfRefusedRows(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracer := tracing.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)))
	l := &lane{service: &Service{Tracer: tracer}}
	b := l.trace(toldSpan, &batch{}, time.Now())
	b.refused(3)
	b.end(nil)
	(*traced)(nil).refused(3)
	e := spans.Ended()[0].Events()
	if len(e) != 1 || e[0].Name != "rows refused" || e[0].Attributes[0].Value.AsInt64() != 3 {
		t.Errorf("events %v", e)
	}
}
