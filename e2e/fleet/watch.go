package fleet

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// lookEvery is how often the lanes are looked at: a silence is measured to about this.
const lookEvery = 20 * time.Millisecond

// place is a partition.
type place struct {
	topic     string
	partition int32
}

// seen is what is known of a lane.
type seen struct {
	writer   string
	position int64
	moved    time.Time // when its position was last seen to move
	open     bool
}

// watch looks at the lanes all the time, and notes silences and moves.
type watch struct {
	stack *stack.Stack
	topic string // whose lanes have records all the time; empty: all of them

	mu      sync.Mutex
	lanes   map[place]*seen
	silence time.Duration
	who     place
	moves   int
	began   time.Time
}

func newWatch(s *stack.Stack) *watch {
	return &watch{stack: s, lanes: map[place]*seen{}}
}

func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for _, i := range w.stack.Ingests {
			w.look(ctx, i)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (w *watch) look(ctx context.Context, ingest *stack.Service) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
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
		if s == nil {
			s = &seen{moved: now}
			w.lanes[p] = s
		}
		s.open = l.State == "open" || l.State == "stalled" // which is open, and waits for something
		if s.open && l.Writer != s.writer {
			if s.writer != "" {
				w.moves++
			}
			s.writer = l.Writer
		}
		if l.Position > s.position {
			w.silent(p, now.Sub(later(s.moved, w.began)))
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

func (w *watch) silent(p place, d time.Duration) {
	if d > w.silence {
		w.silence, w.who = d, p
	}
}

// start begins an event: what was silent or moved before does not count.
func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silence, w.moves, w.began = 0, 0, time.Now()
}

// end says what happened since start.
func (w *watch) end() (silence time.Duration, moves int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for p, s := range w.lanes {
		w.silent(p, now.Sub(later(s.moved, w.began)))
	}
	return w.silence, w.moves
}

// counts are the lanes that are open, by writer.
func (w *watch) counts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := map[string]int{}
	for _, s := range w.lanes {
		if s.open {
			n[s.writer]++
		}
	}
	return n
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

// streams are the write streams that were created and finalized.
type streams struct {
	Created   int64 `json:"streams_created"`
	Finalized int64 `json:"streams_finalized"`
}

func (w *watch) streams(ctx context.Context) (streams, error) {
	var s streams
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.stack.Endpoints.Admin+"/bigquery/stats", nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&s)
	return s, err
}
