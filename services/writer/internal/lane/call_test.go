package lane

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/buffers"
	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// What was sent counts though the call is over by then; what could not be sent then is the end of the call.
func TestSend(t *testing.T) {
	gone := errors.New("gone")
	for name, test := range map[string]struct {
		err   error
		ended bool
		says  string
	}{
		"sent":                         {nil, false, ""},
		"sent, and the call is over":   {nil, true, ""},
		"not sent":                     {gone, false, "gone"},
		"not sent, for the call ended": {gone, true, "context canceled"},
	} {
		l := bare(t, 0)
		l.stream = &recorder{err: test.err}
		if test.ended {
			l.cancel()
		}
		err := l.send(&lanev1.LaneResponse{})
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A call whose next message cannot be read ends with the reason, whatever was read before.
func TestACallThatCannotBeReadEnds(t *testing.T) {
	l := bare(t, 0)
	l.received = make(chan error, 1)
	l.received <- status.Error(codes.ResourceExhausted, "received message larger than max")
	if err := l.next(); status.Code(err) != codes.ResourceExhausted || l.halfClosed {
		t.Errorf("got %v", err)
	}
}

// late is a call whose message arrives when its lane has ended.
type late struct {
	recorder
	reads, ended chan struct{}
	message      *lanewire.Append
}

func (l *late) RecvMsg(m any) error {
	close(l.reads)
	<-l.ended
	m.(*lanewire.Received).Append = *l.message
	return nil
}

// What was read for a lane that has ended meanwhile goes back to whom its memory belongs to.
func TestAMessageThatComesTooLateIsGivenBack(t *testing.T) {
	pool := buffers.NewCounted(1<<20, 1<<12)
	rows := mem.BufferSlice{mem.NewBuffer(pool.Get(2000), pool)}
	call := &late{
		reads: make(chan struct{}), ended: make(chan struct{}),
		message: &lanewire.Append{Blocks: []lanewire.Block{{Rows: 1, Bytes: rows}}},
	}
	l := bare(t, 0)
	l.stream = call
	l.grant, l.received, l.done = make(chan struct{}, 1), make(chan error), make(chan struct{})
	l.service.goroutines.Add(1)
	l.grant <- struct{}{}
	go l.receive()
	<-call.reads
	close(l.done)
	close(call.ended)
	l.service.goroutines.Wait()
	if out := pool.Out(); out != 0 {
		t.Errorf("%d bytes are out", out)
	}
}

// closer is an appender that notes when it was closed.
type closer struct {
	*fakeAppender
	closed func()
}

func (c *closer) Close() { c.closed() }

// inOrder is a call that notes what was sent.
type inOrder struct {
	recorder
	note func(m *lanev1.LaneResponse)
}

func (o *inOrder) Send(m *lanev1.LaneResponse) error {
	o.note(m)
	return nil
}

// The calls of a lane are over before its clean checkpoint is sent: whoever adopts its streams counts on that.
func TestAppendersAreClosedBeforeClosed(t *testing.T) {
	var events []string
	l := bare(t, 0)
	l.tables[0].appender = &closer{newFakeAppender(t), func() { events = append(events, "closed a") }}
	l.tables[1].appender = nil
	l.stream = &inOrder{note: func(m *lanev1.LaneResponse) {
		if m.GetClosed() != nil {
			events = append(events, "sent")
		}
	}}
	if err := l.close(); err != nil || strings.Join(events, ", ") != "closed a, sent" {
		t.Errorf("%v: %v", events, err)
	}
}

// A message that the owner has no use for any more is not read: a half-closed call is at its end.
func TestNothingIsReadBehindTheHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &Service{Sink: &odd{append: func(id uint64, rows int, results func(Result)) {
			time.AfterFunc(time.Hour, func() { results(Result{ID: id, Written: rows}) })
		}}})
		defer w.stop()
		c, _ := openLane(t, w, atLeastOnce)
		say(t, c, oneRow(1, 10))
		synctest.Wait()
		if err := c.CloseSend(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l := w.list()[0]
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		if m, err := c.Recv(); m.GetSettled() == nil {
			t.Error(m, err)
		}
		if m, err := c.Recv(); m.GetClosed() == nil || len(l.grant) != 0 {
			t.Error(m, err, len(l.grant))
		}
		if err := w.Drain(ctx, "test"); err != nil {
			t.Error(err)
		}
	})
}
