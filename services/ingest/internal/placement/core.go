package placement

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"
)

// Core places the lanes of one ingest. It is not safe for concurrent use.
type Core struct {
	ingest  uint64
	writers []*writer // by address
	byAddr  map[string]*writer
	lanes   map[LaneID]*lane
	order   []*lane // by topic and partition, so that what is decided is a function of what was observed
	// heaviest is the weight of the heaviest lane.
	heaviest float64
	seen     time.Time // of the last observation

	// settling: lanes move until they are even within a lane, from settleFrom on.
	settling   bool
	settleFrom time.Time
	// unevenSince is since when more than noise has been uneven; zero: it is not.
	unevenSince time.Time
	moving      int
	oddAt       time.Time
	generation  uint64 // of observations: what was not in the last one is forgotten
	recent      []Done
}

// writer is a writer and what this ingest has there.
type writer struct {
	Writer
	generation uint64
	capacity   capacity
	weight     float64 // of the lanes that are or will be there
	lanes      []*lane
	fair       float64 // its share of the weight of all lanes
}

// lane is a lane and where it counts.
type lane struct {
	id         LaneID
	generation uint64
	at         *writer // where it is, or will be once it has moved or opened; nil: nowhere
	from       *writer // where it comes from while it moves
	open       bool
	moving     bool
	movedAt    time.Time
	traffic    traffic
	weight     float64
}

// New makes the core of an ingest. The name tells ingests apart, so that they draw differently.
func New(ingest string) *Core {
	return &Core{ingest: hash(ingest), byAddr: make(map[string]*writer), lanes: make(map[LaneID]*lane)}
}

// Observe takes what is known now. Writers and lanes that are not listed are gone.
func (c *Core) Observe(now time.Time, writers []Writer, lanes []Lane) {
	elapsed := now.Sub(c.seen)
	if c.seen.IsZero() {
		elapsed = 0
	}
	c.seen = now
	c.generation++
	for i := range writers {
		c.observeWriter(now, &writers[i])
	}
	c.dropWriters()
	for i := range lanes {
		c.observeLane(now, elapsed, &lanes[i])
	}
	gone := func(l *lane) bool { return l.generation != c.generation }
	if slices.ContainsFunc(c.order, gone) {
		for _, l := range slices.Clone(c.order) {
			if gone(l) {
				c.drop(l)
			}
		}
	}
	if c.judge(now) {
		c.settling = true
	}
	c.weigh()
}

// Watch takes what is known of the writers now, between observations.
func (c *Core) Watch(now time.Time, writers []Writer) {
	c.generation++
	for i := range writers {
		c.observeWriter(now, &writers[i])
	}
	c.dropWriters()
	c.weigh()
}

// Moving says that lanes are on the move, or are to be.
func (c *Core) Moving() bool { return c.settling || c.moving > 0 }

// Serving is how many writers take lanes.
func (c *Core) Serving() int { return len(c.serving()) }

func (c *Core) observeWriter(now time.Time, seen *Writer) {
	w := c.byAddr[seen.Address]
	if w == nil {
		w = &writer{capacity: capacity{share: 1}}
		c.byAddr[seen.Address] = w
		at, _ := slices.BinarySearchFunc(c.writers, seen.Address, func(w *writer, a string) int {
			return cmp.Compare(w.Address, a)
		})
		c.writers = slices.Insert(c.writers, at, w)
	}
	if seen.State == Serving && w.State != Serving {
		if !c.settling {
			c.settleFrom = now.Add(hold)
		}
		c.settling = true
	}
	w.Writer, w.generation = *seen, c.generation
}

func (c *Core) dropWriters() {
	c.writers = slices.DeleteFunc(c.writers, func(w *writer) bool {
		if w.generation == c.generation {
			return false
		}
		delete(c.byAddr, w.Address)
		return true
	})
}

func (c *Core) observeLane(now time.Time, elapsed time.Duration, seen *Lane) {
	l := c.lane(seen.LaneID)
	l.generation, l.open = c.generation, seen.Open
	if seen.Open {
		l.traffic.observe(elapsed, seen.Rate)
	}
	at := c.byAddr[seen.Writer]
	switch {
	case l.moving && at == l.at && seen.Open:
		c.arrived(now, l, "")
	case l.moving && (now.Sub(l.movedAt) > giveUp || l.at.generation != c.generation):
		c.arrived(now, l, "given up")
		l.at = at
	case !l.moving:
		l.at = at
	}
}

// lane is the lane of an id, made if need be.
func (c *Core) lane(id LaneID) *lane {
	l := c.lanes[id]
	if l == nil {
		l = &lane{id: id}
		c.lanes[id] = l
		at, _ := slices.BinarySearchFunc(c.order, id, func(l *lane, id LaneID) int { return l.id.compare(id) })
		c.order = slices.Insert(c.order, at, l)
	}
	return l
}

func (c *Core) drop(l *lane) {
	if l.moving {
		c.moving--
	}
	delete(c.lanes, l.id)
	c.order = slices.DeleteFunc(c.order, func(o *lane) bool { return o == l })
}

// Stayed says that a lane that was to move did not: it could not settle in time.
func (c *Core) Stayed(now time.Time, id LaneID) {
	if l := c.lanes[id]; l != nil && l.moving {
		from := l.from
		c.arrived(now, l, "given up: the lane did not settle in time")
		l.at = from
		c.weigh()
	}
}

// arrived ends a move, however it ended.
func (c *Core) arrived(now time.Time, l *lane, outcome string) {
	c.moving--
	l.moving, l.from, l.movedAt = false, nil, now
	for i := len(c.recent) - 1; i >= 0; i-- {
		if d := &c.recent[i]; d.Lane == l.id {
			d.Took, d.Outcome = now.Sub(d.At), cmp.Or(outcome, "moved")
			return
		}
	}
}

// weigh works out weights, fair shares and who is where.
func (c *Core) weigh() {
	var capacities float64
	for _, w := range c.writers {
		w.weight, w.lanes, w.fair = 0, w.lanes[:0], 0
		if w.State == Serving {
			capacities += w.capacity.share
		}
	}
	var rates float64
	known := 0
	for _, l := range c.order {
		if l.traffic.known() {
			rates += l.traffic.rate
			known++
		}
	}
	mean := 0.0
	if known > 0 {
		mean = rates / float64(known)
	}
	rates = mean * float64(len(c.lanes))
	each := 1 / float64(max(len(c.lanes), 1))
	var placed float64
	c.heaviest = 0
	for _, l := range c.order {
		l.weight = each
		if rates > 0 {
			rate := mean
			if l.traffic.known() {
				rate = l.traffic.rate
			}
			l.weight = (each + rate/rates) / 2
		}
		c.heaviest = max(c.heaviest, l.weight)
		if l.at != nil {
			placed += l.weight
			l.at.weight += l.weight
			l.at.lanes = append(l.at.lanes, l)
		}
	}
	if capacities == 0 {
		return
	}
	for _, w := range c.writers {
		if w.State == Serving {
			w.fair = placed * w.capacity.share / capacities
		}
	}
}

// excess is what a writer carries beyond its fair share.
func (w *writer) excess() float64 { return w.weight - w.fair }

// name is how people know it.
func (w *writer) name() string { return cmp.Or(w.Name, w.Address) }

func hash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// draw orders writers as this ingest draws them in a round: the highest first.
func (c *Core) draw(w *writer, round uint64) uint64 {
	x := c.ingest ^ hash(w.Address) ^ round*0x9e3779b97f4a7c15
	// The finalizer of splitmix64: neighbouring inputs come out far apart.
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
