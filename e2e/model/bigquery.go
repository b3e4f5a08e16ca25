package model

// bigquerySteps are what BigQuery may do: take the oldest append of a connection, or one that a lost connection still
// delivers.
func (w *World) bigquerySteps(s *State) {
	for i := range s.Calls {
		for t := range int8(tables) {
			l := &s.Calls[i].Table[t]
			for k := range l.Flight {
				if l.Flight[k].Rows == 0 || l.Flight[k].Result != None {
					continue
				}
				n := *s
				r := &n.Calls[i].Table[t].Flight[k]
				w.take(&n, l.Stream, r)
				w.emit(&n, "BigQuery is sent rows %s for offset %d of %s by owner %d: %s",
					name(r.Rows), r.Offset, w.stream(s, l.Stream), s.Calls[i].Name, r.Result)
				break // the rest of the connection comes after it
			}
		}
	}
	for i := range s.Streams {
		for k := range s.Streams[i].InDoubt {
			r := s.Streams[i].InDoubt[k]
			if r.Rows == 0 || r.Offset != s.Streams[i].Rows {
				continue // it would change nothing
			}
			n := *s
			n.Streams[i].InDoubt[k] = Request{}
			w.take(&n, int8(i+1), &r)
			if r.Result == Written {
				w.emit(&n, "BigQuery is sent rows %s for offset %d of %s, late, over a lost connection: written",
					name(r.Rows), r.Offset, w.stream(s, int8(i+1)))
			}
		}
	}
}

// take is the rule of a COMMITTED write stream with explicit offsets: all rows of a request or none, exactly at the
// end, until finalized.
func (w *World) take(s *State, id int8, r *Request) {
	st := &s.Streams[id-1]
	r.Expected = st.Rows
	switch {
	case st.Finalized:
		r.Result = Finalized
	case r.Offset < st.Rows:
		r.Result = AlreadyExists
	case r.Offset > st.Rows:
		r.Result = OutOfRange
	case r.Rows&w.refused != 0:
		r.Result = RowErrors
	default:
		r.Result = Written
		table := &s.Rows[st.Table-1]
		for o := range int8(maxRecords) {
			if !r.Rows.has(o) {
				continue
			}
			st.Rows++
			at := 0
			for at < maxRows && table[at] != 0 {
				at++
			}
			if at == maxRows {
				s.Fault = TooManyRows
				return
			}
			table[at] = o + 1
		}
	}
}

// create makes a write stream.
func create(s *State, table, name int8) int8 {
	for i := range s.Streams {
		if s.Streams[i].Table == 0 {
			s.Streams[i] = Stream{Table: table + 1, Name: name}
			return int8(i + 1)
		}
	}
	s.Fault = TooManyStreams
	return 1
}

// drift is the end of a connection: what BigQuery has not taken may arrive later, and its response is lost.
func drift(s *State, l *Lane) {
	if l.Stream == 0 {
		return
	}
	st := &s.Streams[l.Stream-1]
	for k := range l.Flight {
		r := l.Flight[k]
		l.Flight[k] = Request{}
		if r.Rows == 0 || r.Result != None {
			continue
		}
		for j := range st.InDoubt {
			if st.InDoubt[j] == r {
				break
			}
			if st.InDoubt[j].Rows == 0 {
				st.InDoubt[j] = r
				break
			}
			if j == maxInDoubt-1 {
				s.Fault = TooManyInDoubt
			}
		}
	}
}
