package sink

import (
	"context"
	"errors"
	"net/url"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// errStalled ends a connection on which nothing has moved for the append timeout.
var errStalled = errors.New("no answer to an append within the append timeout")

// connection is one AppendRows call. It ends when its context does, and it never outlives its appender.
type connection struct {
	// ctx is that of the call, kept for the cause of its end.
	ctx    context.Context
	stream storagepb.BigQueryWrite_AppendRowsClient
	cancel context.CancelCauseFunc
	// done is closed when the receiving goroutine has returned.
	done chan struct{}
	// release gives the call's place on its gRPC connection back.
	release func()
	// watch cancels the call when it stalls, also while a send blocks: a dead peer swallows bytes and says nothing.
	watch *time.Timer
}

// dial opens an AppendRows call. Its receiver is started once the queue knows of it.
func (a *appender) dial() (*connection, error) {
	client, release, err := a.sink.pool.acquire()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(a.ctx)
	// Outside the US multi-region the API finds the stream's region by this header only.
	ctx = metadata.AppendToOutgoingContext(ctx, "x-goog-request-params", "write_stream="+url.QueryEscape(a.preamble.stream))
	// Opening a call waits for a free place on the connection, which a hung peer never gives.
	opening := time.AfterFunc(a.sink.callTimeout, func() { cancel(errStalled) })
	stream, err := client.AppendRows(ctx, gax.WithGRPCOptions(grpc.ForceCodecV2(a.sink.codec)))
	if !opening.Stop() || err != nil {
		cancel(nil)
		release()
		if err == nil {
			err = errStalled
		}
		return nil, unavailable(ctx, err)
	}
	c := &connection{ctx: ctx, stream: stream, cancel: cancel, done: make(chan struct{}), release: release}
	c.watch = time.AfterFunc(a.sink.appendTimeout, func() { a.watch(c) })
	return c, nil
}

// watch looks whether the connection stalls, and comes again.
func (a *appender) watch(c *connection) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != c {
		return
	}
	due := a.queue.overdue(a.sink.appendTimeout)
	switch {
	case due.IsZero():
		// Nothing is under way. What is sent from now on is not due before the next look, so one look a timeout finds a stall
		// within twice the timeout at the latest.
		c.watch.Reset(a.sink.appendTimeout)
	case now.Before(due):
		c.watch.Reset(due.Sub(now))
	default:
		c.cancel(errStalled)
	}
}

// receive takes replies to the queue until the call ends.
func (a *appender) receive(c *connection) {
	defer close(c.done)
	var r reply
	for {
		if err := c.stream.RecvMsg(&r); err != nil {
			a.lost(c, unavailable(c.ctx, err))
			return
		}
		a.received(c, &r)
	}
}

// unavailable replaces the error of a call that we cancelled by its cause.
func unavailable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
		return status.Error(codes.Unavailable, cause.Error())
	}
	return err
}

// send sends a request. It blocks while BigQuery takes no bytes, until the call ends. Errors are not returned: the receiver gets the
// call's own.
func (c *connection) send(r *request) {
	if err := c.stream.SendMsg(r); err != nil {
		// Whatever it was, nothing more can be sent in order on this call.
		c.cancel(err)
	}
	r.free()
}

// close ends the call and waits for its receiver.
func (c *connection) close() {
	c.watch.Stop()
	c.cancel(nil)
	<-c.done
	c.release()
}
