//go:build realkafka

package realkafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/waybill-data/waybill/e2e/stack"
)

// removeHalf removes records from the start of each partition up to halfway between position and end, as retention
// does.
func (w *world) removeHalf() {
	w.t.Helper()
	commits, err := w.commits()
	if err != nil {
		w.t.Fatal(err)
	}
	var offsets kadm.Offsets
	for partition, end := range w.ends[w.topic()] {
		o, _ := commits.Lookup(w.topic(), partition)
		if end-o.At < 20 {
			w.t.Fatalf("partition %d has only %d records after the position", partition, end-o.At)
		}
		offsets.AddOffset(w.topic(), partition, (o.At+end)/2, -1)
	}
	responses, err := w.admin.DeleteRecords(w.ctx, offsets)
	if err == nil {
		err = responses.Error()
	}
	if err != nil {
		w.t.Fatalf("delete records: %v", err)
	}
}

// Retention removed records that no row was made of, after a clean stop: they are lost, which nobody can help, and the
// lanes say so and go on with the oldest that is left.
func TestRetentionAfterCleanStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{})
	w.produce(w.topic(), 2000, plain)
	w.settled()
	ingest := w.Ingests[0]
	if err := ingest.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	w.produce(w.topic(), 2000, plain)
	w.removeHalf()
	w.restart(ingest)
	report := w.compared()
	if n := w.metric(ingest, "waybill_ingest_offset_resets_total"); n != partitions {
		t.Errorf("%v lanes went on elsewhere, expected %d", n, partitions)
	}
	w.logged(ingest, "records at the position are gone")
	if lost := w.sent - report.Rows; report.Expired == 0 || lost < partitions*10 {
		t.Errorf("%d rows of expired records, %d records without a row: nothing was removed", report.Expired, lost)
	}
}

// Retention removed records among which rows are still to be dropped: to count over the gap would drop others. The
// lanes are refused, and say what the ways out are.
func TestRetentionUnderReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{})
	w.fault(map[string]any{"kind": "latency", "method": "append", "delay": "300ms"})
	w.produce(w.topic(), 6000, plain)
	w.committed(600)
	ingest := w.Ingests[0]
	w.kill(ingest)
	w.removeHalf()
	w.restart(ingest)
	w.logged(ingest, "counting over the gap would drop others. Two ways out")
	lanes, err := ingest.Lanes(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, l := range lanes {
		if l.State == "refused" && l.LastError != "" {
			refused++
		}
	}
	if refused == 0 {
		t.Errorf("no lane is refused: %+v", lanes)
	}
	if n := w.metric(ingest, "waybill_ingest_lane_refused"); n == 0 {
		t.Error("the metric does not show the refused lanes")
	}
}
