package sink

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// appender is the I/O around a queue: one goroutine that connects and sends, and one a connection that receives. Rows
// cost neither goroutines nor allocations.
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

	// delivering is full while results are handed over, which keeps them one at a time and in order. It is no mutex:
	// the lane may take its time, and tests on a fake clock have time pass meanwhile.
	delivering chan struct{}

	// traveller is what the appender meets on its way to the table.
	traveller *traveller

	mu    sync.Mutex
	queue *queue
	// current is the seat whose replies count.
	current *seat
	// blind is since when BigQuery does not know the table's columns as the table was found to have them; zero while it
	// does.
	blind time.Time
	// held is what the gauge of bytes in flight knows of this appender.
	held int
}

// open starts an appender.
func (s *Sink) open(t *table, p preamble, rows int64, results func(lane.Result)) *appender {
	ctx, cancel := context.WithCancel(s.ctx)
	limit := s.bound(p.repeats)
	a := &appender{
		sink: s, table: t, preamble: p, results: results, ctx: ctx, cancel: cancel, log: s.log.With("stream", p.stream),
		wake: make(chan struct{}, 1), ended: make(chan struct{}), delivering: make(chan struct{}, 1),
		traveller: t.weather.traveller(wayAppend), queue: newQueue(rows, limit.most, p.size(), rand.Float64),
	}
	a.traveller.name = p.stream
	a.queue.limit, a.queue.repeats = limit, p.repeats
	a.queue.careful = t.carefulUntil()
	a.queue.solo = time.Now().Before(a.queue.careful)
	s.appends(1)
	go a.run()
	return a
}

// Append implements lane.Appender.
func (a *appender) Append(id uint64, rows int, data mem.BufferSlice) {
	a.change(func(q *queue) { q.append(id, rows, data) })
}

// Resume implements lane.Appender.
func (a *appender) Resume() { a.change((*queue).resume) }

// change does something to the queue on behalf of the lane. Results it makes are delivered by the sending goroutine:
// the lane is never called back from inside its own call.
func (a *appender) change(f func(*queue)) {
	a.mu.Lock()
	f(a.queue)
	a.account()
	a.mu.Unlock()
	a.signal()
}

// Trouble implements lane.Troubled.
func (a *appender) Trouble() lane.Trouble { return a.traveller.trouble() }

// blockedFor is how long Close waits for a shared connection that takes no bytes before it ends that.
const blockedFor = time.Second

// Close implements lane.Appender.
func (a *appender) Close() {
	a.cancel()
	blocked := time.AfterFunc(blockedFor, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.current != nil {
			a.current.connection.cancel(errBlocked)
		}
	})
	defer blocked.Stop()
	<-a.ended
}

// signal wakes the sending goroutine.
func (a *appender) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// account keeps the metrics in step with the queue. The caller holds mu.
func (a *appender) account() {
	a.sink.metrics.inFlight.Add(float64(a.queue.bytes - a.held))
	a.held = a.queue.bytes
}

// run connects and sends until Close.
func (a *appender) run() {
	defer close(a.ended)
	defer a.finish()
	for a.ctx.Err() == nil {
		a.mu.Lock()
		step := a.queue.next(time.Now())
		if step.do == doSend {
			a.takeOut(&step)
		}
		s := a.current
		a.account()
		a.mu.Unlock()
		a.deliver()

		switch step.do {
		case doSend:
			s.connection.send(s, step.offset, step.rows)
		case doConnect:
			a.connect()
		default:
			a.wait(step.until)
		}
	}
}

// takeOut gives a step a reference of its own to the rows: the piece may be done before gRPC is. The caller holds mu.
func (a *appender) takeOut(s *step) {
	s.rows = s.piece.data
	s.rows.Ref()
	a.sink.metrics.appends.Inc()
	a.sink.metrics.bytes.Add(float64(s.rows.Len()))
	if a.preamble.repeats {
		s.offset = -1
	}
}

// wait sleeps until something happens, Close among it, or the time has come, which the table's weather may bring
// forward.
func (a *appender) wait(until time.Time) {
	var alarm <-chan time.Time
	var changed <-chan struct{}
	if !until.IsZero() {
		until, changed = a.traveller.wait(until, time.Now())
		a.mu.Lock()
		a.queue.hurry(until) // Then it is time.
		a.mu.Unlock()
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-a.ctx.Done():
	case <-a.wake:
	case <-alarm:
	case <-changed:
	}
}

// connect replaces the connection.
func (a *appender) connect() {
	a.mu.Lock()
	old, private := a.current, a.queue.private
	stale := a.queue.renew
	a.current = nil
	a.mu.Unlock()
	if old != nil {
		a.part(old, stale)
		a.sink.metrics.reconnects.Inc()
	}
	if err := a.lookAgain(); err != nil {
		a.mu.Lock()
		a.queue.fail(err)
		a.mu.Unlock()
		return
	}
	s, err := a.dial(private)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.fault(ended(err))
		return
	}
	if f := s.connection.over(); f != nil { // Meanwhile, and nobody was notified who has not sat down.
		a.current = s
		a.fault(f)
		return
	}
	a.current = s
	a.queue.up()
}

// meet notes what a fault means for the table's weather. That BigQuery responds at all ends a storm. The caller holds
// mu.
func (a *appender) meet(f *fault, now time.Time) {
	switch {
	case f.transient() || a.queue.waits(f, now):
		a.traveller.fault(f, now)
	default:
		a.traveller.rejected(now)
	}
}

// fault reports the end of a connection, or that none could be made, to the queue. The caller holds mu.
func (a *appender) fault(f *fault) {
	if a.ctx.Err() != nil {
		return
	}
	now := time.Now()
	a.table.excuse(f, now)
	a.doubt(f, now)
	if len(a.queue.pieces) > 0 {
		a.sink.metrics.faults.WithLabelValues(f.code).Inc()
		a.log.Debug("append connection ended", "code", f.code, "message", f.text, "end", a.queue.end)
		a.meet(f, now)
	}
	a.queue.down(f, now)
	a.table.beCareful(a.queue.careful)
}

// received takes a reply of a connection to the queue.
func (a *appender) received(s *seat, r *reply) {
	now := time.Now()
	a.mu.Lock()
	if a.current == s && a.ctx.Err() == nil {
		if r.fault != nil && a.queue.draining == 0 {
			a.table.excuse(r.fault, now)
			a.doubt(r.fault, now)
			a.sink.metrics.faults.WithLabelValues(r.fault.code).Inc()
			a.meet(r.fault, now)
		}
		if p := a.queue.reply(r, now); p != nil {
			a.blind = time.Time{}
			a.traveller.success(now)
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
func (a *appender) lost(s *seat, f *fault) {
	a.mu.Lock()
	if a.current == s {
		a.fault(f)
		a.account()
	}
	a.mu.Unlock()
	a.deliver()
	a.signal()
}

// deliver hands over the results there are.
func (a *appender) deliver() {
	a.delivering <- struct{}{}
	defer func() { <-a.delivering }()
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
			a.conclude(r.Err)
			a.results(r)
		}
	}
}

// conclude draws from the error that ends the queue what bears on other lanes as well.
func (a *appender) conclude(err error) {
	code := status.Code(err)
	a.mu.Lock()
	wrote := a.queue.end > a.queue.begun
	a.mu.Unlock()
	switch {
	case errors.Is(err, lane.ErrStreamGone) && !wrote && !a.preamble.repeats:
		a.sink.forget(a.table) // The stream expired while its lane was idle, which the lane makes nothing of.
		return
	case errors.Is(err, lane.ErrStreamGone):
	case code == codes.FailedPrecondition || code == codes.PermissionDenied:
	default:
		return
	}
	a.sink.forget(a.table) // The next lane to open looks at the table anew, and makes it if it is gone.
	a.table.weather.refuse(wayAppend, err.Error(), time.Now())
}

// finish ends the connection and frees what is queued. No result is delivered after it.
func (a *appender) finish() {
	a.mu.Lock()
	s := a.current
	a.current = nil
	a.queue.close()
	a.account()
	a.mu.Unlock()
	a.traveller.leave(time.Now())
	if s != nil {
		a.part(s, false)
	}
	// A delivery under way still calls back; wait for it.
	a.delivering <- struct{}{}
	defer func() { <-a.delivering }()
	a.sink.appends(-1)
}
