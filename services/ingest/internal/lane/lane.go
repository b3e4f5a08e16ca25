package lane

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Lane carries one claim. Fill in the exported fields and call Run once.
type Lane struct {
	// Partition is the claim.
	Partition Partition
	// Writers is the connection that calls go over; it spreads them over the writers.
	Writers grpc.ClientConnInterface
	// Placer says at which writer each call is; nil: the connection does.
	Placer Placer
	// Contracts are those of the topic, for this lane alone.
	Contracts Contracts
	// Group is the Kafka consumer group.
	Group string
	// Config must be valid.
	Config Config
	// Budget and Metrics are shared by the lanes of the process.
	Budget  *Budget
	Metrics *Metrics
	// Log gets one line a transition.
	Log *slog.Logger

	board   board
	metrics laneMetrics
}

// The back-offs of a lane. A broken call is tried again soon; a refusal needs an operator, and trying costs the writer an opening.
const (
	brokenMin, brokenMax = 100 * time.Millisecond, 15 * time.Second
	fatalMin, fatalMax   = 30 * time.Second, 5 * time.Minute
)

// Run carries the partition until ctx, the claim, ends, and returns once the last commit is done or DrainTimeout is over. It never
// returns early: faults are logged, counted and tried again, and a fenced lane waits for the end of its claim.
func (l *Lane) Run(ctx context.Context) {
	topic, number := l.Partition.Topic(), l.Partition.Number()
	l.Log = l.Log.With("topic", topic, "partition", number)
	l.metrics = l.Metrics.lane(topic, number)
	l.board.update(func(s *Status) { s.Topic, s.Partition, s.Position = topic, number, -1 })
	defer l.metrics.forget()
	defer l.board.enter(Ended)

	broken := backoff{min: brokenMin, max: brokenMax}
	refused := backoff{min: fatalMin, max: fatalMax}
	for ctx.Err() == nil {
		l.board.enter(Opening)
		progress, err := l.carry(ctx)
		if progress {
			broken.reset()
			refused.reset()
		}
		if ctx.Err() != nil {
			l.metrics.ended(outcomeStopped)
			if err != nil && !errors.Is(err, context.Canceled) && status.Code(err) != codes.Canceled {
				l.Log.Info("lane stopped without a clean end; the next owner fences it", "cause", err)
			} else {
				l.Log.Info("lane stopped")
			}
			return
		}
		l.metrics.ended(outcomeOf(err))
		l.afterCall(ctx, err, progress, &broken, &refused)
	}
}

// afterCall does what the end of a call asks for and waits before the next one.
func (l *Lane) afterCall(ctx context.Context, err error, progress bool, broken, refused *backoff) {
	if err != nil {
		l.board.update(func(s *Status) { s.LastError = err.Error() })
	}
	outcome := outcomeOf(err)
	if l.Placer != nil && errors.Is(err, ErrNoWriter) {
		outcome = outcomeBroken // the next place is elsewhere
	}
	switch outcome {
	case outcomeClosed:
		// Drained: the writer goes, lanes spread, or a contract has grown. A writer that drains every call at once must not make us spin.
		l.Log.Info("lane drained; opening it again")
		if progress || l.Placer != nil { // which leads to another writer, or waits for one
			return
		}
		l.board.enter(Waiting)
		broken.wait(ctx)
	case outcomeFenced:
		l.Log.Info("lane is fenced: another member owns the partition")
		l.board.enter(Fenced)
		<-ctx.Done()
	case outcomeFatal:
		l.board.enter(Refused)
		l.metrics.refuse.Set(1)
		l.Log.Error("lane is refused and needs an operator; it is tried again later", "error", err)
		refused.wait(ctx)
	case outcomeGone:
		// The position is reset and committed.
	default:
		l.board.enter(Waiting)
		l.Log.Warn("lane broke; opening it again from the committed checkpoint", "error", err)
		broken.wait(ctx)
	}
}

// Status is a snapshot of the lane. Safe for concurrent use.
func (l *Lane) Status() Status { return l.board.snapshot() }

// carry makes one call: it opens, runs, and ends. progress says that something was settled.
func (l *Lane) carry(ctx context.Context) (progress bool, err error) {
	c, err := l.open(ctx)
	if err != nil {
		return false, err
	}
	err = c.run(ctx)
	l.leavePlace(c.place, err)
	if errors.Is(err, errGone) {
		if reset := l.resetPosition(ctx, c.ledger.newest.position); reset != nil {
			err = reset
		}
	}
	return c.progress, err
}

// backoff is exponential with jitter: half of each wait is random, so that lanes broken together do not come back together.
type backoff struct {
	min, max, next time.Duration
}

func (b *backoff) reset() { b.next = 0 }

func (b *backoff) wait(ctx context.Context) {
	b.next = min(max(2*b.next, b.min), b.max)
	timer := time.NewTimer(b.next/2 + rand.N(b.next/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
