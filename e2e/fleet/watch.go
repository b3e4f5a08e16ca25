package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// place is a partition.
type place struct {
	topic     string
	partition int32
}

// seen is what is known of a lane.
type seen struct {
	ingest, writer string
	position       int64
	rows           uint64
	moved          time.Time // when its position was last seen to move
	at             time.Time // when it was last seen at all
	open           bool

	// Since the event began: its longest silence, whether it was seen at another ingest, and whether it stopped at the
	// one that it had.
	silence time.Duration
	strayed bool
	stopped bool
}

// watch looks at the lanes all the time, and notes silences and moves.
type watch struct {
	stack *stack.Stack
	// every is how often lanes are looked at, and forgotten after how long one counts as nobody's that no ingest speaks
	// of.
	every, forgotten time.Duration
	// topic is the one whose lanes have records all the time; empty: all of them.
	topic string
	// others says that somebody else started the processes.
	others bool

	mu    sync.Mutex
	lanes map[place]*seen
	moves int
	began time.Time
}

// newWatch looks at so many lanes as often as that is no load of its own.
func newWatch(s *stack.Stack, lanes int) *watch {
	more := 1 + lanes/64
	return &watch{
		stack: s, every: time.Duration(more) * lookEvery, forgotten: time.Duration(more) * 1500 * time.Millisecond,
		lanes: map[place]*seen{},
	}
}

// begin looks from now on, until the function that it returns is called, which waits for the end.
func (w *watch) begin(ctx context.Context) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	var looking sync.WaitGroup
	looking.Go(func() { w.run(ctx) })
	return func() { stop(); looking.Wait() }
}

// run looks at each ingest on its own: one that hangs must not hide the others.
func (w *watch) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, i := range w.stack.Ingests {
		all.Go(func() {
			stack.Every(ctx, w.every, func() {
				if w.others || i.Running() {
					w.look(ctx, i)
				}
			})
		})
	}
}

func (w *watch) look(ctx context.Context, ingest *stack.Service) {
	ctx, cancel := context.WithTimeout(ctx, w.forgotten)
	defer cancel()
	lanes, err := ingest.Lanes(ctx)
	if err != nil {
		return
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range lanes {
		if w.topic != "" && l.Topic != w.topic {
			continue
		}
		p := place{l.Topic, l.Partition}
		s := w.lanes[p]
		open := l.State == "open" || l.State == "stalled" // which is open, and waits for something
		if s == nil {
			s = &seen{moved: now, ingest: ingest.Name}
			w.lanes[p] = s
		}
		if s.ingest != ingest.Name {
			if !open {
				continue // the one that it leaves, or that it has not come to
			}
			s.ingest, s.strayed, s.rows = ingest.Name, true, 0
		}
		// The rows of a lane count from its beginning.
		s.stopped = s.stopped || !open || l.Rows < s.rows
		s.open, s.rows, s.at = open, l.Rows, now
		if open && l.Writer != s.writer {
			if s.writer != "" {
				w.moves++
			}
			s.writer = l.Writer
		}
		if l.Position > s.position {
			s.silence = max(s.silence, now.Sub(later(s.moved, w.began)))
			s.position, s.moved = l.Position, now
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// start begins an event: what was silent or moved before does not count.
func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moves, w.began = 0, time.Now()
	for _, s := range w.lanes {
		s.silence, s.strayed, s.stopped = 0, false, !s.open
	}
}

// row begins an event. The function that it returns writes what happened since into the row. The ingest but, if any,
// restarts: its lanes do not stay.
func (w *watch) row(ctx context.Context, what string) (row *Row, end func(but string) error, err error) {
	before, err := w.stack.Stats(ctx)
	if err != nil {
		return nil, nil, err
	}
	w.start()
	row = &Row{What: what}
	return row, func(but string) error {
		w.end(but, row)
		after, err := w.stack.Stats(ctx)
		row.Created = after.StreamsCreated - before.StreamsCreated
		row.Finalized = after.StreamsFinalized - before.StreamsFinalized
		return err
	}, nil
}

// end writes what happened to the lanes since start.
func (w *watch) end(but string, row *Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, s := range w.lanes {
		silence := max(s.silence, now.Sub(later(s.moved, w.began)))
		row.Silence = max(row.Silence, silence)
		if s.strayed || s.ingest == but {
			continue
		}
		row.Kept = max(row.Kept, silence)
		if s.stopped {
			row.Stopped++
		}
	}
	row.Moved = w.moves
}

// counts are the lanes that are open, by writer, and by ingest.
func (w *watch) counts() (writers, ingests map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	writers, ingests = map[string]int{}, map[string]int{}
	for _, s := range w.lanes {
		if s.open && time.Since(s.at) < w.forgotten {
			writers[s.writer]++
			ingests[s.ingest]++
		}
	}
	return writers, ingests
}

// positions are those of all lanes that were seen.
func (w *watch) positions() map[place]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[place]int64{}
	for p, s := range w.lanes {
		all[p] = s.position
	}
	return all
}

// settled is how many lanes have settled something.
func (w *watch) settled() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, s := range w.lanes {
		if s.position > 0 {
			n++
		}
	}
	return n
}

// lookEvery is how often the lanes are looked at: a silence is measured to about this.
const lookEvery = 20 * time.Millisecond
