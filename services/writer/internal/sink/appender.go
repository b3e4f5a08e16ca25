package sink

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/mem"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// appender is the I/O around a queue: one goroutine that connects and sends, and one a connection that receives. Rows cost neither
// goroutines nor allocations.
type appender struct {
	sink *Sink
	// table is where the rows go.
	table    *table
	preamble preamble
	results  func(lane.Result)
	log      *slog.Logger

	// ctx ends with Close, or with the sink.
	ctx    context.Context
	cancel context.CancelFunc
	// wake tells the sending goroutine that the queue may have something to do.
	wake chan struct{}
	// ended is closed when the sending goroutine has returned.
	ended chan struct{}

	// delivering is held while results are handed over, which keeps them one at a time and in order.
	delivering sync.Mutex

	mu    sync.Mutex
	queue *queue
	// current is the connection whose replies count.
	current *connection
	// blind is since when BigQuery does not know the table's columns as the table was found to have them; zero while it does.
	blind time.Time
	// held is what the gauge of bytes in flight knows of this appender.
	held int
}

// open starts an appender.
func (s *Sink) open(t *table, p preamble, rows int64, results func(lane.Result)) *appender {
	ctx, cancel := context.WithCancel(s.ctx)
	a := &appender{
		sink: s, table: t, preamble: p, results: results, ctx: ctx, cancel: cancel, log: s.log.With("stream", p.stream),
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
		queue: newQueue(rows, int(s.bound(p.repeats).Load()), p.size(), rand.Float64),
	}
	a.queue.repeats = p.repeats
	s.metrics.open.Inc()
	go a.run()
	return a
}

// Append implements lane.Appender.
func (a *appender) Append(id uint64, rows int, data mem.BufferSlice) {
	a.change(func(q *queue) { q.append(id, rows, data) })
}

// Resume implements lane.Appender.
func (a *appender) Resume() { a.change((*queue).resume) }

// change does something to the queue on behalf of the lane. Results it makes are delivered by the sending goroutine: the lane is
// never called back from inside its own call.
func (a *appender) change(f func(*queue)) {
	a.mu.Lock()
	f(a.queue)
	a.account()
	a.mu.Unlock()
	a.signal()
}

// Close implements lane.Appender.
func (a *appender) Close() {
	a.cancel()
	<-a.ended
}

// signal wakes the sending goroutine.
func (a *appender) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// account keeps the metrics and the learnt request limit in step with the queue. The caller holds mu.
func (a *appender) account() {
	a.sink.metrics.inFlight.Add(float64(a.queue.bytes - a.held))
	a.held = a.queue.bytes
	a.sink.learn(a.preamble.repeats, int64(a.queue.limit))
}

// run connects and sends until Close.
func (a *appender) run() {
	defer close(a.ended)
	defer a.finish()
	for a.ctx.Err() == nil {
		a.mu.Lock()
		step := a.queue.next(time.Now())
		var out *request
		if step.do == doSend {
			out = a.encode(step)
		}
		c := a.current
		a.account()
		a.mu.Unlock()
		a.deliver()

		switch step.do {
		case doSend:
			c.send(out)
		case doConnect:
			a.connect()
		default:
			if !a.wait(step.until) {
				return
			}
		}
	}
}

// encode makes the request of a step, with a reference of its own to the rows: the piece may be done before gRPC is. The caller
// holds mu.
func (a *appender) encode(s step) *request {
	s.piece.data.Ref()
	a.sink.metrics.appends.Inc()
	a.sink.metrics.bytes.Add(float64(s.piece.data.Len()))
	if a.preamble.repeats {
		s.offset = -1
	}
	if s.opening {
		return a.preamble.first(s.offset, s.piece.data)
	}
	return next(s.offset, s.piece.data)
}

// wait sleeps until something happens or the time has come. It returns false after Close.
func (a *appender) wait(until time.Time) bool {
	var alarm <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-a.ctx.Done():
		return false
	case <-a.wake:
	case <-alarm:
	}
	return a.ctx.Err() == nil
}

// connect replaces the connection.
func (a *appender) connect() {
	a.mu.Lock()
	old := a.current
	a.current = nil
	a.mu.Unlock()
	if old != nil {
		old.close()
		a.sink.metrics.reconnects.Inc()
	}
	if err := a.lookAgain(); err != nil {
		a.mu.Lock()
		a.queue.fail(err)
		a.mu.Unlock()
		return
	}
	c, err := a.dial()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.fault(ended(err))
		return
	}
	a.current = c
	a.queue.up()
	go a.receive(c)
}

// fault reports the end of a connection, or that none could be made, to the queue. The caller holds mu.
func (a *appender) fault(f *fault) {
	if a.ctx.Err() != nil {
		return
	}
	if len(a.queue.pieces) > 0 {
		a.sink.metrics.faults.WithLabelValues(f.code).Inc()
		a.log.Debug("append connection ended", "code", f.code, "message", f.text, "end", a.queue.end)
	}
	now := time.Now()
	a.table.excuse(f, now)
	a.doubt(f, now)
	a.queue.down(f, now)
}

// received takes a reply of a connection to the queue.
func (a *appender) received(c *connection, r *reply) {
	now := time.Now()
	a.mu.Lock()
	if a.current == c && a.ctx.Err() == nil {
		if r.fault != nil && a.queue.draining == 0 {
			a.table.excuse(r.fault, now)
			a.doubt(r.fault, now)
			a.sink.metrics.faults.WithLabelValues(r.fault.code).Inc()
		}
		if p := a.queue.reply(r, now); p != nil {
			a.blind = time.Time{}
			a.sink.metrics.rows.Add(float64(p.rows))
			a.sink.metrics.latency.Observe(now.Sub(p.sentAt).Seconds())
		}
		a.account()
	}
	a.mu.Unlock()
	a.deliver()
	a.signal()
}

// lost takes the end of a connection to the queue.
func (a *appender) lost(c *connection, err error) {
	a.mu.Lock()
	if a.current == c {
		a.fault(ended(err))
		a.account()
	}
	a.mu.Unlock()
	a.deliver()
	a.signal()
}

// deliver hands over the results there are.
func (a *appender) deliver() {
	a.delivering.Lock()
	defer a.delivering.Unlock()
	for {
		a.mu.Lock()
		results := a.queue.results
		a.queue.results = nil
		a.mu.Unlock()
		if len(results) == 0 {
			return
		}
		for _, r := range results {
			if a.ctx.Err() != nil {
				return
			}
			if a.preamble.repeats && errors.Is(r.Err, lane.ErrStreamGone) {
				a.sink.forget(a.table) // The next lane to open makes the table anew.
			}
			a.results(r)
		}
	}
}

// finish ends the connection and frees what is queued. No result is delivered after it.
func (a *appender) finish() {
	a.mu.Lock()
	c := a.current
	a.current = nil
	a.queue.close()
	a.account()
	a.mu.Unlock()
	if c != nil {
		c.close()
	}
	// A delivery under way still calls back; wait for it.
	a.delivering.Lock()
	defer a.delivering.Unlock()
	a.sink.metrics.open.Dec()
}
