package lane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// bigquery is BigQuery in memory: exact offsets, finalized streams, row errors, latency. Several sinks may share it.
type bigquery struct {
	t       testing.TB
	mu      sync.Mutex
	streams map[string]*stream
	created map[string]int // by table
	latency time.Duration  // of an append
	slow    time.Duration  // of Table, Create and Finalize
	listed  int            // row errors listed at once; 0: all
	// explains is the law: it is asked before every row that is written.
	explains func(table, stream string, index int64, row string) error
	fault    func(op, stream string) error
}

type stream struct {
	name, table string
	rows        []string
	finalized   bool
}

func newBigQuery(t testing.TB) *bigquery {
	return &bigquery{
		t: t, streams: make(map[string]*stream), created: make(map[string]int), latency: 10 * time.Millisecond,
		slow: 20 * time.Millisecond,
	}
}

// rows lists a table's rows, in no order.
func (q *bigquery) rows(table string) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var rows []string
	for _, s := range q.streams {
		if s.table == table {
			rows = append(rows, s.rows...)
		}
	}
	return rows
}

// Table implements Sink.
func (q *bigquery) Table(ctx context.Context, route *lanev1.Route) (Table, error) {
	dataset, short, found := strings.Cut(route.GetTable(), ".")
	if !found {
		dataset, short = "d", dataset
	}
	if err := q.delay(ctx, q.slow, "table", route.GetTable()); err != nil {
		return nil, err
	}
	return &fakeTable{q, "projects/p/datasets/" + dataset + "/tables/" + short}, nil
}

// Finalize implements Sink.
func (q *bigquery) Finalize(ctx context.Context, name string) (int64, error) {
	if err := q.delay(ctx, q.slow, "finalize", name); err != nil {
		return 0, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.streams[name]
	if s == nil {
		return 0, ErrStreamGone
	}
	s.finalized = true
	return int64(len(s.rows)), nil
}

func (q *bigquery) delay(ctx context.Context, d time.Duration, op, name string) error {
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return ctx.Err()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fault != nil {
		return q.fault(op, name)
	}
	return nil
}

type fakeTable struct {
	q    *bigquery
	name string
}

func (f *fakeTable) Name() string { return f.name }

func (f *fakeTable) Create(ctx context.Context) (string, error) {
	if err := f.q.delay(ctx, f.q.slow, "create", f.name); err != nil {
		return "", err
	}
	f.q.mu.Lock()
	defer f.q.mu.Unlock()
	f.q.created[f.name]++
	s := &stream{name: fmt.Sprintf("%s/streams/%s.%d", f.name, short(f.name), f.q.created[f.name]), table: f.name}
	f.q.streams[s.name] = s
	return s.name, nil
}

func (f *fakeTable) Open(name string, rows int64, results func(Result)) Appender {
	a := &fakeAppender{
		q: f.q, stream: name, offset: rows, results: results, wake: make(chan struct{}, 1),
		resumed: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	a.gone.Add(1)
	go a.wire()
	return a
}

func (f *fakeTable) Default(results func(Result)) Appender {
	f.q.mu.Lock()
	name := f.name + "/streams/_default"
	if f.q.streams[name] == nil {
		f.q.streams[name] = &stream{name: name, table: f.name}
	}
	f.q.mu.Unlock()
	return f.Open(name, 0, results)
}

// fakeAppender is a connection: what was appended before Close may still reach BigQuery after it.
type fakeAppender struct {
	q       *bigquery
	stream  string
	offset  int64
	stored  int
	results func(Result)
	wake    chan struct{}
	resumed chan struct{}
	closed  chan struct{}
	gone    sync.WaitGroup

	mu    sync.Mutex
	queue []pending
	over  bool // no more results
}

type pending struct {
	id   uint64
	rows []string
}

func (a *fakeAppender) Append(id uint64, rows int, data mem.BufferSlice) {
	p := pending{id: id}
	raw := data.Materialize()
	data.Free()
	for len(raw) > 0 {
		_, _, n := protowire.ConsumeTag(raw)
		row, m := protowire.ConsumeBytes(raw[n:])
		p.rows = append(p.rows, string(row))
		raw = raw[n+m:]
	}
	if len(p.rows) != rows {
		a.q.t.Errorf("append of %d rows says %d", len(p.rows), rows)
	}
	a.mu.Lock()
	a.queue = append(a.queue, p)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *fakeAppender) Resume() {
	select {
	case a.resumed <- struct{}{}:
	default:
		a.q.t.Error("resumed twice")
	}
}

func (a *fakeAppender) Close() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	close(a.closed)
}

func (a *fakeAppender) deliver(r Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over {
		a.results(r)
	}
}

// wire writes what is queued, in order, also after Close.
func (a *fakeAppender) wire() {
	defer a.gone.Done()
	for {
		a.mu.Lock()
		queued := len(a.queue) > 0
		var p pending
		if queued {
			p, a.queue = a.queue[0], a.queue[1:]
		}
		over := a.over
		a.mu.Unlock()
		switch {
		case queued:
			if !a.write(p) {
				return
			}
		case over:
			return
		default:
			select {
			case <-a.wake:
			case <-a.closed:
			}
		}
	}
}

// write writes one append, in as many rounds as its row errors take. false: the connection is over.
func (a *fakeAppender) write(p pending) bool {
	refused := make(map[int]bool)
	done := 0 // rows written or skipped
	written := 0
	for {
		time.Sleep(a.q.latency)
		var round []RefusedRow
		until := len(p.rows)
		for i := done; i < len(p.rows); i++ {
			if strings.HasPrefix(p.rows[i], "bad") && !refused[i] && (a.q.listed == 0 || len(round) < a.q.listed) {
				if len(round) == 0 {
					until = i
				}
				round = append(round, RefusedRow{Row: i, Code: "FIELDS_ERROR", Message: "no such field in " +
					p.rows[i]})
			}
		}
		var rows []string
		for i := done; i < until; i++ {
			if !refused[i] {
				rows = append(rows, p.rows[i])
			}
		}
		if err := a.store(rows); err != nil {
			a.deliver(Result{ID: p.id, Err: err, Unwritten: a.stored == 0})
			return false
		}
		a.stored += len(rows)
		done, written = until, written+len(rows)
		if len(round) == 0 {
			a.deliver(Result{ID: p.id, Written: written})
			return true
		}
		for _, r := range round {
			refused[r.Row] = true
		}
		a.deliver(Result{ID: p.id, Refused: round, Written: written})
		select {
		case <-a.resumed:
		case <-a.closed:
			return false
		}
	}
}

func (a *fakeAppender) store(rows []string) error {
	q := a.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fault != nil {
		if err := q.fault("append", a.stream); err != nil {
			return err
		}
	}
	s := q.streams[a.stream]
	switch {
	case s == nil:
		return ErrStreamGone
	case strings.HasSuffix(s.name, "/_default"): // no offsets, and no law
		s.rows = append(s.rows, rows...)
		return nil
	case s.finalized:
		return ErrFinalized
	case a.offset < int64(len(s.rows)):
		return fmt.Errorf("%w: expected offset %d, received %d", ErrForeignRows, len(s.rows), a.offset)
	case a.offset != int64(len(s.rows)):
		return fmt.Errorf("expected offset %d, received %d", len(s.rows), a.offset)
	}
	for _, row := range rows {
		if q.explains != nil {
			if err := q.explains(s.table, s.name, int64(len(s.rows)), row); err != nil {
				q.t.Errorf("the law is broken: row %q written to %s at %d: %v", row, s.name, len(s.rows), err)
				return errors.New("law")
			}
		}
		s.rows = append(s.rows, row)
	}
	a.offset += int64(len(rows))
	return nil
}
