package lane

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sentBatch notes that a batch of ten records was sent; its end is ten times its number.
func (r *remembered) sentBatch(n int64) *batch {
	b := &batch{sequence: uint64(n), end: 10 * n, rows: 8, bytes: 80, dropped: 1, sent: time.Unix(n, 0)}
	b.bad = make([]badRecord, 1)
	r.sent(b, b.end-10)
	return b
}

// A lane remembers its last batches, so many and no more, by the offsets that they passed.
func TestLastBatchesAreRemembered(t *testing.T) {
	l := &Lane{}
	r := &l.board.remembered
	if _, ok := l.Batch(0); ok {
		t.Error("a batch before there is one")
	}
	const sent = 3*Remembered + 7
	for n := int64(1); n <= sent; n++ {
		r.sentBatch(n)
		if kept := min(int(n), Remembered); len(r.ring) != kept {
			t.Fatalf("%d are kept of %d", len(r.ring), n)
		}
	}
	for n := int64(1); n <= sent+1; n++ {
		kept := n > sent-Remembered && n <= sent
		for _, offset := range []int64{10*n - 10, 10*n - 1} {
			b, ok := l.Batch(offset)
			if ok != kept || ok && (b.Sequence != uint64(n) || b.First != 10*n-10 || b.End != 10*n) {
				t.Errorf("%d is in %+v, %v", offset, b, ok)
			}
		}
	}
	b, _ := l.Batch(10*sent - 1)
	want := Batch{
		Sequence: sent, First: 10*sent - 10, End: 10 * sent, Rows: 8, Bytes: 80, DeadLetters: 1, Dropped: 1,
		sent: time.Unix(sent, 0).UnixNano(),
	}
	if diff := cmp.Diff(want, b, cmp.AllowUnexported(Batch{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !b.Sent().Equal(time.Unix(sent, 0)) || !b.Settled().IsZero() {
		t.Errorf("sent %v, settled %v", b.Sent(), b.Settled())
	}
}

// A batch is settled by itself: its neighbours are not, nor one of an earlier call that had its number, nor any when it
// is not remembered any more.
func TestSettledBatchesAreRemembered(t *testing.T) {
	l := &Lane{}
	r := &l.board.remembered
	settled := func() (ends []int64) {
		l.EachSettled(func(b *Batch) { ends = append(ends, b.End) })
		return ends
	}
	first := r.sentBatch(1)
	r.settled(first, time.Unix(100, 0))
	r.sentBatch(2)
	r.sentBatch(3)
	r.broke() // their records come again, in a call that counts from 1
	if diff := cmp.Diff([]int64{10}, settled()); diff != "" {
		t.Errorf("after the break (-want +got):\n%s", diff)
	}
	if _, ok := l.Batch(15); ok {
		t.Error("what was not settled is remembered after the break")
	}
	again := &batch{sequence: 1, end: 30, sent: time.Unix(200, 0)}
	r.sent(again, 10)
	next := &batch{sequence: 2, end: 40, bad: make([]badRecord, 2), sent: time.Unix(201, 0)}
	next.refused = map[int]struct{}{4: {}}
	r.sent(next, 30)
	r.settled(next, time.Unix(300, 0))
	if b, ok := l.Batch(30); !ok || !b.Settled().Equal(time.Unix(300, 0)) || b.DeadLetters != 3 {
		t.Errorf("%+v, %v", b, ok)
	}
	if b, ok := l.Batch(20); !ok || !b.Settled().IsZero() {
		t.Errorf("%+v, %v", b, ok)
	}
	r.settled(again, time.Unix(400, 0))
	if b, _ := l.Batch(5); !b.Settled().Equal(time.Unix(100, 0)) {
		t.Errorf("the batch of the call before: %+v", b)
	}
	if diff := cmp.Diff([]int64{10, 30, 40}, settled()); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
	var last *batch
	for n := int64(10); n < 10+Remembered; n++ {
		if b := r.sentBatch(n); last == nil {
			last = b
		}
	}
	r.settled(again, time.Unix(500, 0)) // forgotten by now
	if ends := settled(); len(ends) != 0 {
		t.Errorf("settled: %v", ends)
	}
	r.settled(last, time.Unix(500, 0)) // the oldest that is remembered
	if diff := cmp.Diff([]int64{100}, settled()); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
}
