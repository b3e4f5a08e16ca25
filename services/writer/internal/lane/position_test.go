package lane

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// The position moves over what is settled, oldest first, and takes with it what each batch held, dropped and wrote.
func TestSettle(t *testing.T) {
	written := prometheus.NewCounter(prometheus.CounterOpts{Name: "rows"})
	l := bare(t, 3,
		&batch{sequence: 1, end: 10, bytes: 100, blocks: []block{
			{table: 0, rows: 5, refused: 2, dropped: 3},
			{table: 1},
		}},
		&batch{sequence: 2, start: 10, end: 20, bytes: 10},
		&batch{sequence: 3, start: 20, end: 30, bytes: 1, open: 1},
		&batch{sequence: 4, start: 30, end: 40})
	h := &recorder{}
	l.stream, l.bytes, l.charged = h, 111, 111+2*offsetBytes
	l.service.Budget.charge(l.charged, nil)
	l.tables[0].rows, l.tables[0].drop = written, 4 // The other table has taken no rows, so that nobody knows its name.
	l.parked, l.waits = []parked{{before: 5, offsets: []int64{12, 19}}, {before: 5, offsets: []int64{20}}}, 3
	moved, err := l.settle()
	if !moved || err != nil || l.position != 20 || len(l.window) != 2 || l.launched != 1 || l.window[0].sequence != 3 {
		t.Fatalf("moved %v to %d: %v", moved, l.position, err)
	}
	if l.tables[0].settled != 3 || l.tables[0].drop != 1 || testutil.ToFloat64(written) != 3 ||
		testutil.ToFloat64(l.service.Metrics.dropped) != 3 {
		t.Errorf("%+v, %v rows written", l.tables[0], testutil.ToFloat64(written))
	}
	if l.bytes != 1 || l.charged != 1 || l.service.Budget.Used() != 1 {
		t.Errorf("%d bytes in the window, %d charged, %d used", l.bytes, l.charged, l.service.Budget.Used())
	}
	// What was left out is behind the position, but for the record at it; whatever comes needs a checkpoint that says
	// so.
	if len(l.parked) != 1 || l.waits != 1 || l.floor != 1 || l.window[1].needs != 1 || l.window[0].needs != 0 {
		t.Errorf("%d parked, floor %d", len(l.parked), l.floor)
	}
	if len(h.sent) != 2 || h.sent[0].GetSettled().GetSequence() != 1 || h.sent[1].GetSettled().GetPosition() != 20 {
		t.Errorf("ingest got %v", h.sent)
	}
	if moved, err := l.settle(); moved || err != nil {
		t.Errorf("moved over what is open: %v", err)
	}
}

// What cannot be is no rows dropped or reported: the lane ends.
func TestSettleEndsTheLane(t *testing.T) {
	l := bare(t, 1, &batch{sequence: 1, end: 10, blocks: []block{{table: 0, dropped: 3}}})
	l.tables[0].drop = 2
	if _, err := l.settle(); status.Code(err) != codes.FailedPrecondition ||
		!strings.Contains(err.Error(), "drops 1 rows") {
		t.Errorf("got %v", err)
	}
	l = bare(t, 1, &batch{sequence: 1, end: 10})
	l.open.Topic, l.stream = strings.Repeat("t", checkpoint.MaxBytes), &recorder{}
	if _, err := l.settle(); status.Code(err) != codes.FailedPrecondition ||
		!strings.Contains(err.Error(), "the bound of Kafka's offset metadata") {
		t.Errorf("got %v", err)
	}
	l = bare(t, 1, &batch{sequence: 1, end: 10})
	l.stream = &recorder{err: errors.New("gone")}
	if _, err := l.settle(); err == nil || err.Error() != "gone" {
		t.Errorf("got %v", err)
	}
}

// A table that was given no rows of a batch has nothing to say of it: an respond for it is that of no append.
func TestResponseForABlockWithoutRows(t *testing.T) {
	l := bare(t, 0)
	l.counts, l.stream = true, &recorder{}
	for i := range l.tables {
		l.tables[i].route = &lanev1.Route{Table: l.tables[i].name}
		l.tables[i].appender = &taken{fakeAppender: newFakeAppender(t)}
	}
	l.tables[0].toDrop, l.tables[0].drop = 1, 1
	a := lanewire.Append{Sequence: 1, EndPosition: 2, Blocks: []lanewire.Block{
		{Route: 0, Dropped: 1}, {Route: 1, Rows: 1, Bytes: entry1("a")},
	}}
	if err := l.takeAppend(&a); err != nil {
		t.Fatal(err)
	}
	if err := l.advance(); err != nil || l.launched != 1 {
		t.Fatalf("%d are launched: %v", l.launched, err)
	}
	if err := l.result(0, &Result{ID: 1}); status.Code(err) != codes.Aborted || l.window[0].open != 1 {
		t.Errorf("got %v", err)
	}
}

// However many batches a lane carries, it keeps no more of them for the next ones than were under way at a time.
func TestSettledBatchesAreUsedAgain(t *testing.T) {
	l := bare(t, 0)
	l.stream = &recorder{}
	for n := uint64(1); n <= 20; n++ {
		for i := range uint64(2) {
			a := lanewire.Append{Sequence: 2*n - 1 + i, EndPosition: int64(2*n + i)}
			if err := l.takeAppend(&a); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.advance(); err != nil || len(l.window) != 0 {
			t.Fatalf("%d in the window: %v", len(l.window), err)
		}
	}
	if len(l.free) != 2 {
		t.Errorf("%d batches are kept", len(l.free))
	}
}
