package source

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// hollow is a compressed batch of one record of zeros.
func hollow(offset int64, size int) *sarama.RecordBatch {
	b := batchOf(offset, offset, offset)
	b.Records[0].Value = make([]byte, size)
	b.Codec = sarama.CompressionLZ4
	return b
}

// readerOf is a reader of a budget that has fetched batches.
func readerOf(t *testing.T, budget *prefetch, batches ...*sarama.RecordBatch) *reader {
	t.Helper()
	r := loneReader(t)
	r.budget, r.offset = budget, 0
	if err := r.take(reply(batches...).part()); err != nil {
		t.Fatal(err)
	}
	return r
}

// takenApart are the next records, released again as a lane does.
func takenApart(t *testing.T, r *reader) int {
	t.Helper()
	got, err := r.Next(t.Context(), make([]record.Record, 0, 4), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var places record.Places
	for i := range got {
		places.Pass(&got[i])
	}
	places.Release()
	return len(got)
}

// Compressed batches wait compressed. One is inflated when its records are asked for and the budget has room, in the
// order of asking, and what it has taken comes back with its last record.
func TestInflatesWithinTheBudget(t *testing.T) {
	budget, _ := newPrefetch(1<<20, 1<<20, 1000, 1)
	first := readerOf(t, budget, hollow(0, 700<<10), hollow(1, 700<<10))
	defer first.Close()
	if held := budget.size(); held > 64<<10 {
		t.Fatalf("%d bytes are held of what nobody has asked for", held)
	}
	// The two records of one batch: the second is not takenApart yet.
	two := hollow(0, 300<<10)
	two.LastOffsetDelta = 1
	two.Records = append(two.Records, &sarama.Record{OffsetDelta: 1, Value: make([]byte, 300<<10)})
	second := readerOf(t, budget, two)
	defer second.Close()
	if got, err := second.Next(t.Context(), make([]record.Record, 0, 1), time.Time{}); err != nil || len(got) != 1 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	soon := time.Now().Add(20 * time.Millisecond)
	if got, err := first.Next(t.Context(), make([]record.Record, 0, 1), soon); err != nil || len(got) != 0 {
		t.Fatalf("%d records, %v; want none, for the budget is spent", len(got), err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { takenApart(t, first) })
	takenApart(t, second)
	waiting.Wait()
	takenApart(t, first)
	if held := budget.size(); held != 0 {
		t.Errorf("%d bytes are held of nothing", held)
	}
}

// Who is closed while he waits for budget takes none with him.
func TestCloseWhileWaitingForBudget(t *testing.T) {
	budget, _ := newPrefetch(1<<20, 1<<20, 1000, 1)
	if !budget.inflating.TryAcquire(1 << 20) {
		t.Fatal("no budget")
	}
	r := readerOf(t, budget, hollow(0, 700<<10))
	received := make(chan error, 1)
	go func() {
		_, err := r.Next(t.Context(), make([]record.Record, 0, 1), time.Time{})
		received <- err
	}()
	time.Sleep(time.Millisecond) // most likely it waits by then; either order must do
	r.Close()
	if err := <-received; !errors.Is(err, errReaderClosed) {
		t.Errorf("Next: %v", err)
	}
	budget.inflating.Release(1 << 20)
	if held := budget.size(); held != 0 || !budget.inflating.TryAcquire(1<<20) {
		t.Errorf("%d bytes are held", held)
	}
}

// A batch that inflates to more than there can ever be is refused for what it is, and what came before it is not.
func TestBatchBeyondTheBudget(t *testing.T) {
	budget, _ := newPrefetch(1<<20, 1<<20, 1000, 1)
	// More than the readers share waits until it is alone.
	large := readerOf(t, budget, hollow(0, 3<<20))
	defer large.Close()
	if n := takenApart(t, large); n != 1 || budget.size() != 0 {
		t.Errorf("%d records, %d bytes are held", n, budget.size())
	}
	r := readerOf(t, budget, batchOf(0, 1, 0, 1), hollow(2, 5<<20))
	defer r.Close()
	if n := takenApart(t, r); n != 2 {
		t.Errorf("%d records before it", n)
	}
	_, err := r.Next(t.Context(), make([]record.Record, 0, 4), time.Time{})
	for _, text := range []string{
		testTopic + "/3", "offset 2", "inflates to more", "memory.budget",
		"--reset-offsets",
	} {
		if !errors.Is(err, lane.ErrUnreadable) || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
	if held := budget.size(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}
