package lane

import (
	"bytes"
	"testing"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// charged is a builder's batch of rows that take several segments, and what it holds of the budget.
func charged(t *testing.T, budget *Budget) (b *batch, records, rows int64) {
	t.Helper()
	builder := &builder{
		contracts: &plainContracts{}, budget: budget.Account("orders"), routes: 2,
		replay: replay{remaining: make([]uint64, 2)},
		limits: limits{rowBytes: 1 << 20, blockBytes: 1 << 20, batchBytes: 1 << 20, batchRows: 100},
	}
	for i := range int64(20) {
		r := record.Record{Offset: i, Value: bytes.Repeat([]byte{'a'}, 1000)}
		if err := builder.budget.Acquire(t.Context(), cost(builder.budget, &r)); err != nil {
			t.Fatal(err)
		}
		if taken, err := builder.take(&r, time.Now()); !taken || err != nil {
			t.Fatalf("record %d: taken %v, %v", i, taken, err)
		}
	}
	builder.balance()
	b = builder.finish(1)
	if used := budget.Used(); used != b.charge+b.rowCharge || b.charge == 0 || b.rowCharge == 0 {
		t.Fatalf("the budget says %d, the batch %d for records and %d for rows", used, b.charge, b.rowCharge)
	}
	return b, b.charge, b.rowCharge
}

func wantUsed(t *testing.T, budget *Budget, when string, want int64) {
	t.Helper()
	if used := budget.Used(); used != want {
		t.Errorf("%s: %d bytes of the budget are used, want %d", when, used, want)
	}
}

// Rows count until the last segment of them is written, records until their batch is settled.
func TestSentRowsGiveTheirBudgetBack(t *testing.T) {
	budget := NewBudget(1 << 20)
	b, records, rows := charged(t, budget)
	l := &Lane{Budget: budget}
	message := b.message()
	wantUsed(t, budget, "queued", records+rows)
	var segments int
	for i := range message.Blocks {
		segments += len(message.Blocks[i].Bytes)
	}
	if segments < 3 {
		t.Fatalf("%d segments: too few to see one come back before another", segments)
	}
	for i := range message.Blocks {
		for _, s := range message.Blocks[i].Bytes {
			wantUsed(t, budget, "in part written", records+rows)
			s.Free()
		}
	}
	wantUsed(t, budget, "written", records)
	(&call{lane: l}).let(b)
	wantUsed(t, budget, "settled", 0)
}

// gRPC may keep what it could not send: the end of the batch gives it back, and a segment that comes later gives
// nothing.
func TestBudgetComesBackOnce(t *testing.T) {
	budget := NewBudget(1 << 20)
	b, _, _ := charged(t, budget)
	message := b.message()
	c := &call{lane: &Lane{Budget: budget}}
	c.let(b)
	wantUsed(t, budget, "released while gRPC has the rows", 0)
	message.Free()
	wantUsed(t, budget, "then the rows come back", 0)

	b, _, _ = charged(t, budget)
	c.let(b)
	wantUsed(t, budget, "released unsent", 0)
}
