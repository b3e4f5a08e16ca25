package placement

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Plan says which lanes are to go elsewhere now. They count at their new writers from now on; Observe sees them arrive,
// and Stayed says when one did not go.
func (c *Core) Plan(now time.Time) []Move {
	free := atOnce(len(c.lanes)) - c.moving
	if free <= 0 {
		return nil
	}
	serving := c.serving()
	if len(serving) == 0 {
		return nil
	}
	moves := c.abandon(now, serving, free)
	free -= len(moves)
	if free <= 0 || len(serving) == 1 {
		return moves
	}
	if m := c.probe(now, serving); m != nil {
		return append(moves, *m)
	}
	if !c.settling && c.moreThanNoise(now, serving) {
		c.settling = true
	}
	if !c.settling {
		return append(moves, c.odd(now, serving)...)
	}
	if now.Before(c.settleFrom) {
		return moves
	}
	for ; free > 0; free-- {
		m, more := c.best(now, serving)
		if m == nil {
			c.settling = more // what is left to do rests
			break
		}
		moves = append(moves, *m)
	}
	return moves
}

func (c *Core) serving() []*writer {
	var all []*writer
	for _, w := range c.writers {
		if w.State == Serving {
			all = append(all, w)
		}
	}
	return all
}

// abandon moves the lanes of writers that are leaving or stuck.
func (c *Core) abandon(now time.Time, serving []*writer, free int) []Move {
	var moves []Move
	for _, from := range c.writers {
		why := "it is leaving"
		switch {
		case from.State == Leaving:
		case from.State == Serving && from.capacity.share == 0 && len(serving) > 1:
			why = "it " + from.capacity.why
		default:
			continue
		}
		for _, l := range slices.Clone(from.lanes) {
			if len(moves) == free {
				return moves
			}
			if !c.movable(now, l) {
				continue
			}
			if to := c.choose(l, 0); to != nil && to != from && to.State == Serving {
				moves = append(moves, c.move(now, l, to, why))
			}
		}
	}
	return moves
}

// probe moves the lightest lane to a writer that was stuck, to see whether it is better.
func (c *Core) probe(now time.Time, serving []*writer) *Move {
	for _, to := range serving {
		if to.capacity.share != probe || len(to.lanes) > 0 {
			continue
		}
		var pick *lane
		for _, w := range serving {
			for _, l := range w.lanes {
				if c.movable(now, l) && (pick == nil || better(pick, l, 1, 0)) {
					pick = l
				}
			}
		}
		if pick != nil {
			m := c.move(now, pick, to, "it "+to.capacity.why)
			return &m
		}
	}
	return nil
}

func (c *Core) movable(now time.Time, l *lane) bool {
	return l.open && !l.moving && (l.movedAt.IsZero() || now.Sub(l.movedAt) >= rest)
}

// move sends a lane off and counts it where it goes. Weights stay as they are.
func (c *Core) move(now time.Time, l *lane, to *writer, why string) Move {
	from := l.at
	m := Move{
		Lane: l.id, From: from.Address, To: to.Address,
		Reason: fmt.Sprintf("%s from %s to %s: %s", l.id, from.name(), to.name(), why),
	}
	from.weight -= l.weight
	from.lanes = slices.DeleteFunc(from.lanes, func(o *lane) bool { return o == l })
	to.weight += l.weight
	to.lanes = append(to.lanes, l)
	l.from, l.at, l.moving, l.movedAt = from, to, true, now
	c.moving++
	c.remember(Done{At: now, Lane: l.id, From: from.name(), To: to.name(), Reason: why})
	return m
}

// best finds the move that helps most: from the writer that has most beyond its share to the one that lacks most. more
// says that one would help, though the lane may have to rest first.
func (c *Core) best(now time.Time, serving []*writer) (m *Move, more bool) {
	serving = slices.DeleteFunc(slices.Clone(serving), func(w *writer) bool { return w.capacity.stuck })
	if len(serving) < 2 {
		return nil, false
	}
	to := serving[0]
	for _, w := range serving {
		if w.excess() < to.excess() {
			to = w
		}
	}
	slices.SortFunc(serving, func(a, b *writer) int { return cmp.Compare(b.excess(), a.excess()) })
	for _, w := range serving {
		difference := w.excess() - to.excess()
		limit := gain * difference
		if max(w.excess(), -to.excess()) > c.heaviest*(1+1e-9) {
			limit = difference * (1 - 1e-9) // not even within a lane: any gain will do
		}
		fits := min(w.excess(), -to.excess())
		var pick *lane
		for _, l := range w.lanes {
			if l.weight > limit {
				continue
			}
			more = true
			if c.movable(now, l) && (pick == nil || better(l, pick, fits, difference/2)) {
				pick = l
			}
		}
		if pick != nil {
			pick = c.alike(now, w, pick, fits)
			one := c.move(now, pick, to,
				fmt.Sprintf("%s carries %s, %s is fair%s", w.name(), percent(w.weight), percent(w.fair), w.because()))
			return &one, true
		}
	}
	return nil, more
}

// alike is the first by name of the lanes that fit and weigh about as much as the one that was picked. Were it always
// the heaviest, lanes that looked heavy by chance would go and those that looked light stay, and writers were uneven as
// soon as that is over.
func (c *Core) alike(now time.Time, w *writer, pick *lane, fits float64) *lane {
	first := pick
	for _, l := range w.lanes {
		if l.weight <= fits && l.weight*likeness >= pick.weight && c.movable(now, l) && l.id.compare(first.id) < 0 {
			first = l
		}
	}
	return first
}

// because says why a share is not that of the others.
func (w *writer) because() string {
	if w.capacity.why == "" {
		return ""
	}
	return ": it " + w.capacity.why
}

// better says that a lane is to be moved rather than another one: the largest that fits into what is to be moved, so
// that few move; else the one that comes closest to half of the difference. Lanes that are alike go by their names, so
// that a plan is a function of what was observed.
func better(l, than *lane, fits, half float64) bool {
	lf, tf := l.weight <= fits, than.weight <= fits
	if lf != tf {
		return lf
	}
	if l.weight != than.weight {
		if lf {
			return l.weight > than.weight
		}
		return math.Abs(l.weight-half) < math.Abs(than.weight-half)
	}
	return l.id.compare(than.id) < 0
}

// moreThanNoise says that writers have been uneven by more than noise for long enough, and that a move would help.
func (c *Core) moreThanNoise(now time.Time, serving []*writer) bool {
	serving = slices.DeleteFunc(slices.Clone(serving), func(w *writer) bool { return w.capacity.stuck })
	if len(serving) < 2 {
		return false
	}
	least, fair := serving[0].excess(), 0.0
	for _, w := range serving {
		least = min(least, w.excess())
		fair += w.fair
	}
	fair /= float64(len(serving))
	for _, w := range serving {
		difference := w.excess() - least
		if difference <= uneven*fair || !slices.ContainsFunc(w.lanes, func(l *lane) bool {
			return l.weight <= clearGain*difference
		}) {
			continue
		}
		if c.unevenSince.IsZero() {
			c.unevenSince = now
		}
		return now.Sub(c.unevenSince) >= patience
	}
	c.unevenSince = time.Time{}
	return false
}

// odd moves one lane that could as well be elsewhere, when writers report that all ingests together are uneven. Each
// ingest asks two writers a round that it draws, so that few ingests move for the same report.
func (c *Core) odd(now time.Time, serving []*writer) []Move {
	if now.Sub(c.oddAt) < oddEvery {
		return nil
	}
	c.oddAt = now
	round := uint64(now.Unix()) / uint64(oddEvery/time.Second)
	drawn := slices.Clone(serving)
	slices.SortFunc(drawn, func(a, b *writer) int { return cmp.Compare(c.draw(b, round), c.draw(a, round)) })
	for _, to := range drawn[:min(2, len(drawn))] {
		for _, from := range serving {
			if !from.Load.Known || !to.Load.Known || from.Load.Lanes < 1.5*to.Load.Lanes+2 ||
				to.capacity.share < from.capacity.share {
				continue
			}
			for _, l := range from.lanes {
				// It may go if this ingest is as even after it as before.
				if c.movable(now, l) && l.weight <= 1.01*(from.excess()-to.excess()) {
					return []Move{c.move(now, l, to,
						fmt.Sprintf("%s has %.0f lanes of all ingests and %s %.0f", from.name(), from.Load.Lanes,
							to.name(), to.Load.Lanes))}
				}
			}
		}
	}
	return nil
}
