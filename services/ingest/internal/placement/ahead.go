package placement

import (
	"cmp"
	"slices"
	"time"
)

// Next is a move that is to come if nothing else happens.
type Next struct {
	Lane LaneID `json:"lane"`
	// From and To are names of writers.
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"`
	// Waits says what it waits for; empty: for its turn.
	Waits string `json:"waits,omitempty"`
}

// foreseen is how many moves are looked ahead at most.
const foreseen = 32

// Ahead says what is going to move, in order, the first 32 of it: what Plan would say, call after call, if all moves
// ended at once and no traffic changed. What is too little to move for is not in it. It changes nothing.
func (c *Core) Ahead(now time.Time) []Next {
	d := c.clone()
	serving := d.serving()
	if len(serving) == 0 {
		return nil
	}
	waits := make(map[LaneID]string)
	for _, l := range d.order {
		switch {
		case l.moving:
		case !l.open:
			waits[l.id] = "it is not open"
		case !d.movable(now, l):
			waits[l.id] = "it moved less than a minute ago, and rests"
		case d.settling && now.Before(d.settleFrom):
			waits[l.id] = "a writer has just joined, and may take the place of another one"
		case !d.settling:
			waits[l.id] = "it must last for a while"
		}
		l.open, l.movedAt = true, time.Time{}
	}
	moves := d.abandon(now, serving, foreseen)
	for i := range moves {
		if id := moves[i].Lane; waits[id] == "it must last for a while" {
			delete(waits, id)
		}
	}
	if len(serving) > 1 && (d.settling || !d.unevenSince.IsZero()) {
		for len(moves) < foreseen {
			m, _ := d.best(now, serving)
			if m == nil {
				break
			}
			moves = append(moves, *m)
		}
	}
	next := make([]Next, 0, len(moves))
	for i := range moves {
		done := &d.recent[len(d.recent)-len(moves)+i]
		next = append(next, Next{
			Lane: done.Lane, From: done.From, To: done.To, Reason: done.Reason,
			Waits: waits[done.Lane],
		})
	}
	return next
}

// clone is the core as it is now, apart from it.
func (c *Core) clone() *Core {
	d := *c
	d.recent = slices.Clone(c.recent)
	d.byAddr, d.lanes = make(map[string]*writer, len(c.byAddr)), make(map[LaneID]*lane, len(c.lanes))
	d.writers, d.order = make([]*writer, 0, len(c.writers)), make([]*lane, 0, len(c.order))
	of := make(map[*writer]*writer, len(c.writers))
	for _, w := range c.writers {
		copied := *w
		copied.lanes = nil
		of[w], d.byAddr[w.Address] = &copied, &copied
		d.writers = append(d.writers, &copied)
	}
	for _, l := range c.order {
		copied := *l
		copied.at, copied.from = of[l.at], of[l.from] // nil of nil, and of a writer that is gone
		d.lanes[l.id] = &copied
		d.order = append(d.order, &copied)
		if copied.at != nil {
			copied.at.lanes = append(copied.at.lanes, &copied)
		}
	}
	return &d
}

// holds are the lanes of a writer, by topic and partition.
func (w *writer) holds() []LaneID {
	ids := make([]LaneID, 0, len(w.lanes))
	for _, l := range w.lanes {
		ids = append(ids, l.id)
	}
	slices.SortFunc(ids, func(a, b LaneID) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return ids
}
