package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-data/waybill/pkg/mutant"
	"github.com/waybill-data/waybill/services/ingest/internal/causes"
)

// moveLinger is how long a batch waits that only moves the position on.
const moveLinger = time.Second

// call is one open call. All fields belong to the owner goroutine, the one in run.
type call struct {
	lane *Lane
	// ctx rules the I/O of the call and outlives the claim until the call has drained; cancel ends it.
	ctx    context.Context
	cancel context.CancelFunc
	stream laneStream
	limits limits
	// place is where the call is; nil without a placer. woken holds a token when there is something new about that, or
	// an order.
	place  Place
	woken  chan struct{}
	depart departure

	builder builder
	// tells: the writer takes traces.
	tells  bool
	window window
	ledger ledger
	// from is the position of Open, sequence and sentEnd are those of the last batch in the window or settled.
	from     int64
	sequence uint64
	sentEnd  int64
	progress bool
	// first is the Kafka timestamp of the first record not settled, as the board has it.
	first int64

	// control goes out before batches: answers, which make room for them.
	control, batches queue
	// part is the chunk being taken and next its first record not taken.
	part chunk
	next int
	// backlog is that of the last chunk.
	backlog int64
	// cause is what the owner does or waits for, once accounted is true.
	cause     causes.Cause
	accounted bool
	// starved: the reader waits for budget. full: a batch waits for room in the window.
	starved, full bool

	// held is a batch whose dead letters are not durable yet; nothing goes out after it.
	held *batch
	// letters are to be produced, the first one is under way while lettering.
	letters        []letterJob
	lettering      bool
	abandonLetters context.CancelFunc

	// draining: nothing more is read or batched. closing: the half-close is queued or sent. gone: why we drain is a
	// lost offset.
	draining, closing, gone bool
	// unreadable is why nothing can be read behind what was read.
	unreadable  error
	readCtx     context.Context
	stopReading context.CancelFunc
	drainBy     <-chan time.Time
	deadline    time.Time

	responses                     chan received
	messages                      chan any
	chunks                        chan chunk
	committed, lettered, panicked chan error
	timer                         *time.Timer
	armed                         time.Time

	// goroutines are the receiver, and while there is something to do the sender and the reader.
	goroutines sync.WaitGroup
	sending    bool
	senderIdle chan struct{}
	// awaited is how many batches were put into the window whose Settled the receiver has not had.
	awaited atomic.Int64
	source  reading
	// newRecords, while the reader rests, is where its source says that it has some.
	newRecords <-chan struct{}
}

// letterJob is dead letters to be produced for a batch: for its bad records before it is sent, or for its refused rows
// after.
type letterJob struct {
	batch   *batch
	letters []DeadLetter
	refused bool
	// traced is the trace of the record whose dead letter has the index letter; nil where none has one.
	traced *traced
	letter int
}

// queue is messages for the sender.
type queue struct {
	items []any
	head  int
}

func (q *queue) push(m any) { q.items = append(q.items, m) }
func (q *queue) empty() bool {
	return q.head == len(q.items)
}
func (q *queue) first() any { return q.items[q.head] }
func (q *queue) pop() any {
	m := q.items[q.head]
	q.items[q.head] = nil
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return m
}

// advance does all that can be done without waiting.
func (c *call) advance() error {
	c.leaveIfQuiet()
	if !c.draining && !c.depart.moving() {
		if err := c.fill(time.Now()); err != nil {
			return err
		}
	}
	// Records at hand are behind a batch that is full.
	if c.unreadable != nil && c.builder.batch == nil && c.held == nil {
		c.drain("the next record cannot be read")
	}
	if p, ok := c.ledger.await(); ok {
		if mutant.AwaitedCommit { // Durable goes out at once, the commit some time
			c.lane.Partition.CommitLater(p)
			c.committed <- nil
		} else {
			go func() {
				c.committed <- guarded("commit", func() error { return c.lane.Partition.Commit(c.ctx, p) })
			}()
		}
	}
	if p, ok := c.ledger.later(); ok {
		c.lane.Partition.CommitLater(p)
	}
	if len(c.letters) > 0 && !c.lettering {
		c.lettering = true
		ctx, abandon := context.WithCancel(c.ctx)
		c.abandonLetters = abandon
		letters := c.letters[0].letters
		go func() {
			c.lettered <- guarded("produce dead letters", func() error {
				return c.lane.Partition.DeadLetter(ctx, letters, c.lane.waitsForLetters)
			})
		}()
	}
	if c.draining && !c.closing && c.quiet() {
		// Only now: after the half-close no barrier and no refusal could be answered any more.
		c.closing = true
		c.control.push(halfClose{})
	}
	return nil
}

// quiet says that everything is settled and answered.
func (c *call) quiet() bool {
	return c.window.count == 0 && c.control.empty() && c.batches.empty() &&
		!c.ledger.open() && !c.ledger.inFlight && !c.lettering && len(c.letters) == 0
}

// fill takes records into batches and sends those that are due.
func (c *call) fill(now time.Time) error {
	for {
		if err := c.takeRecords(now); err != nil {
			return err
		}
		if c.next == len(c.part.records) {
			c.dropChunk()
		}
		due, wait := c.due(now)
		if !due {
			c.arm(now, wait)
			return nil
		}
		if c.held != nil {
			return nil
		}
		fits := c.window.fits(c.builder.batch.bytes, c.limits)
		c.waitForWindow(!fits)
		if !fits {
			return nil
		}
		c.flush()
	}
}

// waitForWindow counts the time in which a batch is due and the window has no room.
func (c *call) waitForWindow(waits bool) {
	switch {
	case waits && !c.full:
		c.lane.Metrics.windowWaits.Begin()
	case !waits && c.full:
		c.lane.Metrics.windowWaits.End()
	}
	c.full = waits
}

// takeRecords takes what fits of the chunk, and settles the accounts of that however it ends.
func (c *call) takeRecords(now time.Time) error {
	defer c.builder.balance()
	for c.next < len(c.part.records) {
		taken, err := c.builder.take(&c.part.records[c.next], now)
		if !taken {
			return err
		}
		c.next++
	}
	return nil
}

// due reports whether the batch is to be sent now, and else how long it may wait for more; 0 is for ever.
func (c *call) due(now time.Time) (bool, time.Duration) {
	b := c.builder.batch
	switch {
	case b == nil:
		return false, 0
	case len(c.part.records) > 0 || b.isFull(c.limits) || c.unreadable != nil:
		return true, 0
	case c.starved && b.charge > 0 && c.window.count == 0:
		// What it holds may be what the budget is spent on. With a batch under way, settling that one gives some back.
		return true, 0
	case c.backlog == 0 && c.held == nil && !b.moves() && b.bytes >= worthwhile(c.window.count, c.limits):
		// Nothing is at hand that could join it, and it is large enough for what is under way.
		return true, 0
	}
	linger := c.lane.Config.Linger
	if b.moves() {
		linger = max(linger, moveLinger)
	}
	left := linger - now.Sub(b.began)
	return left <= 0, left
}

// worthwhile is how many bytes a batch must have to go before its linger is over. With nothing under way any batch
// goes: waiting would only cost time. Beside one it must be a quarter of a full one, beside two a half, so that a lane
// under load, or with a slow writer, comes to send full ones: a batch costs about what a few hundred small rows do.
func worthwhile(underWay int, l limits) int {
	switch underWay {
	case 0:
		return 0
	case 1:
		return l.batchBytes / 4
	case 2:
		return l.batchBytes / 2
	}
	return l.batchBytes
}

func (c *call) arm(now time.Time, wait time.Duration) {
	if wait == 0 {
		return
	}
	if at := now.Add(wait); !at.Equal(c.armed) {
		c.armed = at
		c.timer.Reset(wait)
	}
}

// flush closes the batch. One with bad records is held until their dead letters are durable.
func (c *call) flush() {
	c.sequence++
	c.starved = false
	b := c.builder.finish(c.sequence)
	if len(b.bad) == 0 {
		c.append(b)
		return
	}
	c.held = b
	job := letterJob{batch: b, letters: b.letters(), traced: b.failed}
	if b.failed != nil {
		job.letter = b.failed.row
	}
	c.letters = append(c.letters, job)
}

// append puts the batch into the window and queues it.
func (c *call) append(b *batch) {
	if w := c.lane.Taps.Watching(); w != nil {
		w.Rows(c.lane.Partition.Topic(), &b.records)
	}
	b.sent = time.Now()
	b.traced.sent(b, c.tells)
	c.window.push(b)
	c.awaited.Add(1)
	first := c.sentEnd
	c.sentEnd = b.end
	if len(b.bad) > 0 {
		c.batches.push(leftOut(0, b.leftOut()))
	}
	c.batches.push(b.message())
	m := &c.lane.metrics
	m.batches.Inc()
	m.rows.Add(float64(b.rows))
	m.bytes.Add(float64(b.bytes))
	c.showWindow(func(s *Status) {
		s.Rows += uint64(b.rows)
		s.Bytes += uint64(b.bytes)
		c.lane.board.remembered.sent(b, first)
	})
}

func (c *call) showWindow(f func(*Status)) {
	c.lane.board.update(func(s *Status) {
		s.WindowBatches, s.WindowBytes = c.window.count, c.window.bytes
		c.lane.board.carried.Oldest = c.window.oldest()
		f(s)
	})
}

// incoming is where the next chunk comes from: nowhere while there is no use for one.
func (c *call) incoming() <-chan chunk {
	if c.draining || c.depart.moving() || len(c.part.records) > 0 {
		return nil
	}
	return c.chunks
}

// outgoing is where the next message goes.
func (c *call) outgoing() (chan<- any, any) {
	switch {
	case !c.control.empty():
		return c.messages, c.control.first()
	case !c.batches.empty():
		return c.messages, c.batches.first()
	default:
		return nil, nil
	}
}

func (c *call) sent() {
	if !c.control.empty() {
		c.control.pop()
		return
	}
	c.batches.pop()
}

func (c *call) receiveChunk(p chunk) error {
	switch {
	case p.starved:
		c.starved = true
		return nil
	case p.idle:
		c.newRecords = c.source.reader.Ready()
		return nil
	case p.err == nil:
		c.part, c.next, c.backlog = p, 0, p.backlog
		if w := c.lane.Taps.Watching(); w != nil {
			w.Records(p.records)
		}
		c.builder.traces.read(p.requested, p.received)
		c.does(causes.Decode)
		if c.first < 0 {
			c.first = c.firstUnsettled()
			c.lane.board.starts(c.first)
		}
		return nil
	case errors.Is(p.err, errGrown):
		c.drain("a contract has grown")
		return nil
	case errors.Is(p.err, ErrUnreadable):
		// What came before it goes out first: see advance.
		c.unreadable = p.err
		return nil
	case !errors.Is(p.err, ErrOffsetGone):
		return fmt.Errorf("read records: %w", p.err)
	}
	if c.builder.replay.pending > 0 {
		if err := c.lostUnderReplay(p.err); err != nil {
			return err
		}
	}
	c.gone = true
	c.log().Warn("cannot read on", "error", p.err)
	c.drain("records at the position are gone")
	return nil
}
