package lane

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// tracedProcess has a lane start with a trace of each batch, and a log that is kept.
func tracedProcess(log *logtest.Log) (start func(*process), spans *tracetest.SpanRecorder) {
	l, spans := tracedLane(1)
	return func(p *process) {
		p.lane.Traces, p.lane.Config.BatchRows = l.Traces, 1
		p.lane.Log = log.Logger()
	}, spans
}

// ids is how a log line names a span.
func ids(s sdk.ReadOnlySpan) string {
	return fmt.Sprintf(" trace_id=%s span_id=%s", s.SpanContext().TraceID(), s.SpanContext().SpanID())
}

// records are the spans of traced records by their offset.
func recordsOf(spans *tracetest.SpanRecorder) map[int64]sdk.ReadOnlySpan {
	out := map[int64]sdk.ReadOnlySpan{}
	for _, s := range spans.Ended() {
		for _, a := range s.Attributes() {
			if a.Key == "messaging.kafka.offset" {
				out[a.Value.AsInt64()] = s
			}
		}
	}
	return out
}

// The log names the trace of each traced record that has become a dead letter, and says nothing of others.
func TestLogNamesTracesOfDeadLetters(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.model.limits.BlockBytes = 1000
		w.produceRows("a", 3)
		w.log.produce("nobody", "no contract takes this, so it has no trace")
		want := map[int64]string{
			w.log.produce("a", "bad"):                               reasonUndecodable,
			w.log.produce("b", "this one BigQuery will refuse"):     reasonRefused,
			w.log.produce("a", strings.Repeat("x", 2000)+" refuse"): reasonRefused,
		}
		w.produceRows("a", 3)
		var log logtest.Log
		adjust, spans := tracedProcess(&log)
		w.start(adjust)
		w.settle()
		w.verify()
		traced := recordsOf(spans)
		for offset, reason := range want {
			if traced[offset] == nil {
				t.Fatalf("the record at %d has no trace", offset)
			}
			line := fmt.Sprintf("%s offset=%d reason=%s contract=", ids(traced[offset]), offset, reason)
			if got := log.At(slog.LevelInfo, "a traced record is a dead letter now"); len(got) != len(want) ||
				!strings.Contains(strings.Join(got, "\n"), line) {
				t.Errorf("no line with %q:\n%s", line, strings.Join(got, "\n"))
			}
		}
	})
}

// One line a batch is enough, however many of its records are traced and cannot be read.
func TestLogNamesOneDeadLetterOfABatch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for range 40 {
			w.log.produce("a", "bad")
		}
		var log logtest.Log
		adjust, spans := tracedProcess(&log)
		w.start(func(p *process) {
			adjust(p)
			p.lane.Config.BatchRows = 100
		})
		w.settle()
		if n := len(recordsOf(spans)); n != 40 {
			t.Errorf("%d traces", n)
		}
		if n := log.Count("a traced record is a dead letter now"); n < 1 || n > 4 {
			t.Errorf("%d lines of a few batches", n)
		}
	})
}

// A lane that drains, or ends with batches that are not settled, says which trace they have; the line of one that has
// nothing under way has none.
func TestLogNamesTheTraceGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.model.latency = time.Hour // nothing is settled
		w.produceRows("a", 2)
		var log logtest.Log
		adjust, spans := tracedProcess(&log)
		p := w.start(adjust)
		time.Sleep(time.Second)
		p.cut()
		time.Sleep(time.Second)
		p.end()
		synctest.Wait()
		given := map[string]bool{}
		for _, s := range spans.Ended() {
			if s.Name() == "record" && s.Status().Description == errUnsettled.Error() {
				given[ids(s)] = true
			}
		}
		for _, line := range []string{
			"lane broke; opening it again", "lane draining", "lane stopped without a clean end",
		} {
			named := false
			for l := range strings.Lines(log.String()) {
				_, after, found := strings.Cut(l, " trace_id=")
				id, _, _ := strings.Cut(after, " reason=")
				id, _, _ = strings.Cut(id, " error=")
				id, _, _ = strings.Cut(id, " cause=")
				named = named || found && strings.Contains(l, line) && given[" trace_id="+id]
			}
			if !named {
				t.Errorf("%q names no trace of %v:\n%s", line, given, &log)
			}
		}
		if log.Count("\"lane open\"") != 2 || log.Count("\"lane open\" topic=orders partition=3 writer=") != 2 {
			t.Errorf("a lane that opens has a trace:\n%s", &log)
		}
	})
}

// Where nothing is traced the log is the lane's own, and costs nothing more.
func TestLogWithoutATrace(t *testing.T) {
	c := quietCall(t)
	c.taken(t, "a")
	if got := testing.AllocsPerRun(100, func() {
		if c.log() != c.lane.Log {
			t.Fatal("another log")
		}
	}); got > 0 {
		t.Errorf("%v allocations", got)
	}
	c.release()
	job := letterJob{letters: []DeadLetter{{}}}
	job.logLetter(nil) // would panic
	if (*traced)(nil).refused(0, &lanev1.RefusedRow{}) {
		t.Error("no trace is refused")
	}
}
