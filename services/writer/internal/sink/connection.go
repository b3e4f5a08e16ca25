package sink

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var (
	// errStalled ends a connection on which nothing has moved for the append timeout.
	errStalled = errors.New("no response to an append within the append timeout")
	// errBlocked ends a shared connection that takes no bytes while one of its appenders has to end.
	errBlocked = errors.New("the connection takes no bytes, and a lane on it has to end")
)

// connection is one AppendRows call. A write stream has one of its own; lanes that append to one default stream share
// some (shared.go). Each appender on it has a seat. Responses come in the order of requests, so the oldest request
// under way says whose a response is.
type connection struct {
	sink     *Sink
	preamble preamble
	// ctx is that of the call, kept for the cause of its end.
	ctx    context.Context
	cancel context.CancelCauseFunc
	stream storagepb.BigQueryWrite_AppendRowsClient
	// release gives the call's place on its gRPC connection back.
	release func()
	// watch cancels the call when it stalls, also while a send blocks: a dead peer swallows bytes and says nothing.
	watch *time.Timer
	// dialled is closed when stream is there, or failed says why not.
	dialled chan struct{}
	failed  error
	// done is closed when the receiving goroutine has returned.
	done chan struct{}
	// turn is held by the appender that sends: a call takes one message at a time. It is a channel so that waiting for
	// it ends with the waiter.
	turn chan struct{}

	mu    sync.Mutex
	seats []*seat
	// waiting are whose requests are under way, oldest first.
	waiting []*seat
	// since is when the call last moved while something was under way.
	since time.Time
	// opened says that the first request has gone, which names stream and schema. ended, that the call is over, for the
	// reason end.
	opened, ended bool
	end           error
}

// seat is one stay of an appender on a connection. A late response to a request of an earlier stay finds nobody.
type seat struct {
	connection *connection
	appender   *appender
}

// newConnection is a connection with one seat, not dialled yet, whose call ends with ctx.
func newConnection(ctx context.Context, a *appender) (*connection, *seat) {
	c := &connection{
		sink: a.sink, preamble: a.preamble, release: func() {},
		dialled: make(chan struct{}), done: make(chan struct{}), turn: make(chan struct{}, 1),
	}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	s := &seat{c, a}
	c.seats = []*seat{s}
	return c, s
}

// dial opens the call and starts its receiver. It gives up when ctx ends.
func (c *connection) dial(ctx context.Context) error {
	defer close(c.dialled)
	client, release, err := c.sink.pool.acquire()
	if err == nil {
		if err = c.call(ctx, client.AppendRows); err == nil {
			c.release = release
			c.sink.metrics.calls.Inc()
			c.mu.Lock()
			c.watch = time.AfterFunc(c.sink.appendTimeout, c.look)
			c.mu.Unlock()
			go c.receive()
			return nil
		}
		release()
	}
	c.cancel(nil)
	c.mu.Lock()
	c.ended, c.end, c.failed = true, err, err
	c.mu.Unlock()
	return err
}

func (c *connection) call(
	ctx context.Context, open func(context.Context, ...gax.CallOption) (storagepb.BigQueryWrite_AppendRowsClient,
		error),
) (err error) {
	// Outside the US multi-region the API finds the stream's region by this header only.
	of := metadata.AppendToOutgoingContext(c.ctx, "x-goog-request-params",
		"write_stream="+url.QueryEscape(c.preamble.stream))
	// Opening a call waits for a free place on the connection, which a hung peer never gives.
	opening := time.AfterFunc(callTimeout, func() { c.cancel(errStalled) })
	leaving := context.AfterFunc(ctx, func() { c.cancel(context.Canceled) })
	c.stream, err = open(of, gax.WithGRPCOptions(grpc.ForceCodecV2(c.sink.codec)))
	// A call that was cancelled at this moment ends by itself, and its receiver tells.
	opening.Stop()
	leaving()
	if err != nil {
		return unavailable(c.ctx, err)
	}
	return nil
}

// send sends an appender's rows and takes the reference. It blocks while BigQuery takes no bytes, until the call ends.
// Errors are not returned: the receiver gets the call's own.
func (c *connection) send(s *seat, offset int64, rows mem.BufferSlice) {
	select {
	case c.turn <- struct{}{}:
	case <-c.ctx.Done():
		rows.Free()
		return
	case <-s.appender.ctx.Done():
		rows.Free()
		return
	}
	defer func() { <-c.turn }()
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		rows.Free()
		return
	}
	if len(c.waiting) == 0 {
		c.since = time.Now()
	}
	c.waiting = append(c.waiting, s)
	first := !c.opened
	c.opened = true
	c.mu.Unlock()
	r := next(offset, rows)
	if first {
		r = c.preamble.first(offset, rows)
	}
	if err := c.stream.SendMsg(r); err != nil {
		// Whatever it was, nothing more can be sent in order on this call.
		c.cancel(err)
	}
	r.free()
}

// look sees whether the call stalls, and comes again.
func (c *connection) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	timeout := c.sink.appendTimeout
	switch due := c.since.Add(timeout); {
	case c.ended:
	case len(c.waiting) == 0:
		// Nothing is under way. What is sent from now on is not due before the next look, so one look a timeout finds a
		// stall within twice the timeout at the latest.
		c.watch.Reset(timeout)
	case time.Now().Before(due):
		c.watch.Reset(time.Until(due))
	default:
		c.cancel(errStalled)
	}
}

// receive takes responses to the queues until the call ends.
func (c *connection) receive() {
	defer close(c.done)
	var r reply
	for {
		if err := c.stream.RecvMsg(&r); err != nil {
			c.lost(unavailable(c.ctx, err))
			return
		}
		s := c.oldest()
		if s == nil {
			c.cancel(errors.New("BigQuery responded to an append that was not sent"))
			continue
		}
		s.appender.received(s, &r)
	}
}

// oldest is whose request the next response is about; nil when none is under way.
func (c *connection) oldest() *seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return nil
	}
	s := c.waiting[0]
	c.waiting = slices.Delete(c.waiting, 0, 1)
	c.since = time.Now()
	return s
}

// lost tells all appenders that the call is over.
func (c *connection) lost(err error) {
	c.mu.Lock()
	c.ended, c.end = true, err
	seats, waiting := slices.Clone(c.seats), c.waiting
	c.waiting = nil
	c.mu.Unlock()
	for _, s := range seats {
		f := ended(err)
		f.shared = slices.ContainsFunc(waiting, func(other *seat) bool { return other != s })
		s.appender.lost(s, f)
	}
}

// over is why the call has ended; nil while it stands.
func (c *connection) over() *fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		return nil
	}
	f := ended(c.end)
	f.shared = true // Nothing of a newcomer's was under way.
	return f
}

// unseat takes a seat away and reports whether it was the last.
func (c *connection) unseat(s *seat) (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seats = slices.DeleteFunc(c.seats, func(other *seat) bool { return other == s })
	return len(c.seats) == 0
}

// close ends the call and waits for its receiver.
func (c *connection) close() {
	c.cancel(nil)
	<-c.done
	c.watch.Stop()
	c.release()
	c.sink.metrics.calls.Dec()
}

// unavailable replaces the error of a call that we cancelled by its cause.
func unavailable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) || errors.Is(cause, errBlocked) {
		return status.Error(codes.Unavailable, cause.Error())
	}
	return err
}
