package model

// generationSteps are what the group may do while the partition stays with its owner: go on to another generation, of
// which the owner hears later. One that drains what it has lost, while the partition is withheld from everybody else,
// is an owner for that generation like one that stays.
func (w *World) generationSteps(s *State) {
	for i := range s.Calls {
		c := &s.Calls[i]
		if c.Ingest.Phase == IngestGone {
			continue
		}
		if c.Ingest.Assigned == s.Generation && s.Generation < w.Generations && s.Stays < w.Stays {
			n := *s
			n.Stays++
			n.Generation++
			n.Calls[i].Ingest.Assigned = n.Generation
			w.emit(&n, "the group goes on to generation %d, the partition stays with owner %d", n.Generation, c.Name)
		}
		if c.Ingest.Assigned > c.Ingest.Generation {
			n := *s
			to := &n.Calls[i]
			to.Ingest.Generation = c.Ingest.Assigned
			w.emit(&n, "owner %d learns of generation %d, and that the partition is still its own", c.Name,
				c.Ingest.Assigned)
		}
		w.doubt(s, i)
	}
}

// doubt is a commit without a response. It may land at any time. Its member commits nothing until it learns of another
// generation.
func (w *World) doubt(s *State, i int) {
	c := &s.Calls[i]
	if c.Commit.Stage != Sent || s.Late.Stage != Idle || s.Doubted != 0 || s.Generation == w.Generations ||
		s.Stays == w.Stays {
		return
	}
	n := *s
	n.Late = c.Commit
	if !w.without(NoBar) {
		n.Doubted = c.Commit.Generation
	}
	w.emit(&n, "the commit of owner %d in generation %d has no response, and is under way", c.Name, c.Commit.Generation)
}

// waits says that a commit is not sent in its generation, since another commit is in doubt there.
func (s *State) waits(generation int8) bool { return s.Doubted != 0 && s.Doubted == generation }

// again says whether a commit that was refused, or is not sent in its generation any more, is sent in a newer one.
func (w *World) again(s *State, c *Call) (int8, bool) {
	switch {
	case c.Ingest.Generation > c.Commit.Generation:
		return c.Ingest.Generation, true
	case w.without(NoRetire) && !w.accepts(s, c.Commit.Generation):
		return s.Generation, true
	}
	return 0, false
}

// owns says whether a call's member is the partition's owner in a generation, as far as the group knows.
func (w *World) owns(s *State, c *Call, generation int8) bool {
	if w.without(NoWithhold) && generation == s.Generation && generation > 1 {
		return false
	}
	return c.Ingest.Generation <= generation && generation <= c.Ingest.Assigned
}
