package lane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// phase is how far a call has come.
type phase int

const (
	awaitsOpen phase = iota
	opening
	awaitsDurable
	streaming
	draining
)

func (p phase) String() string {
	return [...]string{"awaits open", "opening", "awaits durable", "streaming", "draining"}[p]
}

// lane is one call. It is a scope: ctx is its lifetime. All fields below mail belong to the owner goroutine; request belongs to the
// receiver from a grant to the message that answers it, and to the owner otherwise.
type lane struct {
	service *Service
	stream  grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]
	ctx     context.Context
	cancel  context.CancelFunc

	drain  chan string   // asks for a drain; capacity 1
	killed chan struct{} // closed when the drain is over
	kill   sync.Once
	status board

	grant    chan struct{} // lets the receiver read one message; capacity 1
	received chan error    // request is there, or reading ended
	done     chan struct{} // closed when the owner is gone
	request  lanewire.Request
	mail     mailbox
	// noticing are the tables whose storms ingest wants to hear of; nil: of none. told is the cause it has heard of last; of Watch.
	noticing atomic.Pointer[[]string]
	told     string

	log        *slog.Logger
	phase      phase
	since      time.Time
	open       *lanev1.Open
	jobs       sync.WaitGroup
	reading    bool
	halfClosed bool
	room       <-chan struct{} // not nil while waiting for the budget
	rest       *time.Timer

	position int64 // next offset to settle
	end      int64 // next offset to receive
	sequence uint64
	window   []*batch // received and not settled, oldest first
	launched int      // how many of them are not held
	bytes    int64
	free     []*batch

	tables []table
	counts bool  // an exactly-once table is among them: its rows are counted, and the list of left-out offsets bears on that
	named  []int // tables whose name is known, sorted by it
	left   []checkpoint.Range
	parked []parked

	refusals []refusal

	version   uint64 // newest state that an append may rely on
	durable   uint64 // newest version that is durable
	floor     uint64 // version that everything held relies on
	barrier   uint64 // number of the last Checkpoint
	awaiting  bool   // whether it is not answered yet
	awaited   uint64 // the version it showed
	wanted    uint64 // version to make durable though no batch asks for it
	resting   bool   // checkpoints are clean: no append before the next version
	forgotten string // a stream that is gone; the lane ends when its absence is durable
	forgotAt  uint64

	encoder checkpoint.Encoder
	token   []byte
	shown   checkpoint.Checkpoint
	settled lanev1.LaneResponse_Settled
}

func newLane(s *Service, stream grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]) *lane {
	l := &lane{
		service:  s,
		stream:   stream,
		drain:    make(chan string, 1),
		killed:   make(chan struct{}),
		grant:    make(chan struct{}, 1),
		received: make(chan error),
		done:     make(chan struct{}),
		mail:     mailbox{wake: make(chan struct{}, 1)},
		log:      s.Log,
		since:    time.Now(),
		rest:     time.NewTimer(time.Hour),
	}
	l.settled.Settled = new(lanev1.Settled)
	l.rest.Stop()
	l.ctx, l.cancel = context.WithCancel(stream.Context())
	return l
}

// cut ends the lane as soon as its owner listens. Safe from any goroutine.
func (l *lane) cut() { l.kill.Do(func() { close(l.killed) }) }

// carry is the owner. It returns the status of the call.
func (l *lane) carry() error {
	go l.receive()
	err := l.run()
	l.release()
	if err != nil && l.open != nil {
		if st, ok := status.FromError(err); ok {
			err = status.Errorf(st.Code(), "lane %s/%d: %s", l.open.GetTopic(), l.open.GetPartition(), st.Message())
		}
	}
	code := status.Code(err)
	l.service.Metrics.ends.WithLabelValues(code.String()).Inc()
	switch {
	case err == nil:
		l.log.Info("lane closed", "position", l.position)
	case code == codes.FailedPrecondition || code == codes.InvalidArgument || code == codes.Internal:
		l.log.Error("lane ended", "position", l.position, "phase", l.phase, "code", code, "error", err)
	default:
		l.log.Warn("lane ended", "position", l.position, "phase", l.phase, "code", code, "error", err)
	}
	return err
}

// receive reads messages as they are granted. It ends with the call: RecvMsg returns once the handler has.
func (l *lane) receive() {
	defer l.service.goroutines.Done()
	for {
		select {
		case <-l.grant:
		case <-l.done:
			return
		}
		err := l.stream.RecvMsg(&l.request)
		select {
		case l.received <- err:
		case <-l.done:
			if err == nil {
				l.request.Free()
			}
			return
		}
		if err != nil {
			return
		}
	}
}

func (l *lane) run() error {
	for {
		if err := l.advance(); err != nil {
			return err
		}
		if l.halfClosed && len(l.window) == 0 && (l.phase == streaming || l.phase == draining || l.phase == awaitsDurable) {
			return l.close()
		}
		l.readOn()
		l.publish()
		if err := l.next(); err != nil {
			return err
		}
	}
}

// next waits for one thing to happen and does what follows from it.
func (l *lane) next() error {
	select {
	case err := <-l.received:
		l.reading = false
		switch {
		case errors.Is(err, io.EOF) && l.phase < awaitsDurable:
			return status.Error(codes.InvalidArgument, "the call was half-closed before it was opened: send Open and await Opened")
		case errors.Is(err, io.EOF):
			l.halfClosed = true
			return nil
		case err != nil:
			return err
		}
		return l.take(&l.request)
	case <-l.mail.wake:
		for _, e := range l.mail.take() {
			if err := l.handle(&e); err != nil {
				return err
			}
		}
		return nil
	case reason := <-l.drain:
		if l.phase < streaming {
			return status.Errorf(codes.Unavailable, "this writer is stopping (%s); open the lane at another one", reason)
		}
		l.enter(draining)
		l.log.Info("lane drains", "reason", reason, "position", l.position, "window", len(l.window))
		return l.stream.Send(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Drain{Drain: &lanev1.Drain{Reason: reason}}})
	case <-l.killed:
		return status.Error(codes.Unavailable, "this writer is stopping and the lane did not close in time; open it at another one from the committed checkpoint")
	case <-l.room:
		l.room = nil
		return nil
	case <-l.rest.C:
		l.lieDown()
		return nil
	case <-l.ctx.Done():
		return status.FromContextError(l.ctx.Err()).Err()
	}
}

// readOn lets the receiver read the next message: when the budget has room, or when the lane cannot make room without reading, because the
// answer to its barrier or refusal may be behind more batches.
func (l *lane) readOn() {
	if l.reading || l.halfClosed || l.phase == opening {
		return
	}
	l.room = nil
	if !l.awaiting && len(l.refusals) == 0 {
		if l.room = l.service.Budget.wait(); l.room != nil {
			return
		}
	}
	l.reading = true
	l.grant <- struct{}{}
}

func (l *lane) enter(p phase) { l.phase, l.since = p, time.Now() }

// do runs something that blocks and posts its event. The owner awaits it in release.
func (l *lane) do(f func() event) {
	l.jobs.Go(func() { l.mail.post(f()) })
}

// close answers a half-close: everything sent is settled.
func (l *lane) close() error {
	l.closeAppenders()
	token, err := l.encode(true)
	if err != nil {
		return err
	}
	return l.stream.Send(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Closed{Closed: &lanev1.Closed{Position: l.position, Checkpoint: token}}})
}

func (l *lane) closeAppenders() {
	for i := range l.tables {
		if t := &l.tables[i]; t.appender != nil {
			t.appender.Close()
			t.appender = nil
		}
	}
}

// release ends all that the lane started and gives back what it holds.
func (l *lane) release() {
	l.cancel()
	close(l.done)
	l.rest.Stop()
	l.closeAppenders()
	l.jobs.Wait()
	for _, b := range l.window {
		for i := range b.blocks {
			b.blocks[i].data.Free()
			b.blocks[i].data = nil
		}
	}
	l.service.Budget.release(l.bytes)
	l.service.Metrics.held.Sub(float64(l.bytes))
}

// invalid says that ingest sent what it must not.
func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// fatal says that going on could lose or repeat rows, or needs an operator.
func fatal(format string, args ...any) error {
	return status.Errorf(codes.FailedPrecondition, format, args...)
}

// aborted says that ingest should open the lane again from the committed checkpoint.
func aborted(format string, args ...any) error {
	return status.Errorf(codes.Aborted, format, args...)
}

// sinkFault is the status for a sink that gave up on something it retries as long as that could help.
func (l *lane) sinkFault(doing string, err error) error {
	if l.ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return status.FromContextError(context.Canceled).Err()
	}
	return status.Error(codes.FailedPrecondition, fmt.Sprintf("%s: %v", doing, err))
}
