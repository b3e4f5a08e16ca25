package model

// canonical brings states that nobody could tell apart into one form: owners without effect and streams without a
// future are forgotten, and streams are numbered in the order in which they are named.
func canonical(s *State) {
	last := 0
	for i := range s.Calls {
		c := s.Calls[i]
		if c.Ingest.Phase == IngestGone && !effective(s, &c) {
			for t := range c.Table {
				drift(s, &c.Table[t])
			}
			c = Call{}
		}
		s.Calls[i] = Call{}
		if c != (Call{}) {
			s.Calls[last] = c
			last++
		}
	}
	r := renumbering{old: s.Streams}
	r.pair(&s.Committed)
	r.pair(&s.Late.Pair)
	for i := range s.Calls {
		c := &s.Calls[i]
		r.pair(&c.Newest)
		r.pair(&c.Commit.Pair)
		for t := range c.Table {
			r.id(&c.Table[t].Stream)
		}
	}
	for i := range r.old {
		if st := &r.old[i]; st.Table != 0 && r.to[i] == 0 && st.tidy() {
			id := int8(i + 1)
			r.id(&id)
		}
	}
	s.Streams = r.new
}

// effective says whether the writer of a call whose ingest is gone can still change anything.
func effective(s *State, c *Call) bool {
	for t := range c.Table {
		l := &c.Table[t]
		if l.ToFence {
			return true
		}
		if l.Stream == 0 || s.Streams[l.Stream-1].Finalized {
			continue
		}
		for k := range l.Flight {
			if l.Flight[k].Rows != 0 && l.Flight[k].Result == None {
				return true
			}
		}
	}
	return false
}

// tidy forgets the lost requests that can never be taken, sorts the others, and says whether any is left.
func (st *Stream) tidy() bool {
	kept := [maxInDoubt]Request{}
	n := 0
	for _, r := range st.InDoubt {
		if r.Rows == 0 || st.Finalized || r.Offset < st.Rows {
			continue
		}
		at := n
		for ; at > 0 && (kept[at-1].Offset > r.Offset || kept[at-1].Offset == r.Offset &&
			kept[at-1].Rows > r.Rows); at-- {
			kept[at] = kept[at-1]
		}
		kept[at] = r
		n++
	}
	st.InDoubt = kept
	return n > 0
}

// renumbering gives streams new numbers.
type renumbering struct {
	old, new [maxStreams]Stream
	to       [maxStreams]int8
	last     int8
}

func (r *renumbering) id(id *int8) {
	if *id == 0 {
		return
	}
	i := *id - 1
	if r.to[i] == 0 {
		r.old[i].tidy()
		r.new[r.last] = r.old[i]
		r.last++
		r.to[i] = r.last
	}
	*id = r.to[i]
}

func (r *renumbering) pair(p *Pair) {
	for t := range p.Table {
		r.id(&p.Table[t].Stream)
	}
}
