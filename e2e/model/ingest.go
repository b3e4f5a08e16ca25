package model

// ingestSteps are what ingest's half of a call may do.
func (w *World) ingestSteps(s *State, i int) {
	w.tick(s, i)
	w.confirm(s, i)
	w.breaks(s, i)
	if s.Calls[i].Ingest.Phase != Streaming || s.Calls[i].Writer.Phase != Carrying {
		return
	}
	for size := int8(1); size <= w.Batch; size++ {
		w.batch(s, i, size)
	}
	w.respond(s, i)
	w.halfClose(s, i)
}

// open starts an owner: it reads the committed pair and sends Open. In the generation after this one it is a new
// member, to which the partition goes; in this one the call of the last owner broke; in an older one it is a member
// that does not know yet. A generation has one ingest.
func (w *World) open(s *State) {
	if s.Opens == w.Opens || s.Calls[maxCalls-1] != (Call{}) {
		return
	}
	for g := int8(1); g <= min(s.Generation+1, w.Generations); g++ {
		alive := false
		for i := range s.Calls {
			alive = alive || s.Calls[i].Ingest.Phase != IngestGone && w.owns(s, &s.Calls[i], g)
		}
		if alive || g > 1 && s.Opens == 0 {
			continue
		}
		n := *s
		n.Generation = max(n.Generation, g)
		n.Opens++
		i := 0
		for n.Calls[i] != (Call{}) {
			i++
		}
		c := &n.Calls[i]
		c.Name = n.Opens
		c.Ingest = Ingest{
			Phase: AwaitsOpened, Generation: g, Assigned: g, Next: s.Committed.Position,
			Newest: s.Committed,
		}
		c.Writer = Writer{
			Phase: Opening, Position: s.Committed.Position, Left: s.Committed.Left,
			Resting: s.Committed.Clean,
		}
		for t := range c.Table {
			e := s.Committed.Table[t]
			c.Table[t] = Lane{Entry: e, ToFence: e.Stream != 0 && !s.Committed.Clean}
		}
		w.fenced(&n, c)
		w.emit(&n, "owner %d opens in generation %d from the committed %s", c.Name, g, show{w, s, s.Committed})
	}
}

// opened takes the response to Open: what to drop and skip on replay, and the checkpoint to commit first.
func (w *World) opened(s *State, c *Call, p Pair) {
	if c.Ingest.Phase == IngestGone {
		return
	}
	c.Ingest.Phase = Confirming
	for t := range c.Table {
		c.Ingest.Drop[t] = c.Table[t].Drop
	}
	c.Skip = c.Writer.Left
	c.Newest, c.Barrier = p, true
	w.send(s, c)
}

// batch takes the next records. What the routing sends to a table with rows to drop is dropped unseen; what cannot be
// decoded is dead-lettered and left out; the rest are rows.
func (w *World) batch(s *State, i int, size int8) {
	if c := &s.Calls[i]; c.Sent == w.Window || int(c.Next+size) > len(w.Log) {
		return
	}
	n := *s
	c := &n.Calls[i]
	b := Batch{End: c.Next + size}
	var bad, rows, dropped records
	for o := c.Next; o < b.End; o++ {
		t := w.Log[o].Table
		switch {
		case c.Skip.has(o):
		case c.Ingest.Drop[t] > 0:
			c.Ingest.Drop[t]--
			b.Block[t].Dropped++
			dropped |= 1 << o
		case w.Log[o].Kind == Undecodable:
			bad |= 1 << o
		default:
			b.Block[t].Rows |= 1 << o
			rows |= 1 << o
		}
	}
	c.Next = b.End
	n.Dead |= bad
	if bad != 0 {
		w.takeLeftOut(c, bad)
	}
	w.takeAppend(&n, c, &b)
	if bad != 0 {
		w.emit(&n, "owner %d: dead letter and LeftOut{%s}, then Append{rows %s, dropped %s, end %d}",
			c.Name, name(bad), name(rows), name(dropped), b.End)
		return
	}
	w.emit(&n, "owner %d: Append{rows %s, dropped %s, end %d}", c.Name, name(rows), name(dropped), b.End)
}

// respond dead-letters refused rows and sends their LeftOut.
func (w *World) respond(s *State, i int) {
	for k := range s.Calls[i].Window {
		for t := range s.Calls[i].Window[k].Block {
			if bl := &s.Calls[i].Window[k].Block[t]; bl.Refused == 0 || bl.LeftAt != 0 {
				continue
			}
			n := *s
			c := &n.Calls[i]
			bl := &c.Window[k].Block[t]
			n.Dead |= bl.Refused
			offsets := bl.Refused
			w.takeRefused(&n, c, bl)
			w.emit(&n, "owner %d: dead letter of the refused rows, LeftOut{%s}", c.Name, name(offsets))
		}
	}
}

// halfClose ends a quiet call: the writer responds Closed, whose clean checkpoint ingest commits.
func (w *World) halfClose(s *State, i int) {
	if c := &s.Calls[i]; c.Sent > 0 || c.Barrier || c.Awaiting || c.Commit.Stage != Idle {
		return
	}
	n := *s
	c := &n.Calls[i]
	c.Newest, c.Barrier = w.encode(c, true), true
	c.Ingest.Phase = Closing
	c.Writer = Writer{}
	w.send(&n, c)
	w.emit(&n, "owner %d: half-close; Closed says %s", c.Name, show{w, &n, c.Newest})
}

// breaks is the end of ingest's half by no fault of the protocol: it crashes, or the call breaks. The writer's half
// goes on until it notices.
func (w *World) breaks(s *State, i int) {
	c := &s.Calls[i]
	if c.Ingest.Phase == IngestGone || s.Opens == w.Opens {
		return
	}
	n := *s
	w.ingestGone(&n.Calls[i])
	w.emit(&n, "owner %d: ingest dies or the call breaks", c.Name)
	if w.Late == Never || s.Late.Stage != Idle {
		return
	}
	late := Commit{Stage: Sent, Generation: c.Ingest.Generation, Pair: c.Newest}
	if c.Commit.Stage == Sent {
		late = c.Commit
	} else if !c.Held {
		return
	}
	n = *s
	w.ingestGone(&n.Calls[i])
	n.Late = late
	w.emit(&n, "owner %d: the call breaks, with the commit of %s under way", c.Name, show{w, s, late.Pair})
}

func (w *World) ingestGone(c *Call) { c.Ingest = Ingest{} }
