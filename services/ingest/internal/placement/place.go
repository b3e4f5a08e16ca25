package placement

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Place says where a lane opens, and why. ok is false when no writer takes lanes; why then says what is known of them.
// A lane that was told to move goes where it was told. The lane counts there from now on.
func (c *Core) Place(now time.Time, id LaneID) (address, why string, ok bool) {
	l := c.lane(id)
	l.generation = c.generation
	if l.moving {
		if l.at.State == Serving {
			return l.at.Address, "the move leads there", true
		}
		c.arrived(now, l, "given up: "+l.at.name()+" is "+string(l.at.State))
	}
	l.at, l.open = nil, false
	c.weigh()
	to := c.choose(l, 0)
	if to == nil {
		return "", c.nobody(), false
	}
	l.at = to
	c.weigh()
	return to.Address, fmt.Sprintf("%s carries %s, %s is fair", to.name(), percent(to.weight-l.weight),
		percent(to.fair)), true
}

// choose picks the writer that lacks most for a lane. Of those that lack about as much the ingest draws two, and the
// less loaded one is taken. A writer that is stuck is taken when there is no other, and one that is leaving when none
// serves.
func (c *Core) choose(l *lane, round uint64) *writer {
	usable := c.serving()
	if len(usable) == 0 { // better than none
		for _, w := range c.writers {
			if w.State == Leaving {
				usable = append(usable, w)
			}
		}
	}
	if sound := slices.DeleteFunc(slices.Clone(usable), func(w *writer) bool { return w.capacity.stuck }); len(
		sound) > 0 {
		usable = sound
	}
	var capacities, placed float64
	for _, w := range c.writers {
		placed += w.weight
	}
	if l.at == nil {
		placed += l.weight // as if it were placed already
	}
	for _, w := range usable {
		capacities += w.capacity.share
	}
	lacks := func(w *writer) float64 {
		if capacities == 0 {
			return -w.weight
		}
		return placed*w.capacity.share/capacities - w.weight
	}
	most := 0.0
	for i, w := range usable {
		if lack := lacks(w); i == 0 || lack > most {
			most = lack
		}
	}
	return c.drawn(slices.DeleteFunc(usable, func(w *writer) bool { return lacks(w) < most-l.weight/2 }), round)
}

// drawn is the less loaded of the two writers that the ingest draws.
func (c *Core) drawn(candidates []*writer, round uint64) *writer {
	if len(candidates) == 0 {
		return nil
	}
	slices.SortFunc(candidates, func(a, b *writer) int { return cmp.Compare(c.draw(b, round), c.draw(a, round)) })
	first := candidates[0]
	if len(candidates) > 1 && candidates[1].lighter(first) {
		return candidates[1]
	}
	return first
}

// lighter says that a writer reports clearly less load than another one: by a quarter and a lane, or by processors that
// are busy.
func (w *writer) lighter(than *writer) bool {
	a, b := &w.Load, &than.Load
	if !a.Known || !b.Known {
		return false
	}
	if max(a.Processor, b.Processor) > 0.5 && max(a.Processor, b.Processor) > 1.25*min(a.Processor, b.Processor) {
		return a.Processor < b.Processor
	}
	if max(a.Budget, b.Budget) > 0.5 && max(a.Budget, b.Budget) > 1.25*min(a.Budget, b.Budget) {
		return a.Budget < b.Budget
	}
	return b.Lanes > 1.25*a.Lanes+1 || b.Lanes >= a.Lanes && b.BytesPerSecond > 1.5*a.BytesPerSecond+1
}

// nobody says why no writer takes lanes.
func (c *Core) nobody() string {
	if len(c.writers) == 0 {
		return "no writer is known"
	}
	w := c.writers[0]
	text := fmt.Sprintf("%s is %s", w.name(), w.State)
	if w.Why != "" {
		text += " (" + w.Why + ")"
	}
	if n := len(c.writers) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more do not serve", n)
	}
	return text
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }
