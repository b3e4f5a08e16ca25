package lane

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// altered is a partition of which tests say otherwise than it is. What is nil is left as it is.
type altered struct {
	Partition
	mu        sync.Mutex
	committed func() error
	bounds    func(oldest, newest int64) (int64, int64)
	// next is asked before each record whether it can be read.
	next func(offset int64) error
}

func (a *altered) Committed(ctx context.Context) (Pair, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.committed != nil {
		if err := a.committed(); err != nil {
			return Pair{}, err
		}
	}
	return a.Partition.Committed(ctx)
}

func (a *altered) Range(ctx context.Context) (int64, int64, error) {
	oldest, newest, err := a.Partition.Range(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bounds != nil {
		oldest, newest = a.bounds(oldest, newest)
	}
	return oldest, newest, err
}

func (a *altered) Read(ctx context.Context, from int64) (Reader, error) {
	r, err := a.Partition.Read(ctx, from)
	return &alteredReader{r, a, from}, err
}

type alteredReader struct {
	Reader
	partition *altered
	at        int64
}

func (r *alteredReader) Next(ctx context.Context, dst []record.Record, deadline time.Time) ([]record.Record, error) {
	r.partition.mu.Lock()
	next := r.partition.next
	r.partition.mu.Unlock()
	if next == nil {
		return r.Reader.Next(ctx, dst, deadline)
	}
	if err := next(r.at); err != nil {
		return dst, err
	}
	// One at a time, so that each is asked for.
	got, err := r.Reader.Next(ctx, make([]record.Record, 0, 1), deadline)
	if len(got) > 0 {
		r.at = got[len(got)-1].Offset + 1
	}
	return append(dst, got...), err
}

// once fails the first call.
func once(err error) func() error {
	return func() error {
		failed := err
		err = nil
		return failed
	}
}

// settled leaves ten rows of records that are committed, with nothing to be dropped.
func settled(w *world) {
	w.produceRows("a", 10)
	p := w.start(nil)
	w.settle()
	p.end()
}

func alter(a *altered) func(*process) {
	return func(p *process) { a.Partition, p.lane.Partition = p.lane.Partition, a }
}

func mustRefuse(t *testing.T, p *process, texts ...string) {
	t.Helper()
	s := p.lane.Status()
	for _, text := range texts {
		if s.State != Refused || !strings.Contains(s.LastError, text) {
			t.Fatalf("the lane is %s: %q, which does not say %q", s.State, s.LastError, text)
		}
	}
}

// An end before the position never moves the lane: it is refused with what can be done, and goes on by itself when
// the records are there again.
func TestEndBeforeThePosition(t *testing.T) {
	read := false
	for name, a := range map[string]*altered{
		"by the range":  {bounds: func(oldest, _ int64) (int64, int64) { return oldest, 7 }},
		"by the epochs": {committed: func() error { return &CutError{Position: 10, End: 7} }},
		"while it is read": {
			next: func(int64) error { read = true; return ErrOffsetGone },
			bounds: func(oldest, newest int64) (int64, int64) {
				if read {
					newest = 7
				}
				return oldest, newest
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				settled(w)
				p := w.start(alter(a))
				time.Sleep(5 * time.Second)
				mustRefuse(t, p, "was cut back", "offsets 7 to 9", "--topic orders:3 --to-offset 7",
					"goes on by itself")
				if got := w.log.pair().Position; got != 10 {
					t.Errorf("committed %d", got)
				}
				a.mu.Lock()
				a.committed, a.bounds, a.next = nil, nil, nil
				a.mu.Unlock()
				w.produceRows("a", 3)
				w.settle()
				w.verify()
			})
		})
	}
}

// A reader that does not find a position which is in the partition is no reason to go anywhere else.
func TestPositionIsThereAfterAll(t *testing.T) {
	for _, reset := range []Reset{Earliest, Latest, None} {
		t.Run(string(reset), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				settled(w)
				w.produceRows("a", 5)
				gone := once(fmt.Errorf("%w: not yet", ErrOffsetGone))
				w.start(func(p *process) {
					p.lane.Config.Reset = reset
					alter(&altered{next: func(int64) error { return gone() }})(p)
				})
				w.settle()
				w.verify()
			})
		})
	}
}

// What is committed of a topic that was deleted says nothing of the one that has its name now: the lane starts as one
// that has committed nothing.
func TestCommittedOfAnotherTopic(t *testing.T) {
	for reset, want := range map[Reset]int{Earliest: 14, Latest: 10, None: 10} {
		t.Run(string(reset), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				settled(w)
				w.log.mu.Lock()
				w.log.records = nil // and four of the new topic
				w.log.mu.Unlock()
				w.produceRows("a", 4)
				mine := w.log.pair().Position
				other := func() error {
					if w.log.pair().Position != mine {
						return nil
					}
					return &OtherTopicError{Position: mine, Was: "old", Is: "new"}
				}
				p := w.start(func(p *process) {
					p.lane.Config.Reset = reset
					alter(&altered{committed: other})(p)
				})
				time.Sleep(5 * time.Second)
				if rows := w.store.rows("a"); len(rows) != want {
					t.Errorf("%d rows, want %d", len(rows), want)
				}
				if reset == None {
					mustRefuse(t, p, "belongs to the topic with id old", "the topic of this name has id new",
						"auto_offset_reset is none")
				} else if got := w.log.pair().Position; got != 4 {
					t.Errorf("committed %d", got)
				}
			})
		})
	}
}

// Bytes that cannot be read hold up what is behind them, not what came before: that becomes rows, and is committed.
// The lane says what is wrong.
func TestUnreadableRecord(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.produceRows("a", 10)
		p := w.start(alter(&altered{next: func(offset int64) error {
			if offset == 7 {
				return fmt.Errorf("%w orders/3: the batch at offset 7 is damaged", ErrUnreadable)
			}
			return nil
		}}))
		time.Sleep(5 * time.Second)
		mustRefuse(t, p, "orders/3: the batch at offset 7 is damaged")
		if rows := w.store.rows("a"); len(rows) != 7 || w.log.pair().Position != 7 {
			t.Errorf("%d rows, committed %d; want the 7 before", len(rows), w.log.pair().Position)
		}
	})
}

// With rows still to be dropped the lane is refused whatever is gone: counting over the gap would drop others.
func TestCutBackUnderReplay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.leaveBehind()
		a := &altered{next: func(offset int64) error {
			if offset == 3 {
				return ErrOffsetGone
			}
			return nil
		}}
		p := w.start(alter(a))
		time.Sleep(5 * time.Second)
		// The log ends behind it, so no offsets are missing: which records are others, nobody can say.
		mustRefuse(t, p, "was cut back and written to again", "ends at offset 5", "reading on at 3 failed", "of a)",
			"--topic orders:3")
		if text := p.lane.Status().LastError; strings.Contains(text, "3 to 2") {
			t.Errorf("names offsets that are none: %s", text)
		}
		a.mu.Lock()
		a.next = nil
		a.mu.Unlock()
		w.settle()
		w.verify()
	})
}

// An end before the records to be dropped, which is seen while they are read, names those that are missing.
func TestEndUnderReplay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.leaveBehind()
		read := false
		a := &altered{
			next: func(offset int64) error {
				if read = offset == 3; read {
					return ErrOffsetGone
				}
				return nil
			},
			bounds: func(oldest, newest int64) (int64, int64) {
				if read {
					newest = 2
				}
				return oldest, newest
			},
		}
		p := w.start(alter(a))
		time.Sleep(5 * time.Second)
		mustRefuse(t, p, "was cut back", "offsets 2 to 2", "of a)", "--to-offset 2")
		a.mu.Lock()
		a.next, a.bounds = nil, nil
		a.mu.Unlock()
		w.settle()
		w.verify()
	})
}

// An end behind the committed position may still be before the records whose rows are in the tables: what is at their
// offsets later are other records, which must not be dropped for them.
func TestCutBackBehindThePosition(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.leaveBehind()
		a := &altered{bounds: func(oldest, _ int64) (int64, int64) { return oldest, 4 }}
		p := w.start(alter(a))
		time.Sleep(5 * time.Second)
		mustRefuse(t, p, "was cut back", "offsets 4 to 4", "5 of a)", "--to-offset 4")
		a.mu.Lock()
		a.bounds = nil
		a.mu.Unlock()
		w.settle()
		w.verify()
	})
}

// What is wrong with the log that rows are to be dropped from is reported by its ends.
func TestLostUnderReplay(t *testing.T) {
	for name, test := range map[string]struct {
		oldest, newest int64
		says           string
	}{
		"it ends where it is read": {0, 5, "was cut back and written to again"},
		"it ends before that":      {0, 4, "offsets 4 to 4"},
		"it begins behind that":    {6, 9, "holds offsets 6 to 9"},
		"it begins there":          {5, 9, "was cut back and written to again"},
	} {
		c := quietCall(t)
		c.lane.Partition = &spot{oldest: test.oldest, newest: test.newest}
		c.builder.next, c.builder.replay.remaining[0], c.builder.replay.pending = 5, 1, 1
		if err := c.lostUnderReplay(ErrOffsetGone); !matches(err, test.says) || outcomeOf(err) != outcomeFatal {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// How far the log must reach for what is to be dropped and left out.
func TestReach(t *testing.T) {
	for name, test := range map[string]struct {
		r    replay
		want int64
	}{
		"nothing":                          {replay{}, 10},
		"rows":                             {replay{pending: 3}, 13},
		"rows among what was left out":     {replay{pending: 3, leftOut: []int64{10, 12}}, 15},
		"left out behind all rows":         {replay{pending: 1, leftOut: []int64{10, 19}}, 20},
		"more rows than there can ever be": {replay{pending: 1 << 63}, 1<<63 - 1},
		"more than can be counted":         {replay{pending: 1<<64 - 1}, 1<<63 - 1},
	} {
		if got := test.r.reach(10); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
