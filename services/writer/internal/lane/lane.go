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
	"google.golang.org/protobuf/types/known/durationpb"

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

// lane is one call. It is a scope: ctx is its lifetime. All fields below mail belong to the owner goroutine; request
// belongs to the receiver from a grant to the message that uses it, and to the owner otherwise.
type lane struct {
	service *Service
	stream  grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]
	ctx     context.Context
	cancel  context.CancelFunc

	drain  chan drainage // asks for a drain; capacity 1
	over   chan error    // the owner has ended; capacity 1
	killed chan struct{} // closed by cut, after why
	why    error
	kill   sync.Once
	status board

	grant    chan struct{} // lets the receiver read one message; capacity 1
	received chan error    // request is there, or reading ended
	done     chan struct{} // closed when the owner is gone
	request  lanewire.Received
	mail     mailbox
	// noticing are the tables whose storms ingest wants notices of; nil: of none. noticed is the cause of its last
	// notice last; of Watch.
	noticing atomic.Pointer[[]string]
	noticed  string

	log        *slog.Logger
	phase      phase
	since      time.Time
	open       *lanev1.Open
	jobs       sync.WaitGroup
	reading    bool
	halfClosed bool
	room       <-chan struct{} // not nil while waiting for the budget
	place      *place          // not nil while request waits to be let in
	charged    int64           // what the budget has for this lane
	shares     bool            // the limit of Service.Received is higher for it
	silent     func()          // not nil while it is said to await its Open
	carried    func()          // not nil while its connection is said to carry it
	first      *time.Timer     // ends the wait for Open
	rest       *time.Timer

	position int64 // next offset to settle
	end      int64 // next offset to receive
	sequence uint64
	window   []*batch // received and not settled, oldest first
	launched int      // how many of them are not held
	bytes    int64
	free     []*batch
	given    *traced // of a batch given up, where one has a trace

	tables []table
	// an exactly-once table is among them: its rows are counted, and the list of left-out offsets bears on that
	counts bool
	named  []int // tables whose name is known, sorted by it
	left   []checkpoint.Range
	parked []parked
	waits  int // offsets in parked

	refusals []refusal

	version  uint64 // newest state that an append may rely on
	durable  uint64 // newest version that is durable
	floor    uint64 // version that everything held relies on
	barrier  uint64 // number of the last Checkpoint
	awaiting bool   // whether its Durable has not come yet
	awaited  uint64 // the version it showed
	wanted   uint64 // version to make durable though no batch asks for it
	resting  bool   // checkpoints are clean: no append before the next version
	ending   error  // why nothing is appended any more; the lane ends with it once endsAt is durable
	endsAt   uint64

	encoder checkpoint.Encoder
	token   []byte
	shown   checkpoint.Checkpoint
	settled lanev1.LaneResponse_Settled
}

func newLane(s *Service, stream grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]) *lane {
	l := &lane{
		service:  s,
		stream:   stream,
		drain:    make(chan drainage, 1),
		over:     make(chan error, 1),
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

// run is the owner's loop. It returns how the lane ended.
func (l *lane) run() error {
	for {
		if err := l.advance(); err != nil {
			return err
		}
		if l.halfClosed && len(l.window) == 0 { // nothing is read while the lane opens
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
			return status.Error(codes.InvalidArgument,
				"the call was half-closed before it was opened: send Open and await Opened")
		case errors.Is(err, io.EOF):
			l.halfClosed = true
			return nil
		case err != nil:
			return err
		}
		return l.take()
	case <-l.turn():
		return l.letIn()
	case <-l.mail.wake:
		for _, e := range l.mail.take() {
			if err := l.handle(&e); err != nil {
				return err
			}
		}
		return nil
	case d := <-l.drain:
		return l.takeDrain(d)
	case <-l.killed:
		return l.why
	case <-l.room:
		l.room = nil
		return nil
	case <-l.rest.C:
		l.checkpointIdle()
		return nil
	case <-l.ctx.Done():
		return l.ended()
	}
}

// takeDrain asks ingest to close the lane.
func (l *lane) takeDrain(d drainage) error {
	if l.phase < streaming {
		return status.Errorf(codes.Unavailable, "this writer is stopping (%s); open the lane at another one", d.reason)
	}
	l.enter(draining)
	l.traced().logger(l.log).Info("lane drains", "reason", d.reason, "position", l.position, "window", len(l.window))
	m := &lanev1.Drain{Reason: d.reason}
	if !d.by.IsZero() {
		m.Within = durationpb.New(max(0, time.Until(d.by)))
	}
	return l.send(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Drain{Drain: m}})
}

// waiting reports whether the lane needs a response of ingest to go on.
func (l *lane) waiting() bool { return l.awaiting || len(l.refusals) > 0 }

// readOn lets the receiver read the next message: when the budget has room, or when the lane cannot make room without
// reading, because the response to its barrier or refusal is still to come. What opens a lane is no row. A message that
// is not let in is the last one read.
func (l *lane) readOn() {
	if l.reading || l.halfClosed || l.phase == opening || l.place != nil {
		return
	}
	if !l.waiting() && l.phase != awaitsOpen {
		if l.room = l.service.Budget.wait(l.room); l.room != nil {
			return
		}
	}
	l.forgo()
	l.reading = true
	l.grant <- struct{}{}
}

// forgo ends the wait for room, if the lane waits for any.
func (l *lane) forgo() {
	if l.room != nil {
		l.service.Budget.forgo(l.room)
		l.room = nil
	}
}

func (l *lane) enter(p phase) { l.phase, l.since = p, time.Now() }

// do runs something that blocks and posts its event. The owner awaits it in release.
func (l *lane) do(f func() event) {
	l.jobs.Go(func() {
		var e event
		if err := l.guard(func() error { e = f(); return nil }); err != nil {
			e = event{kind: eventPanicked, err: err}
		}
		l.mail.post(e)
	})
}

// close responds to a half-close: everything sent is settled.
func (l *lane) close() error {
	for i := range l.tables {
		if t := &l.tables[i]; t.appender != nil {
			t.appender.Close()
			t.appender = nil
		}
	}
	token, err := l.encode(true)
	if err != nil {
		return err
	}
	return l.send(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Closed{Closed: &lanev1.Closed{
		Position: l.position, Checkpoint: token,
	}}})
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
		return l.ended()
	}
	return status.Error(codes.FailedPrecondition, fmt.Sprintf("%s: %v", doing, err))
}
