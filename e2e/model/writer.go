package model

// writerSteps are what the writer's half of a call may do.
func (w *World) writerSteps(s *State, i int) {
	c := &s.Calls[i]
	if c.Writer.Phase == WriterGone {
		return
	}
	for t := range int8(tables) {
		w.fence(s, i, t)
		w.createStream(s, i, t)
		w.reply(s, i, t)
		w.lose(s, i, t)
	}
	if c.Ingest.Phase == IngestGone {
		n := *s
		w.end(&n, &n.Calls[i])
		w.emit(&n, "owner %d: its writer ends", c.Name)
		return
	}
	w.rest(s, i)
}

// fence finalizes a stream of the checkpoint. The rows that it holds beyond those of the position are to be dropped.
func (w *World) fence(s *State, i int, t int8) {
	if !s.Calls[i].Table[t].ToFence {
		return
	}
	n := *s
	c := &n.Calls[i]
	l := &c.Table[t]
	st := &n.Streams[l.Stream-1]
	if !w.without(NoFence) {
		st.Finalized = true
	}
	if st.Rows < l.Rows {
		n.Fault = RowsMissing
	}
	what := [3]any{w.stream(s, l.Stream), st.Rows, l.Rows}
	*l = Lane{Entry: Entry{Drop: l.Drop + st.Rows - l.Rows}}
	w.fenced(&n, c)
	w.emit(&n, "owner %d fences %s: %d rows, the checkpoint counts %d", c.Name, what[0], what[1], what[2])
}

// fenced sends Opened once every stream is fenced or adopted.
func (w *World) fenced(s *State, c *Call) {
	for t := range c.Table {
		if c.Table[t].ToFence {
			return
		}
	}
	for t := range c.Table {
		l := &c.Table[t]
		l.ToDrop, l.End, l.High = l.Drop, l.Rows, l.Rows
	}
	c.Writer.Phase = AwaitsDurable
	w.opened(s, c, w.encode(c, c.Resting))
}

// durable takes Durable: what waited for the versions up to the one shown may go on.
func (w *World) durable(s *State, c *Call) {
	if c.Writer.Phase == AwaitsDurable {
		c.Writer.Phase = Carrying
		return
	}
	if c.Writer.Phase != Carrying || !c.Awaiting {
		return
	}
	d := c.Awaited
	c.Awaiting, c.Awaited = false, 0
	lower := func(v *int8) { *v = max(0, *v-d) }
	lower(&c.Version)
	lower(&c.Floor)
	lower(&c.Wanted)
	for t := range c.Table {
		lower(&c.Table[t].Version)
	}
	for k := range c.Window {
		b := &c.Window[k]
		lower(&b.Needs)
		for t := range b.Block {
			if bl := &b.Block[t]; bl.LeftAt != 0 {
				if lower(&bl.LeftAt); bl.LeftAt == 0 {
					bl.Refused = 0
					c.Table[t].Paused = false
				}
			}
		}
	}
	w.advance(s, c)
}

// change takes the next version of the state that appends rely on.
func change(c *Call) int8 {
	c.Version++
	return c.Version
}

// takeLeftOut: nothing sent after it is appended before it is durable.
func (w *World) takeLeftOut(c *Call, offsets records) {
	c.Writer.Left |= offsets
	if !w.without(LeftOutSilently) {
		c.Floor = change(c)
	}
}

// takeRefused takes the LeftOut of refused rows.
func (w *World) takeRefused(s *State, c *Call, bl *Block) {
	c.Writer.Left |= bl.Refused
	bl.LeftAt = change(c)
	c.Wanted = bl.LeftAt
	w.advance(s, c)
}

// takeAppend takes a batch into the window.
func (w *World) takeAppend(s *State, c *Call, b *Batch) {
	rows := false
	for t := range b.Block {
		l, bl := &c.Table[t], &b.Block[t]
		if bl.Dropped > l.ToDrop || bl.Rows != 0 && bl.Dropped < l.ToDrop {
			s.Fault = DropMismatch
		}
		l.ToDrop -= bl.Dropped
		if bl.Rows != 0 {
			rows, bl.Open = true, true
			l.Wants = l.Stream == 0
		}
	}
	if rows && c.Resting {
		c.Resting = false
		if !w.without(AdoptSilently) {
			c.Floor = change(c)
		}
	}
	b.Needs = c.Floor
	c.Window[c.Sent] = *b
	c.Sent++
	w.advance(s, c)
}

// createStream makes a write stream for rows that have none. It takes rows once a durable checkpoint names it.
func (w *World) createStream(s *State, i int, t int8) {
	if c := &s.Calls[i]; c.Writer.Phase != Carrying || !c.Table[t].Wants {
		return
	}
	n := *s
	c := &n.Calls[i]
	n.Created++
	l := &c.Table[t]
	l.Wants = false
	l.Stream, l.Rows, l.End, l.High = create(&n, t, n.Created), 0, 0, 0
	l.Version = change(c)
	w.advance(&n, c)
	w.emit(&n, "owner %d creates %s", c.Name, w.stream(&n, n.Calls[i].Table[t].Stream))
}

// rest makes a clean checkpoint durable while nothing is under way.
func (w *World) rest(s *State, i int) {
	c := &s.Calls[i]
	if s.Rests == w.Rests || c.Writer.Phase != Carrying || c.Resting || c.Sent > 0 ||
		c.Table[0].Stream == 0 && c.Table[1].Stream == 0 {
		return
	}
	n := *s
	n.Rests++
	to := &n.Calls[i]
	to.Resting = true
	to.Wanted = change(to)
	w.advance(&n, to)
	w.emit(&n, "owner %d has been idle and rests: Checkpoint{clean}", c.Name)
}

// advance does all that can be done now: append what the durable checkpoint explains, settle, and raise the barrier for
// the rest.
func (w *World) advance(s *State, c *Call) {
	if c.Writer.Phase != Carrying {
		return
	}
	blocked := w.launch(c)
	for w.pump(c) || w.settle(s, c) {
		blocked = w.launch(c)
	}
	if (blocked || c.Wanted > 0) && !c.Awaiting && c.Version > 0 {
		c.Awaiting, c.Awaited = true, c.Version
		if c.Ingest.Phase == Streaming {
			c.Newest, c.Barrier = w.encode(c, c.Resting), true
			w.send(s, c)
		}
	}
}

// launch hands held batches to the queues of their streams, oldest first.
func (w *World) launch(c *Call) (blocked bool) {
	for ; c.Launched < c.Sent; c.Launched++ {
		b := &c.Window[c.Launched]
		needs := int8(0)
		for t := range b.Block {
			if !b.Block[t].Open {
				continue
			}
			if c.Table[t].Stream == 0 {
				return false
			}
			needs = max(needs, b.Needs, c.Table[t].Version)
		}
		if needs > 0 {
			return true
		}
	}
	return false
}

// settle moves the position over the oldest batches whose rows are all written or left out.
func (w *World) settle(s *State, c *Call) bool {
	if c.Launched == 0 || c.Window[0].Block[0].Open || c.Window[0].Block[1].Open {
		return false
	}
	b := c.Window[0]
	copy(c.Window[:], c.Window[1:])
	c.Window[maxWindow-1] = Batch{}
	c.Sent--
	c.Launched--
	c.Position = b.End
	c.Writer.Left &^= 1<<b.End - 1
	for t := range b.Block {
		l := &c.Table[t]
		l.Rows += b.Block[t].Rows.count()
		if l.Drop -= b.Block[t].Dropped; l.Drop < 0 {
			s.Fault = DropMismatch
		}
	}
	if c.Ingest.Phase == Streaming {
		c.Newest, c.Held = w.encode(c, c.Resting), true
	}
	return true
}

// encode is the checkpoint at the writer's position.
func (w *World) encode(c *Call, clean bool) Pair {
	p := Pair{Position: c.Position, Checkpoint: Checkpoint{Clean: clean, Left: c.Writer.Left}}
	for t := range c.Table {
		p.Table[t] = c.Table[t].Entry
		if w.without(NoResidue) {
			p.Table[t].Drop = 0
		}
	}
	if w.without(NoLeftOut) {
		p.Left = 0
	}
	return p
}

// end is the end of the whole call: the writer dies, or gives up and ingest learns of it.
func (w *World) end(s *State, c *Call) {
	for t := range c.Table {
		drift(s, &c.Table[t])
	}
	*c = Call{}
}
