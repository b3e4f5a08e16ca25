package model

// pieces are the blocks of a table that are to be written, in order.
func pieces(c *Call, t int8) (list [maxWindow]*Block, n int8) {
	for k := range c.Launched {
		if bl := &c.Window[k].Block[t]; bl.Open {
			list[n] = bl
			n++
		}
	}
	if c.Table[t].Swapped && n == maxWindow {
		list[0], list[1] = list[1], list[0]
	}
	return list, n
}

// pump sends what may be sent, each piece exactly where the one before it ends. It reports whether a piece without rows
// was done.
func (w *World) pump(c *Call) (done bool) {
	for t := range int8(tables) {
		l := &c.Table[t]
		if l.Paused || l.Draining > 0 {
			continue
		}
		list, n := pieces(c, t)
		if n > 0 && l.InFlight == 0 && list[0].Rows == 0 {
			list[0].Open = false
			return true
		}
		at := l.End
		for k := range n {
			p := list[k]
			if p.Rows == 0 {
				break
			}
			if k >= l.InFlight {
				l.Flight[k] = Request{Offset: at, Rows: p.Rows}
				l.InFlight++
				p.Tried = true
			}
			at += p.Rows.count()
			l.High = max(l.High, at)
		}
	}
	return false
}

// reply takes BigQuery's response to the oldest request under way.
func (w *World) reply(s *State, i int, t int8) {
	r := s.Calls[i].Table[t].Flight[0]
	if r.Result == None {
		return
	}
	n := *s
	c := &n.Calls[i]
	l := &c.Table[t]
	id, call := w.stream(s, l.Stream), c.Name
	copy(l.Flight[:], l.Flight[1:])
	l.Flight[maxWindow-1] = Request{}
	if l.Draining > 0 {
		l.Draining--
		l.Shifted = l.Shifted && l.Draining > 0
		w.advance(&n, c)
		w.emit(&n, "owner %d gets %s for rows %s of %s, behind the rejected one", call, r.Result, name(r.Rows), id)
		return
	}
	l.InFlight--
	list, count := pieces(c, t)
	p := list[0]
	good := false
	switch r.Result {
	case Written:
		good = true
	case AlreadyExists:
		good = w.without(ExistsUnchecked) || p.InDoubt && r.Expected >= r.Offset+p.Rows.count() && r.Expected <= l.High
	case RowErrors:
		good = w.refuse(l, list, count)
	}
	if !good {
		w.end(&n, c)
		w.emit(&n, "owner %d gets %s for rows %s of %s and gives up: ABORTED", call, r.Result, name(r.Rows), id)
		return
	}
	if r.Result != RowErrors {
		l.End += p.Rows.count()
		p.Open, p.Tried, p.InDoubt = false, false, false
		l.Swapped = l.Swapped && count > 1
	}
	w.advance(&n, c)
	w.emit(&n, "owner %d gets %s for rows %s of %s", call, r.Result, name(r.Rows), id)
}

// refuse takes rows that BigQuery will never take out of the first piece, and waits until they are left out. The pieces
// behind it move to other offsets, which is safe only while no copy of them can still arrive at the old ones: else the
// call ends, and fencing settles it.
func (w *World) refuse(l *Lane, list [maxWindow]*Block, count int8) bool {
	for _, behind := range list[1:max(1, count)] {
		if behind.InDoubt && !w.without(ShiftInDoubt) {
			return false
		}
		behind.Tried, behind.InDoubt = false, false
	}
	p := list[0]
	p.Refused = p.Rows & w.refused
	p.Rows &^= w.refused
	p.Tried, p.InDoubt = false, false
	l.Draining, l.InFlight = l.InFlight, 0
	l.Paused, l.Shifted = true, l.Draining > 0
	return true
}

// lose breaks the connection of a stream with requests under way. The queue sends again what is not confirmed, from the
// first one on.
func (w *World) lose(s *State, i int, t int8) {
	if s.Losses == w.Losses || s.Calls[i].Table[t].Flight[0].Rows == 0 {
		return
	}
	n := *s
	n.Losses++
	c := &n.Calls[i]
	l := &c.Table[t]
	id, call := w.stream(s, l.Stream), c.Name
	inDoubt := l.Draining > 0 && l.Shifted && !w.without(ShiftInDoubt)
	drift(&n, l)
	l.Draining, l.InFlight, l.Shifted = 0, 0, false
	if inDoubt {
		w.end(&n, c)
		w.emit(&n, "owner %d loses its connection to %s while rows move to other offsets, and gives up: ABORTED", call,
			id)
		return
	}
	list, count := pieces(c, t)
	for _, p := range list[:count] {
		p.InDoubt = p.InDoubt || p.Tried
	}
	l.Swapped = w.without(ResendOrder) && count == maxWindow
	w.advance(&n, c)
	w.emit(&n, "owner %d loses its connection to %s and sends again", call, id)
}
