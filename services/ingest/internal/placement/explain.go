package placement

import (
	"cmp"
	"slices"
	"time"
)

// Done is a move that was decided.
type Done struct {
	At   time.Time `json:"at"`
	Lane LaneID    `json:"lane"`
	// From and To are names of writers.
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"`
	// Took is how long it took, and Outcome how it ended; empty while it is under way.
	Took    time.Duration `json:"took"`
	Outcome string        `json:"outcome,omitempty"`
}

// remembered is how many moves are kept for people.
const remembered = 64

func (c *Core) remember(d Done) {
	if len(c.recent) == remembered {
		c.recent = slices.Delete(c.recent, 0, 1)
	}
	c.recent = append(c.recent, d)
}

// Picture is what is carried where, what would be fair, and what moves.
type Picture struct {
	Writers []WriterPicture `json:"writers"`
	// Unplaced are lanes without a writer.
	Unplaced []LaneID `json:"unplaced,omitempty"`
	// Settling says that lanes move until they are even.
	Settling bool `json:"settling"`
	// Moves are the last ones, oldest first.
	Moves []Done `json:"moves"`
}

// WriterPicture is one writer of a Picture.
type WriterPicture struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	State   State  `json:"state"`
	Why     string `json:"why,omitempty"`
	// Lanes, Partitions and Share are this ingest's there; Fair is what Share should be.
	Lanes      int      `json:"lanes"`
	Partitions []LaneID `json:"partitions"`
	Share      float64  `json:"share"`
	Fair       float64  `json:"fair"`
	// Capacity is 1 for a writer like the others.
	Capacity float64 `json:"capacity"`
	// Latency is from sending a batch to its settlement, in seconds.
	Latency float64 `json:"latency_seconds"`
	Load    Load    `json:"load"`
}

// Picture draws it.
func (c *Core) Picture() Picture {
	p := Picture{Writers: []WriterPicture{}, Settling: c.settling, Moves: append([]Done{}, c.recent...)}
	for _, w := range c.writers {
		p.Writers = append(p.Writers, WriterPicture{
			Name: w.name(), Address: w.Address, State: w.State, Why: cmp.Or(w.Why, w.capacity.why), Lanes: len(w.lanes),
			Partitions: w.holds(),
			Share:      w.weight, Fair: w.fair,
			Capacity: w.capacity.share, Latency: w.Latency.Seconds(), Load: w.Load,
		})
	}
	for id, l := range c.lanes {
		if l.at == nil {
			p.Unplaced = append(p.Unplaced, id)
		}
	}
	slices.SortFunc(p.Unplaced, func(a, b LaneID) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return p
}
