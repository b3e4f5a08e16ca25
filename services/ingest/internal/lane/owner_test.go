package lane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// The half-close waits for everything that could still need a response, each thing by itself.
func TestHalfCloseWaits(t *testing.T) {
	for name, busy := range map[string]func(*call){
		"":            func(*call) {},
		"window":      func(c *call) { c.window.push(&batch{}) },
		"control":     func(c *call) { c.control.push(durable(1)) },
		"batches":     func(c *call) { c.batches.push(leftOut(0, nil)) },
		"barrier":     func(c *call) { c.ledger.barrier = 1; c.ledger.inFlight = true },
		"commit":      func(c *call) { c.ledger.inFlight = true },
		"production":  func(c *call) { c.lettering = true },
		"dead letter": func(c *call) { c.lettering = true; c.letters = []letterJob{{}} },
	} {
		c := quietCall(t)
		c.draining = true
		busy(c)
		if c.quiet() != (name == "") {
			t.Errorf("%q: quiet is %v", name, c.quiet())
		}
		before := len(c.control.items)
		if err := c.advance(); err != nil || c.closing != (name == "") ||
			len(c.control.items) != before+map[bool]int{true: 1}[name == ""] {
			t.Errorf("%q: closing %v, %v", name, c.closing, err)
		}
	}
	// Barriers and letters alone, of which advance would begin something.
	c := quietCall(t)
	c.ledger.barrier = 1
	if c.quiet() {
		t.Error("quiet with a barrier that is open")
	}
	c = quietCall(t)
	c.letters = []letterJob{{}}
	if c.quiet() {
		t.Error("quiet with dead letters to be produced")
	}
}

// When a batch is sent: at once when it is full or more is at hand than it takes, or it may be what the budget is spent
// on; else by size and linger.
func TestWhenABatchIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const linger = 50 * time.Millisecond
		row := func(c *call) { c.builder.batch = &batch{rows: 1, bytes: 1, charge: 1, began: time.Now()} }
		move := func(c *call) { c.builder.batch = &batch{skipped: 1, began: time.Now()} }
		under := func(c *call) { c.window.push(&batch{}) }
		for name, test := range map[string]struct {
			prepare []func(*call)
			due     bool
			wait    time.Duration
		}{
			"nothing":                   {nil, false, 0},
			"a row":                     {[]func(*call){row}, true, 0},
			"a row, and more to come":   {[]func(*call){row, func(c *call) { c.backlog = 1 }}, false, linger},
			"a row behind dead letters": {[]func(*call){row, func(c *call) { c.held = &batch{} }}, false, linger},
			"a row, one under way":      {[]func(*call){row, under}, false, linger},
			"a move":                    {[]func(*call){move}, false, moveLinger},
			"more at hand": {[]func(*call){
				move, func(c *call) { c.part.records = make([]record.Record, 1) },
			}, true, 0},
			"before what cannot be read": {[]func(*call){row, under, func(c *call) { c.unreadable = io.EOF }}, true, 0},
			"full": {[]func(*call){
				row, under, func(c *call) { c.builder.batch.rows = c.limits.batchRows },
			}, true, 0},
			"starved": {[]func(*call){row, func(c *call) { c.backlog, c.starved = 1, true }}, true, 0},
			"starved, a batch under way": {
				[]func(*call){row, under, func(c *call) { c.backlog, c.starved = 1, true }}, false, linger,
			},
			"starved, and it holds nothing": {
				[]func(*call){move, func(c *call) { c.backlog, c.starved = 1, true }}, false, moveLinger,
			},
			"not starved, and it holds a byte": {
				[]func(*call){row, func(c *call) { c.backlog = 1; c.builder.batch.charge = 1 }}, false, linger,
			},
		} {
			c := quietCall(t)
			c.lane.Config.Linger = linger
			for _, f := range test.prepare {
				f(c)
			}
			if due, wait := c.due(time.Now()); due != test.due || wait != test.wait {
				t.Errorf("%s: due %v, in %v", name, due, wait)
			}
			c.timer.Stop()
			c.cancel()
		}
		c := quietCall(t)
		c.lane.Config.Linger = 2 * moveLinger
		move(c)
		if due, wait := c.due(time.Now()); due || wait != 2*moveLinger {
			t.Errorf("a move with a long linger: due %v, in %v", due, wait)
		}
		c.builder.batch.began = time.Now().Add(-2 * moveLinger)
		if due, _ := c.due(time.Now()); !due {
			t.Error("not due after its linger")
		}
	})
}

// The timer is set once for a batch that waits, anew when another time counts, and not for one that may wait for ever.
func TestTimerIsArmedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quietCall(t)
		now := time.Now()
		c.arm(now, 0)
		if !c.armed.IsZero() {
			t.Error("armed for a batch that may wait for ever")
		}
		c.arm(now, time.Minute)
		c.timer.Stop()
		c.arm(now.Add(time.Second), time.Minute-time.Second) // the same moment
		time.Sleep(2 * time.Minute)
		select {
		case <-c.timer.C:
			t.Error("armed again for the same moment")
		default:
		}
		c.arm(time.Now(), time.Second)
		time.Sleep(2 * time.Second)
		select {
		case <-c.timer.C:
		default:
			t.Error("not armed for another moment")
		}
	})
}

// What the reader hands over, each thing by itself: records while the call waits for them, a word about the budget, the
// end.
func TestChunks(t *testing.T) {
	records := []record.Record{{TimestampMicros: 5}}
	p := &member{log: newPartitionLog()}
	p.log.oldest = 5 // retention has passed the position
	gone := fmt.Errorf("read: %w", ErrOffsetGone)
	for name, test := range map[string]struct {
		chunk                            chunk
		pending                          uint64
		want                             string
		starved, draining, gone, resting bool
		first                            int64
	}{
		"records": {chunk: chunk{records: records, backlog: 7}, first: 5},
		"starved": {chunk: chunk{starved: true}, starved: true, first: -1},
		"idle":    {chunk: chunk{idle: true}, resting: true, first: -1},
		"grown":   {chunk: chunk{err: errGrown}, draining: true, first: -1},
		"gone":    {chunk: chunk{err: gone}, draining: true, gone: true, first: -1},
		"gone with rows to drop": {
			chunk: chunk{err: gone}, pending: 3, want: "while rows are still to be dropped there", first: -1,
		},
		"failed": {chunk: chunk{err: io.ErrNoProgress}, want: io.ErrNoProgress.Error(), first: -1},
	} {
		t.Run(name, func(t *testing.T) {
			c := quietCall(t)
			c.lane.Partition = p
			c.source.reader = &logReader{member: p}
			c.builder.replay.pending, c.builder.replay.remaining[0] = test.pending, test.pending
			err := c.receiveChunk(test.chunk)
			if test.want == "" && err != nil || test.want != "" &&
				(err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if test.pending > 0 && outcomeOf(err) != outcomeFatal {
				t.Errorf("%v is none that stops the lane", err)
			}
			if c.starved != test.starved || c.draining != test.draining || c.gone != test.gone ||
				(c.newRecords != nil) != test.resting || c.first != test.first {
				t.Errorf("starved %v, draining %v, gone %v, resting %v, first %d", c.starved, c.draining, c.gone,
					c.newRecords != nil, c.first)
			}
			if c.backlog != test.chunk.backlog || len(c.part.records) != len(test.chunk.records) {
				t.Errorf("backlog %d, %d records", c.backlog, len(c.part.records))
			}
		})
	}
	// The first record is known once: later ones do not replace it.
	c := quietCall(t)
	c.first = 3
	if err := c.receiveChunk(chunk{records: records}); err != nil || c.first != 3 {
		t.Errorf("first %d, %v", c.first, err)
	}
}

// Nothing is taken from the reader while there is no use for it.
func TestIncoming(t *testing.T) {
	c := quietCall(t)
	if c.incoming() == nil {
		t.Error("no records are taken")
	}
	c.draining = true
	if c.incoming() != nil {
		t.Error("records are taken while the call drains")
	}
	c.draining, c.part.records = false, make([]record.Record, 1)
	if c.incoming() != nil {
		t.Error("records are taken while some are left")
	}
}

// A batch that waits for its dead letters is given up when the call drains: at once when the production has not begun,
// else once it has returned; that of other batches goes on.
func TestHeldBatchIsAbandoned(t *testing.T) {
	for name, test := range map[string]struct {
		before, lettering bool // a refusal is produced before; the first production is under way
		held, abandoned   bool
		letters           int
	}{
		"not begun":            {held: false, letters: 0},
		"under way":            {lettering: true, held: true, abandoned: true, letters: 1},
		"behind a refusal":     {before: true, lettering: true, held: false, letters: 1},
		"behind a refusal too": {before: true, held: false, letters: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := quietCall(t)
			if test.before {
				c.sends(t, "a")
				if _, err := c.handle(says(&lanev1.Refused{Sequence: 1, Rows: rows(0, 0)})); err != nil {
					t.Fatal(err)
				}
			}
			c.taken(t, "nobody")
			c.flush()
			abandoned := false
			c.lettering, c.abandonLetters = test.lettering, func() { abandoned = true }
			c.drain("a test")
			if (c.held != nil) != test.held || abandoned != test.abandoned || len(c.letters) != test.letters {
				t.Errorf("held %v, abandoned %v, %d to produce", c.held != nil, abandoned, len(c.letters))
			}
			deadline := c.deadline
			time.Sleep(time.Millisecond)
			c.drain("again")
			if c.deadline != deadline {
				t.Error("a second drain moves the deadline")
			}
		})
	}
}

// What a call still holds when it ends is given back, sent or not.
func TestReleaseGivesBackEverything(t *testing.T) {
	c := quietCall(t)
	c.taken(t, "a", "nobody")
	c.flush()
	c.append(c.held) // queued, not sent
	c.held = nil
	c.letters = nil
	c.taken(t, "b", "nobody")
	c.flush() // held
	c.taken(t, "a", "ignore")
	store := newStore(idleRecords)
	*store = append(*store, record.Record{Value: make([]byte, 100)}, record.Record{Value: make([]byte, 50)})
	c.part = chunk{records: *store, store: store}
	c.next = 1
	c.builder.budget.add(cost(c.builder.budget, &c.part.records[1]))
	var queued *lanewire.Append
	for _, m := range c.batches.items {
		if a, ok := m.(*lanewire.Append); ok {
			queued = a
		}
	}
	if c.lane.Budget.Used() == 0 || queued == nil {
		t.Fatal("nothing to give back")
	}
	c.ledger.inFlight, c.lettering, c.abandonLetters = true, true, func() {}
	c.committed <- nil
	c.lettered <- context.Canceled
	c.release()
	if used := c.lane.Budget.Used(); used != 0 {
		t.Errorf("%d bytes are not given back", used)
	}
	if len(c.committed) != 0 || len(c.lettered) != 0 {
		t.Error("what runs is not awaited")
	}
	if queued.Blocks != nil || len(*store) != 0 || (*store)[:1][0].Value != nil {
		t.Error("rows that were not sent, or records that were not taken, are kept")
	}
	if !c.batches.empty() || c.window.count != 0 || c.part.store != nil || c.builder.batch != nil || c.held != nil {
		t.Error("something is left")
	}
}

// What Opened says of the records after the position is taken up to its bounds.
func TestReplayAtItsBounds(t *testing.T) {
	r, err := newReplay(&lanev1.Opened{Replay: []*lanev1.Replay{
		{Route: 1, Rows: 2}, {Route: 0, Rows: 1}, {Route: 1, Rows: 1},
	}, LeftOut: []int64{5, 7}}, 2, 5)
	if err != nil || r.pending != 4 || r.remaining[1] != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	var skipped []int64
	for offset := int64(5); offset < 9; offset++ {
		if r.skips(offset) {
			skipped = append(skipped, offset)
		}
	}
	if fmt.Sprint(skipped) != "[5 7]" || len(r.leftOut) != 0 {
		t.Errorf("skipped %v, left %v", skipped, r.leftOut)
	}
	// A record that is gone, by compaction say, is passed.
	r.leftOut = []int64{10, 12}
	if r.skips(11) || !r.skips(12) {
		t.Errorf("left %v", r.leftOut)
	}
	routes := []*lanev1.Route{{Table: "a"}, {Table: "b"}}
	if text := r.describe(routes); text != "1 of a, 3 of b" {
		t.Errorf("described as %q", text)
	}
	for range 3 {
		if !r.drops(1) {
			t.Error("a row is not dropped")
		}
	}
	if r.drops(1) || r.pending != 1 {
		t.Errorf("a fourth row is dropped; %d pending", r.pending)
	}
	if text := r.describe(routes); text != "1 of a" {
		t.Errorf("described as %q", text)
	}
}

// failing is a partition each of whose calls may fail.
type failing struct {
	*member
	committed, bounds, commit error
	position, oldest          int64
}

func (f *failing) Committed(context.Context) (Pair, error) {
	return Pair{Position: f.position}, f.committed
}

func (f *failing) Range(context.Context) (int64, int64, error) { return f.oldest, 10, f.bounds }
func (*failing) Topic() string                                 { return "orders" }
func (*failing) Number() int32                                 { return 3 }
func (f *failing) Commit(context.Context, Pair) error          { return f.commit }

// An opening that fails says where.
func TestOpeningFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.start(nil)
		for name, test := range map[string]struct {
			partition failing
			want      string
		}{
			"committed": {failing{committed: io.ErrNoProgress}, "read the committed position"},
			"range":     {failing{bounds: io.ErrNoProgress, position: 3}, "read the offsets"},
			"start":     {failing{bounds: io.ErrNoProgress, position: -1}, "read the offsets"},
			"commit":    {failing{commit: io.ErrNoProgress, position: 3}, "commit the opening"},
		} {
			l := &Lane{
				Partition: &test.partition, Writers: p.conn,
				Contracts: &keyContracts{fingerprint: 7, versions: &keyVersions{}},
				Group:     "g", Config: testConfig(),
				Budget: p.lane.Budget, Metrics: p.lane.Metrics, Weather: p.lane.Weather,
				Log: slog.New(slog.DiscardHandler),
			}
			l.metrics = l.Metrics.lane("orders")
			test.partition.member = p.member
			if c, err := l.open(t.Context()); c != nil || !errors.Is(err, io.ErrNoProgress) ||
				!strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
