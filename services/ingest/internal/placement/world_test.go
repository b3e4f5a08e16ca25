package placement

import (
	"fmt"
	"math"
	"time"
)

// world is writers, lanes and a clock. Moves take a few ticks.
type world struct {
	core    *Core
	now     time.Time
	writers []Writer
	lanes   []*simulated
	// noise, if set, is what a rate is multiplied by as it is measured.
	noise  func() float64
	moves  []Move
	last   map[LaneID]time.Time
	tick   time.Duration
	broken []string
}

type simulated struct {
	LaneID
	rate    float64
	at      string
	to      string
	arrives time.Time
}

func newWorld(ingest string) *world {
	return &world{
		core: New(ingest), now: time.Unix(1_700_000_000, 0), last: map[LaneID]time.Time{}, tick: 250 * time.Millisecond,
	}
}

func (w *world) join(address string) {
	for i := range w.writers {
		if w.writers[i].Address == address {
			w.writers[i].State = Serving
			return
		}
	}
	w.writers = append(w.writers, Writer{Address: address, State: Serving})
}

// leave ends a writer in order: it drains, its lanes open elsewhere, it is gone.
func (w *world) leave(address string) {
	for i := range w.writers {
		if w.writers[i].Address == address {
			w.writers[i].State = Draining
		}
	}
	w.observe()
	for _, l := range w.lanes {
		if l.at == address || l.to == address {
			l.to, l.at = "", ""
			w.place(l)
		}
	}
}

func (w *world) writer(address string) *Writer {
	for i := range w.writers {
		if w.writers[i].Address == address {
			return &w.writers[i]
		}
	}
	return nil
}

func (w *world) open(topic string, partition int32, rate float64) {
	l := &simulated{LaneID: LaneID{topic, partition}, rate: rate}
	w.lanes = append(w.lanes, l)
	w.place(l)
}

func (w *world) place(l *simulated) {
	if at, _, ok := w.core.Place(w.now, l.LaneID); ok {
		l.at = at
	}
}

func (w *world) observe() {
	lanes := make([]Lane, 0, len(w.lanes))
	for _, l := range w.lanes {
		rate := l.rate
		if w.noise != nil {
			rate *= w.noise()
		}
		lanes = append(lanes, Lane{LaneID: l.LaneID, Writer: l.at, Open: l.at != "" && l.to == "", Rate: rate})
	}
	w.core.Observe(w.now, w.writers, lanes)
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(w.tick)
		for _, l := range w.lanes {
			if l.to != "" && !w.now.Before(l.arrives) {
				l.at, l.to = l.to, ""
			}
			if l.at == "" {
				w.place(l)
			}
		}
		w.observe()
		for _, m := range w.core.Plan(w.now) {
			w.move(m)
		}
	}
}

func (w *world) move(m Move) {
	w.moves = append(w.moves, m)
	if last, ok := w.last[m.Lane]; ok && w.now.Sub(last) < time.Minute {
		w.broken = append(w.broken, fmt.Sprintf("%s moves again after %v", m.Lane, w.now.Sub(last)))
	}
	w.last[m.Lane] = w.now
	busy := 0
	for _, l := range w.lanes {
		if l.LaneID == m.Lane {
			if l.at != m.From {
				w.broken = append(w.broken, fmt.Sprintf("%s is at %s, not at %s", m.Lane, l.at, m.From))
			}
			l.to, l.arrives = m.To, w.now.Add(w.tick*time.Duration(1+int(m.Lane.Partition)%3))
		}
		if l.to != "" {
			busy++
		}
	}
	if most := atOnce(len(w.lanes)); busy > most {
		w.broken = append(w.broken, fmt.Sprintf("%d moves under way at once, %d is the bound", busy, most))
	}
}

// counts are lanes by writer.
func (w *world) counts() map[string]int {
	n := map[string]int{}
	for i := range w.writers {
		if w.writers[i].State == Serving {
			n[w.writers[i].Address] = 0
		}
	}
	for _, l := range w.lanes {
		n[l.at]++
	}
	return n
}

// spread is the largest distance of a writer's lanes from its fair share, and the heaviest lane: by half of bytes and
// half of count.
func (w *world) spread() (distance, heaviest float64) {
	var rates float64
	for _, l := range w.lanes {
		rates += l.rate
	}
	carried := map[string]float64{}
	for _, l := range w.lanes {
		weight := 1 / float64(len(w.lanes))
		if rates > 0 {
			weight = (weight + l.rate/rates) / 2
		}
		heaviest = max(heaviest, weight)
		carried[l.at] += weight
	}
	counts := w.counts()
	for address := range counts {
		distance = max(distance, math.Abs(carried[address]-1/float64(len(counts))))
	}
	return distance, heaviest
}

func (w *world) check(t interface {
	Helper()
	Errorf(string, ...any)
},
) {
	t.Helper()
	for _, b := range w.broken {
		t.Errorf("%s", b)
	}
}
