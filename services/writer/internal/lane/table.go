package lane

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// table is one route of the lane: the three numbers of the package comment and the stream behind them.
type table struct {
	route *lanev1.Route
	// repeats says that rows go to the default stream, at least once: no stream of the lane's own, no version, no entry
	// in a checkpoint but for rows to drop that an exactly-once owner has left.
	repeats bool
	// name and handle are known once the sink has returned the table.
	name   string
	handle Table
	rows   prometheus.Counter

	// stream is the write stream; empty until one is created or adopted. creating while that runs.
	stream   string
	creating bool
	appender Appender
	// version must be durable before the stream takes a row; 0 for an adopted stream, which Opened explains.
	version uint64
	// fresh says that nothing was written to the stream since a clean checkpoint named it: should it be gone, no row is
	// in question.
	fresh bool

	// settled is the rows in the stream at lane.position.
	settled int64
	// tainted says that the stream holds rows which no owner of this lane has appended: nothing may be counted by it
	// any more.
	tainted bool
	// fed is the sequence of the last Append that had a block for it.
	fed uint64
	// drop is the rows after lane.position that are in the table already; toDrop those of them after lane.end. toDrop
	// <= drop.
	drop, toDrop int64
}

// batch is one Append on its way.
type batch struct {
	sequence   uint64
	start, end int64 // offsets start <= o < end
	bytes      int64
	needs      uint64 // version that must be durable before its rows are appended
	blocks     []block
	open       int // blocks whose rows are not all written or refused
	received   int64
	launched   int64 // when all of its rows had gone to the sink, 0 before
	traced     *traced
}

// block is the rows of a batch for one table.
type block struct {
	table   int
	rows    int
	dropped int64
	refused int
	data    mem.BufferSlice // nil once appended
	done    bool
}

// name notes which table a route leads to.
func (l *lane) name(i int, handle Table) error {
	t := &l.tables[i]
	if t.name != "" {
		return nil
	}
	for _, j := range l.named {
		if l.tables[j].name == handle.Name() {
			return invalid("open.routes[%d].table %q and routes[%d].table %q are both %s: one table takes one row "+
				"message",
				i, t.route.GetTable(), j, l.tables[j].route.GetTable(), handle.Name())
		}
	}
	t.name, t.handle = handle.Name(), handle
	t.rows = l.service.Metrics.rows.WithLabelValues(t.name)
	l.named = append(l.named, i)
	slices.SortFunc(l.named, func(a, b int) int { return strings.Compare(l.tables[a].name, l.tables[b].name) })
	return nil
}

// prepare gets a table ready for rows: it starts what is missing. The default stream is there with its table.
func (l *lane) prepare(i int) {
	t := &l.tables[i]
	if t.appender != nil || t.creating || l.ending != nil {
		return
	}
	if t.stream != "" {
		l.start(i)
		return
	}
	t.creating = true
	l.do(func() event {
		e := event{kind: eventCreated, table: i}
		handle, err := l.service.Sink.Table(l.ctx, t.route)
		if err != nil {
			e.err = l.sinkFault(fmt.Sprintf("prepare table %s", t.route.GetTable()), err)
			return e
		}
		e.handle = handle
		if t.repeats {
			return e
		}
		if e.stream, err = handle.Create(l.ctx); err != nil {
			e.err = l.sinkFault(fmt.Sprintf("create a write stream of %s", handle.Name()), err)
		}
		return e
	})
}

// created takes over a new stream: the next checkpoint names it, and it takes rows once that is durable.
func (l *lane) created(e *event) error {
	if e.err != nil {
		return e.err
	}
	if err := l.name(e.table, e.handle); err != nil {
		return err
	}
	t := &l.tables[e.table]
	t.creating, t.stream, t.settled, t.fresh = false, e.stream, 0, false
	if !t.repeats {
		t.version = l.change()
	}
	l.start(e.table)
	return nil
}

// start opens the appender at the rows the stream holds: nothing of it is in flight.
func (l *lane) start(i int) {
	t := &l.tables[i]
	results := func(r Result) { l.mail.post(event{kind: eventResult, table: i, result: r}) }
	if t.repeats {
		t.appender = t.handle.Default(results)
		return
	}
	t.appender = t.handle.Open(t.stream, t.settled, results)
}

// target is where a table's rows go, for messages.
func (t *table) target() string {
	if t.repeats {
		return "the default stream of " + t.name
	}
	return t.stream
}

// broken ends the lane for a stream that takes no more rows. unwritten is that of Result.
func (l *lane) broken(i int, err error, unwritten bool) error {
	t := &l.tables[i]
	switch {
	case errors.Is(err, ErrFinalized):
		return aborted("write stream %s is finalized: a newer owner has fenced this lane, or an older one "+
			"disturbed it; Kafka's generation decides who may go on", t.stream)
	case errors.Is(err, ErrForeignRows):
		return l.accuse(t, err)
	case errors.Is(err, ErrStreamGone) && t.fresh && unwritten && !l.halfClosed:
		// It was idle since a clean checkpoint and expired. Its absence must be durable before anybody opens this lane
		// again.
		l.endOnce(aborted("write stream %s expired while the lane was idle; the checkpoint no longer names it: "+
			"open the lane again", t.stream))
		t.appender.Close()
		t.appender, t.stream, t.settled = nil, "", 0
		return nil
	case errors.Is(err, ErrStreamGone) && t.repeats:
		return aborted("table %s is gone while rows were in flight: it was deleted. Opening the lane again makes "+
			"it anew",
			t.name)
	case errors.Is(err, ErrStreamGone):
		return aborted("write stream %s is gone while rows were in flight: its table %s was deleted", t.stream, t.name)
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.PermissionDenied, codes.Unauthenticated, codes.NotFound,
		codes.Unimplemented:
		return fatal("append to %s: %v", t.target(), err)
	}
	return aborted("append to %s: %v", t.target(), err)
}
