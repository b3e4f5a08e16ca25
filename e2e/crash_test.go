package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// What docs/design.md says of each death, with real processes: a test an entry. Each one loads the pipeline,
// breaks it in the middle of the load, and compares every offset at the end.

const load = 4000

// loaded starts a stack and makes sure that the disturbance that follows meets rows in flight.
func loaded(t *testing.T, config stack.Config) *world {
	w := newWorld(t, config)
	// Appends take a moment, so that there is always a window in flight.
	w.fault("bigquery", map[string]any{"kind": "latency", "method": "append", "delay": "40ms", "jitter": "40ms"})
	w.produce(stack.DeliveryTopic, load, events.Config{})
	w.produce(stack.StockTopic, load, events.Config{})
	w.committed(stack.DeliveryTopic, load/10)
	return w
}

func TestIngestKilled(t *testing.T) {
	t.Parallel()
	w := loaded(t, stack.Config{})
	w.Ingests[0].Kill()
	w.restart(w.Ingests[0])
	w.verified()
}

func TestIngestKilledOfTwo(t *testing.T) {
	t.Parallel()
	w := loaded(t, stack.Config{Ingests: 2, Writers: 2})
	w.Ingests[1].Kill()
	w.verified()
}

func TestWriterKilled(t *testing.T) {
	t.Parallel()
	w := loaded(t, stack.Config{})
	for i := range 3 {
		w.Writers[0].Kill()
		w.restart(w.Writers[0])
		w.committed(stack.DeliveryTopic, load*int64(i+2)/10)
	}
	w.verified()
}

func TestWriterKilledOfTwo(t *testing.T) {
	t.Parallel()
	w := loaded(t, stack.Config{Writers: 2})
	w.Writers[0].Kill()
	w.verified()
}

// A zombie: stopped beyond its session's timeout while another member takes its partitions over, then woken up.
func TestZombieIngest(t *testing.T) {
	t.Parallel()
	w := loaded(t, stack.Config{Ingests: 2})
	if err := w.Ingests[0].Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	w.settled()
	if err := w.Ingests[0].Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.produce(stack.DeliveryTopic, 500, events.Config{})
	w.verified()
}

// A zombie writer: its lanes are opened elsewhere, then it wakes up with appends still queued.
func TestZombieWriter(t *testing.T) {
	t.Parallel()
	w := loaded(t, stack.Config{Writers: 2})
	if err := w.Writers[0].Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	w.settled()
	if err := w.Writers[0].Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.verified()
}

func TestAppendRepliesLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{})
	w.fault("bigquery", map[string]any{"kind": "lost_reply", "probability": 0.1})
	w.produce(stack.DeliveryTopic, load, events.Config{})
	w.verified()
	if n := w.metric(w.Writers[0], "waybill_writer_append_reconnects_total"); n == 0 {
		t.Error("no reply was lost")
	}
}

func TestBigQueryOverload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{})
	w.fault("bigquery", map[string]any{"kind": "quota", "probability": 0.1})
	w.fault("bigquery", map[string]any{"kind": "aborted", "probability": 0.1, "in_stream": true})
	w.fault("bigquery", map[string]any{"kind": "reset", "probability": 0.05})
	w.fault("bigquery", map[string]any{"kind": "unavailable", "for": "2s"})
	w.produce(stack.DeliveryTopic, load, events.Config{})
	w.verified()
}

// Kafka and BigQuery go away together and come back.
func TestSandboxRestarts(t *testing.T) {
	t.Parallel()
	w := loaded(t, stack.Config{})
	if err := w.Sandbox.Stop(60 * time.Second); err != nil {
		t.Fatal(err)
	}
	w.upSandbox()
	w.verified()
}

// A stop signal drains: the next owner adopts the write streams, and nothing is dropped on replay.
func TestCleanRestart(t *testing.T) {
	t.Parallel()
	w := loaded(t, stack.Config{KafkaYAML: patient})
	if err := w.Ingests[0].Stop(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	w.restart(w.Ingests[0])
	if err := w.Writers[0].Stop(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	w.restart(w.Writers[0])
	w.produce(stack.DeliveryTopic, 500, events.Config{})
	w.verified()
	if n := w.metric(w.Ingests[0], "waybill_ingest_dropped_rows_total"); n != 0 {
		t.Errorf("%v rows were dropped on replay after clean stops", n)
	}
	if n := w.metric(w.Writers[0], "waybill_writer_streams_finalized_total"); n != 0 {
		t.Errorf("%v streams were finalized that could have been adopted", n)
	}
}
