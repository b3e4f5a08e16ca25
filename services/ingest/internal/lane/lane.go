package lane

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
	"github.com/waybill-data/waybill/services/ingest/internal/tap"
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
	// Weather is shared by the lanes that use the same writers.
	Weather *Weather
	// Taps are who looks at records as they pass; nil: nobody.
	Taps *tap.Taps
	// Letters counts dead letters that have been written; nil: nobody does.
	Letters LetterCounter
	// Traces says which rows have a trace; the zero value: none.
	Traces Traces
	// Log gets one line a transition.
	Log *slog.Logger

	announced sync.Once

	board   board
	orders  orders
	metrics laneMetrics
	// noticed is the cause of the writer's last notice; empty when there is none. Of the goroutine in Run.
	noticed string
	// given is the trace of a batch that the last call gave up; nil when there is none. Of the goroutine in Run.
	given *traced
	// broken and refused are the back-offs after calls that broke and that were refused.
	broken, refused backoff
}

// LetterCounter counts dead letters. What it is given is its own during the call alone. Safe for concurrent use.
type LetterCounter interface {
	Count(now time.Time, letters []DeadLetter)
}

// waitsForLetters says on the board why dead letters cannot be written.
func (l *Lane) waitsForLetters(what string) { l.board.waitsFor(forLetters, what, time.Time{}) }

// waitsForWriter says on the board that no writer serves.
func (l *Lane) waitsForWriter(what string, since time.Time) {
	l.board.waitsFor(forWriter, what, since)
	if what != "" {
		l.board.enter(Waiting)
	} else {
		l.board.enter(Opening)
	}
}

// waitsForCommit says what the group's coordinator is to do before the lane can open, until done is called.
func (l *Lane) waitsForCommit(what string) (done func()) {
	l.board.waitsFor(forCommit, what, time.Time{})
	return func() { l.board.waitsFor(forCommit, "", time.Time{}) }
}

// The back-offs of a lane. While no writer serves it is Weather that says when to try. A broken call is tried again
// soon; a refusal needs an operator, and trying costs the writer an opening.
const (
	brokenMin, brokenMax = 100 * time.Millisecond, 15 * time.Second
	fatalMin, fatalMax   = 30 * time.Second, 5 * time.Minute
)

// Run carries the partition until ctx, the claim, ends, and returns once the last commit is done or DrainTimeout is
// over. It never returns early: faults are logged, counted and tried again, and a fenced lane waits for the end of its
// claim.
func (l *Lane) Run(ctx context.Context) {
	l.Announce()
	defer l.end()
	for l.rest(ctx) {
		turn, over := l.orders.turn(ctx)
		l.board.enter(Opening)
		progress, err := l.carry(ctx, turn)
		l.afterCall(ctx, turn, progress, err)
		over()
	}
}

// Announce readies the lane to be looked at, before Run is called; Run does it for a lane that was not announced.
func (l *Lane) Announce() { l.announced.Do(l.begin) }

func (l *Lane) begin() {
	topic, number := l.Partition.Topic(), l.Partition.Number()
	l.Log = l.Log.With("topic", topic, "partition", number)
	l.metrics = l.Metrics.lane(topic)
	l.broken, l.refused = backoff{min: brokenMin, max: brokenMax}, backoff{min: fatalMin, max: fatalMax}
	l.board.mu.Lock()
	l.board.time = causes.New(time.Now(), causes.Opening)
	l.board.mu.Unlock()
	l.board.update(func(s *Status) { s.Topic, s.Partition = topic, number })
	l.board.moved(-1, -1)
	l.Budget.join(topic)
	l.Metrics.add(l)
}

// account is where the lane takes from the budget.
func (l *Lane) account() *Account { return l.Budget.Account(l.Partition.Topic()) }

func (l *Lane) end() {
	l.board.enter(Ended)
	l.Metrics.remove(l)
	l.Budget.leave(l.Partition.Topic())
}

// afterCall does what the end of a call asks for and waits before the next one, which a pause cuts short.
func (l *Lane) afterCall(ctx, turn context.Context, progress bool, err error) {
	log := l.given.logger(l.Log)
	if progress {
		l.broken.reset()
		l.refused.reset()
	}
	if ctx.Err() != nil {
		outcome := outcomeStopped
		if errors.Is(context.Cause(ctx), ErrFenced) { // a fenced commit ends the claim before the call
			outcome = outcomeFenced
			l.board.enter(Fenced)
		}
		l.metrics.ended(outcome)
		if err != nil && !errors.Is(err, context.Canceled) && status.Code(err) != codes.Canceled {
			log.Info("lane stopped without a clean end; the next owner fences it", "cause", err)
		} else {
			l.Log.Info("lane stopped")
		}
		return
	}
	if turn.Err() != nil && (errors.Is(err, errPaused) || errors.Is(err, errAgain) ||
		errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled) {
		l.metrics.ended(outcomeStopped) // it was not open yet
		return
	}
	l.metrics.ended(outcomeOf(err))
	if err != nil {
		l.board.update(func(s *Status) { s.LastError = err.Error() })
	}
	outcome := outcomeOf(err)
	if l.Placer != nil && errors.Is(err, ErrNoWriter) {
		outcome = outcomeBroken // the next place is elsewhere
	}
	switch outcome {
	case outcomeClosed:
		// Drained: the writer goes, lanes spread, or a contract has grown. A writer that drains every call at once must
		// not make us spin.
		l.Log.Info("lane drained; opening it again")
		if progress || l.Placer != nil { // which leads to another writer, or waits for one
			return
		}
		l.board.enter(Waiting)
		l.broken.wait(turn, l.back())
	case outcomeFenced:
		l.Log.Info("lane is fenced: another member owns the partition")
		l.board.enter(Fenced)
		<-ctx.Done()
	case outcomeFatal:
		l.board.enter(Refused)
		if fatal, ok := errors.AsType[*fatalError](err); ok && fatal.stack != "" {
			log = log.With("stack", fatal.stack)
		}
		log.Error("lane is refused and needs an operator; it is tried again later", "error", err)
		l.refused.wait(turn, nil)
	case outcomeGone:
		// The position is reset and committed.
	default:
		l.board.enter(Waiting)
		if errors.Is(err, errAway) {
			l.Log.Debug("no writer takes the lane; it waits for one", "error", err) // said once for all lanes
			return
		}
		log.Warn("lane broke; opening it again from the committed checkpoint", "error", err)
		l.broken.wait(turn, l.back())
	}
}

// back is closed when a writer begins to serve; nil when that would be no news.
func (l *Lane) back() <-chan struct{} {
	if l.Placer != nil {
		return l.Placer.Changed()
	}
	return l.Weather.back()
}

// carry makes one call: it opens, within the turn, runs, and ends. progress says that something was settled.
func (l *Lane) carry(ctx, turn context.Context) (progress bool, err error) {
	var c *call
	l.given = nil
	defer l.leaveCall(&c, &err)
	opened, err := l.open(turn)
	if err != nil {
		return false, err
	}
	c = opened // from here on its place is left with the call
	if err = c.run(ctx); errors.Is(err, errGone) {
		err = l.leaveGone(ctx, c)
	}
	return c.progress, err
}

// leaveGone moves a lane whose records are gone.
func (l *Lane) leaveGone(ctx context.Context, c *call) error {
	if err := l.resetPosition(ctx, c.ledger.newest.Position); err != nil {
		return err
	}
	return errGone
}

// leaveCall ends a call, if there is one, and a panic of it. It is to be deferred.
func (l *Lane) leaveCall(c **call, err *error) {
	fault := caught("the lane", recover())
	if *c != nil {
		l.leavePlace((*c).place, *err)
	}
	l.orders.wakes(nil)
	l.notice(nil)
	if fault != nil {
		*err = fault
	}
}

// backoff is exponential with jitter: half of each wait is random, so that lanes broken together do not come back
// together.
type backoff struct {
	min, max, next time.Duration
}

func (b *backoff) reset() { b.next = 0 }

// wait waits, at most until wake is closed or ctx ends.
func (b *backoff) wait(ctx context.Context, wake <-chan struct{}) {
	b.next = min(max(2*b.next, b.min), b.max)
	sleep(ctx, wake, b.next/2+rand.N(b.next/2))
}
