package e2e

import (
	"testing"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// Rows that BigQuery refuses become dead letters, and take no good row of their request with them. Bad records become
// dead letters too, one by one, and hold nothing up; a crash in the middle neither repeats nor loses a row.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{})
	w.fault(stack.BigQuery, map[string]any{"kind": "row_errors", "every": 100, "listed": 1})
	w.produce(stack.DeliveryTopic, 3000, events.Config{})
	refused := w.verified().DeadLetters
	// Every partition refuses the offsets that 100 divides; the partitions together hold 3000.
	if refused < 20 || refused > 40 {
		t.Errorf("%d rows were refused, expected about 30", refused)
	}
	if err := w.ClearFaults(w.ctx, stack.BigQuery, ""); err != nil {
		t.Fatal(err)
	}

	w.fault(stack.BigQuery, map[string]any{"kind": "latency", "method": "append", "delay": "10ms"})
	sum := w.produce(stack.DeliveryTopic, load, events.Config{
		Size: 4000, TruncatedEvery: 50, UnknownTypeEvery: 70, ContainerEvery: 20,
	})
	w.committed(stack.DeliveryTopic, 3000+load/10)
	w.Writers[0].Kill()
	w.restart(w.Writers[0])
	w.committed(stack.DeliveryTopic, 3000+load/2)
	w.Ingests[0].Kill()
	w.restart(w.Ingests[0])
	report := w.verified()
	bad := sum.Truncated + sum.UnknownTypes
	if bad == 0 || sum.Containers == 0 {
		t.Fatalf("the load has no bad records: %+v", sum)
	}
	if report.DeadLetters != refused+bad {
		t.Errorf("%d records are dead letters, %d rows were refused, %d are bad", report.DeadLetters, refused, bad)
	}
}
