package lane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// A window without batches has no front, and one whose ring is full has nothing behind its last batch.
func TestWindowAtItsBounds(t *testing.T) {
	var w window
	if w.front() != nil || w.find(0) != nil || w.find(1) != nil {
		t.Error("an empty window has a batch")
	}
	for i := range 4 {
		w.push(&batch{sequence: uint64(i + 1)})
	}
	if len(w.ring) != 4 {
		t.Fatalf("a ring of %d", len(w.ring))
	}
	if b := w.find(5); b != nil {
		t.Errorf("batch %d is found as 5", b.sequence)
	}
	if b := w.find(4); b == nil || b.sequence != 4 {
		t.Errorf("the last batch is %v", b)
	}
}

// A queue that runs empty again and again stays as small as it was.
func TestQueueDoesNotGrow(t *testing.T) {
	var q queue
	for range 1000 {
		q.push(1)
		q.push(2)
		q.pop()
		q.pop()
	}
	if cap(q.items) > 4 {
		t.Errorf("room for %d", cap(q.items))
	}
}

// What a take does not need serves those who wait for the budget.
func TestBalanceServesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := builder{budget: NewBudget(100).Account("orders")}
		b.budget.add(100)
		got := make(chan error, 1)
		go func() { got <- b.budget.Acquire(t.Context(), 40) }()
		synctest.Wait()
		b.owed = -40
		b.balance()
		synctest.Wait()
		if len(got) != 1 {
			t.Error("who waits is not served")
			b.budget.Release(100)
		}
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

// The last commit of a call may fail, and a lost position is reported only after it.
func TestFinish(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		gone bool
		want error
	}{
		"well": {}, "gone": {gone: true, want: errGone},
		"failed": {err: io.ErrNoProgress, gone: true, want: io.ErrNoProgress},
	} {
		c := quietCall(t)
		c.lane.Partition, c.gone, c.deadline = &failing{commit: test.err}, test.gone, time.Now().Add(time.Minute)
		if err := c.finish(); !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Commits that fail are counted, but for those of a claim that is over.
func TestFailedCommitsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	l := &Lane{Metrics: NewMetrics(registry, nil)}
	l.metrics = l.Metrics.lane("orders")
	for _, err := range []error{ErrFenced, context.Canceled, fmt.Errorf("over: %w", ErrFenced), io.ErrNoProgress} {
		if got := l.commitFailed("commit", err); !errors.Is(got, err) || !strings.HasPrefix(got.Error(), "commit: ") {
			t.Errorf("%v became %v", err, got)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "waybill_ingest_commit_failures_total" && f.GetMetric()[0].GetCounter().GetValue() != 1 {
			t.Errorf("%v are counted", f.GetMetric()[0].GetCounter().GetValue())
		}
	}
}

// unread is a stream that only ends.
type unread struct {
	laneStream
	left int
	err  error
}

func (u *unread) Recv() (*lanev1.LaneResponse, error) {
	if u.left > 0 {
		u.left--
		return &lanev1.LaneResponse{}, nil
	}
	return nil, u.err
}

// Why a send failed the receiving side tells, behind what it has not read yet; any other error is its own reason.
func TestWhyASendFailed(t *testing.T) {
	refusal := status.Error(codes.FailedPrecondition, "no")
	if err := streamError(&unread{left: 3, err: refusal}, io.EOF); outcomeOf(err) != outcomeFatal {
		t.Errorf("%v", err)
	}
	if err := streamError(&unread{err: refusal}, io.ErrClosedPipe); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
}

// Without the offsets of the partition nobody knows what is gone: the lane does not go on.
func TestGoneWithoutOffsets(t *testing.T) {
	c := quietCall(t)
	c.lane.Partition = &failing{bounds: io.ErrNoProgress}
	c.builder.replay.pending = 1
	if err := c.receiveChunk(chunk{err: ErrOffsetGone}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v", err)
	}
	if err := c.lane.resetPosition(t.Context(), 5); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v", err)
	}
	c.lane.Partition = &failing{oldest: 6, commit: io.ErrNoProgress} // retention has passed the position
	if err := c.lane.resetPosition(t.Context(), 5); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v", err)
	}
}

// A storm that other lanes are in is not said again for a notice that repeats itself.
func TestRepeatedNoticeCountsOnce(t *testing.T) {
	c := quietCall(t)
	c.lane.Weather.stormy("quota", "", time.Now())
	for range 3 {
		c.lane.notice(&lanev1.Notice{Cause: "quota"})
	}
	if s := c.lane.Weather.storms["quota"]; s.lanes != 2 || s.total != 2 {
		t.Errorf("%d lanes, %d in all", s.lanes, s.total)
	}
}

// choosy are contracts whose Prepare fails.
type choosy struct {
	keyContracts
	grown bool
	err   error
}

func (c *choosy) Prepare(context.Context, []record.Record, func(string)) (bool, error) {
	return c.grown, c.err
}

// The reader ends with what kept it from going on, and hands over nothing then.
func TestReaderEnds(t *testing.T) {
	for name, test := range map[string]struct {
		grown bool
		err   error
		want  error
	}{
		"grown": {grown: true, want: errGrown}, "failed": {err: io.ErrNoProgress, want: io.ErrNoProgress},
		"failed, and grown": {grown: true, err: io.ErrNoProgress, want: io.ErrNoProgress},
	} {
		log := newPartitionLog()
		log.produce("a", "x")
		m := log.join(func(string) bool { return true })
		l := &Lane{Partition: m, Contracts: &choosy{grown: test.grown, err: test.err}, Budget: NewBudget(1 << 20)}
		out := make(chan chunk, 1)
		r := reading{lane: l, out: out}
		r.run(t.Context())
		if p := <-out; !errors.Is(p.err, test.want) || len(p.records) != 0 || l.Budget.Used() != 0 {
			t.Errorf("%s: %+v, %d bytes held", name, p, l.Budget.Used())
		}
	}
	l := &Lane{Partition: &spot{}, Contracts: &choosy{}, Budget: NewBudget(1 << 20)}
	out := make(chan chunk, 1)
	(&reading{lane: l, out: out}).run(t.Context())
	if p := <-out; !errors.Is(p.err, io.ErrNoProgress) {
		t.Errorf("cannot be read: %+v", p)
	}
	// A claim that ends while the reader waits for budget ends the reader, whatever it could hand over.
	for range 20 {
		readerWaitsForBudget(t)
	}
}

func readerWaitsForBudget(t *testing.T) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := newPartitionLog()
		log.produce("a", "x")
		m := log.join(func(string) bool { return true })
		l := &Lane{Partition: m, Contracts: &choosy{}, Budget: NewBudget(1 << 20)}
		l.account().add(l.Budget.Size())
		ctx, cancel := context.WithCancel(t.Context())
		out, ended := make(chan chunk, 10), make(chan struct{})
		go func() { defer close(ended); (&reading{lane: l, out: out}).run(ctx) }()
		synctest.Wait()
		cancel()
		<-ended
		if p := <-out; !p.starved || len(out) != 0 {
			t.Errorf("%+v, and %d more", p, len(out))
		}
		if used := l.Budget.Used(); used != l.Budget.Size() {
			t.Errorf("%d bytes are held beside the whole budget", used-l.Budget.Size())
		}
	})
}
