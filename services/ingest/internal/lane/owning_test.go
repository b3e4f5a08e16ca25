package lane

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/causes"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// What was read before a record that cannot be read goes out first, wherever it is; then the lane drains.
func TestUnreadableWaitsForWhatWasRead(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(c *call)
		drains  bool
	}{
		"nothing was read": {func(*call) {}, true},
		"it is under way":  {func(c *call) { c.sends(t, "a") }, true},
		"a batch, and a full window": {func(c *call) {
			c.sends(t, "a")
			c.taken(t, "a")
			c.limits.windowBatches = 1
		}, false},
		"a batch that the window takes": {func(c *call) { c.sends(t, "a"); c.taken(t, "a") }, true},
		"records, and a full batch": {func(c *call) {
			c.sends(t, "a")
			c.taken(t, "a")
			c.limits.windowBatches, c.limits.batchRows, c.builder.limits.batchRows = 1, 1, 1
			c.part.records = []record.Record{{Offset: c.builder.next, Key: []byte("a")}}
		}, false},
		"dead letters to be produced": {func(c *call) { c.taken(t, "nobody"); c.flush(); c.lettering = true }, false},
	} {
		c := quietCall(t)
		c.unreadable = errors.New("damaged")
		test.prepare(c)
		if err := c.advance(); err != nil || c.draining != test.drains {
			t.Errorf("%s: drains %v, %v", name, c.draining, err)
		}
		c.draining = true // a batch that is left is not to be looked for
	}
}

// The time counts in which a batch is due and the window has no room, once however often that is looked at.
func TestWaitsForTheWindowAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quietCall(t)
		for _, step := range []struct {
			waits bool
			sum   int // in seconds, a second later
		}{{false, 0}, {true, 1}, {true, 2}, {false, 2}, {false, 2}, {true, 3}, {false, 3}} {
			c.waitForWindow(step.waits)
			time.Sleep(time.Second)
			if sum := c.lane.Metrics.WindowWaited(); sum != time.Duration(step.sum)*time.Second {
				t.Errorf("waits %v: %v, want %v s", step.waits, sum, step.sum)
			}
		}
		c.timer.Stop()
		c.cancel()
	})
}

// A reader that is at work closes itself: the owner closes one that rests, and no other.
func TestDrainLeavesAReaderAtWork(t *testing.T) {
	for _, rests := range []bool{true, false} {
		c := quietCall(t)
		c.source.reader = &logReader{member: newPartitionLog().join(func(string) bool { return true })}
		if rests {
			c.newRecords = make(chan struct{})
		}
		if c.drain("a test"); (c.source.reader == nil) != rests {
			t.Errorf("rests %v: closed %v", rests, c.source.reader == nil)
		}
	}
}

// A goroutine of a call that ends in order says nothing.
func TestOnlyAPanicIsReported(t *testing.T) {
	c := quietCall(t)
	c.start("rest", func() {})
	c.start("panic", func() { panic("a fault") })
	c.goroutines.Wait()
	if len(c.panicked) != 1 || outcomeOf(<-c.panicked) != outcomeFatal {
		t.Errorf("%d got something", len(c.panicked)+1)
	}
}

// panicking is a stream whose next response makes the receiver panic, unless the call is over.
type panicking struct {
	sending
	over bool
}

func (p *panicking) Recv() (*lanev1.LaneResponse, error) {
	if !p.over {
		panic("a fault")
	}
	return nil, io.EOF
}

// A receiver that panics ends the call with that, and one that ends in order says nothing.
func TestOnlyAPanicOfTheReceiverIsReported(t *testing.T) {
	for _, over := range []bool{true, false} {
		c := quietCall(t)
		c.stream = &panicking{over: over}
		c.cancel() // nobody takes a response
		c.goroutines.Add(1)
		c.receive()
		c.goroutines.Wait()
		if n := len(c.panicked); n != map[bool]int{true: 0, false: 1}[over] {
			t.Fatalf("over %v: %d were reported", over, n)
		}
		if !over && outcomeOf(<-c.panicked) != outcomeFatal {
			t.Error("what was reported is no fault of the program")
		}
	}
}

// The sender goes with the first message that cannot be sent: what comes behind it is the owner's still.
func TestSenderGoesWithAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeConn{send: func(int) error { return io.EOF }}
		c := quietCall(t)
		gone := make(chan struct{})
		in := make(chan any, 2)
		in <- durable(1)
		in <- durable(2)
		go func() {
			defer close(gone)
			send(c.ctx, &sending{conn}, in, nil)
		}()
		within(t, "the sender goes", gone)
		if len(in) != 1 {
			t.Errorf("%d messages are left", len(in))
		}
		c.timer.Stop()
		c.cancel()
	})
}

// A receiver keeps its goroutine, and the stack that decoding has grown, while batches are awaited; the wait for what
// nobody knows to come begins on a new one.
func TestReceiverStaysWhileBatchesAreAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quietCall(t)
		c.stream, c.responses = &sending{&fakeConn{}}, make(chan received)
		c.awaited.Store(2)
		settled := &lanev1.LaneResponse{Message: &lanev1.LaneResponse_Settled{Settled: &lanev1.Settled{Sequence: 1}}}
		notice := &lanev1.LaneResponse{Message: &lanev1.LaneResponse_Notice{}}
		for i, step := range []struct {
			response *lanev1.LaneResponse
			stays    bool
		}{{notice, true}, {settled, true}, {notice, true}, {settled, false}} {
			stays := make(chan bool)
			go func() { stays <- c.handOver(step.response, nil) }()
			if in := <-c.responses; in.response != step.response || in.err != nil {
				t.Errorf("step %d hands over %v", i, in)
			}
			if <-stays != step.stays {
				t.Errorf("step %d: the receiver stays %v", i, !step.stays)
			}
		}
		if in := <-c.responses; in.err == nil {
			t.Error("no receiver follows the one that went")
		}
		c.goroutines.Wait()
		go func() { <-c.responses }()
		if c.handOver(nil, io.EOF) {
			t.Error("the receiver stays after the end")
		}
		c.timer.Stop()
		c.cancel()
	})
}

// sending is a stream of which only SendMsg is there.
type sending struct{ *fakeConn }

func (s *sending) Send(m *lanev1.LaneRequest) error  { return s.SendMsg(m) }
func (*sending) Recv() (*lanev1.LaneResponse, error) { return nil, io.EOF }

// What the owner does counts from its first moment on, and from each change on, in a new call as well.
func TestWhatACallDoesIsNoted(t *testing.T) {
	l, _ := laneAt(&spot{}, nil)
	l.board.enter(Open)
	l.board.does(causes.Append) // of the call before
	c := &call{lane: l}
	for _, cause := range []causes.Cause{causes.Idle, causes.Decode, causes.Decode, causes.Append, causes.Idle} {
		if c.does(cause); l.board.snapshot().Cause != cause.String() {
			t.Errorf("does %v, and says %s", cause, l.board.snapshot().Cause)
		}
	}
}

// How long what is under way has been is told by the oldest batch, and whether the lane carries records by its call,
// whatever that waits for.
func TestCarried(t *testing.T) {
	l, _ := laneAt(&spot{}, nil)
	for _, state := range []State{Opening, Open, Draining, Waiting, Refused, Fenced} {
		if l.board.enter(state); l.Carried().Open != (state == Open) {
			t.Errorf("%s: open %v", state, l.Carried().Open)
		}
	}
	l.board.enter(Open)
	l.board.waitsFor(forBigQuery, "quota", time.Time{})
	if s := l.Status(); s.State != Stalled || !l.Carried().Open {
		t.Errorf("%s: open %v", s.State, l.Carried().Open)
	}
	c := quietCall(t)
	began := time.Now()
	c.sends(t, "a")
	c.sends(t, "a")
	got := c.lane.Carried()
	if got.Window != 2 || got.Bytes == 0 || got.Oldest.Before(began) || !got.Oldest.Equal(c.window.front().sent) {
		t.Errorf("%+v", got)
	}
	c.window.pop()
	c.window.pop()
	if c.showWindow(func(*Status) {}); !c.lane.Carried().Oldest.IsZero() {
		t.Errorf("%+v", c.lane.Carried())
	}
}
