package model

// accepts says whether Kafka takes a commit: it checks the generation, nothing else.
func (w *World) accepts(s *State, generation int8) bool {
	return generation == s.Generation || w.without(NoGeneration)
}

// kafkaSteps are what Kafka may do: apply a commit, or refuse it.
func (w *World) kafkaSteps(s *State) {
	for i := range s.Calls {
		c := &s.Calls[i]
		if c.Ingest.Phase == IngestGone || c.Commit.Stage != Sent {
			continue
		}
		n := *s
		to := &n.Calls[i]
		if s.waits(c.Commit.Generation) || !w.accepts(s, c.Commit.Generation) {
			if newer, ok := w.again(s, c); ok {
				to.Commit.Generation = newer
				w.emit(&n, "owner %d sends its commit again, in generation %d", c.Name, newer)
			} else if c.Commit.Generation != s.Generation && c.Ingest.Assigned == c.Commit.Generation {
				w.ingestGone(to)
				w.emit(&n, "Kafka refuses the commit of owner %d: ILLEGAL_GENERATION; its ingest ends", c.Name)
			}
			continue
		}
		n.Committed = c.Commit.Pair
		w.supersede(&n, c.Commit.Generation)
		to.Commit.Stage = Applied
		if w.without(CommitNotAwaited) && c.Ingest.Phase == Streaming {
			to.Commit = Commit{}
			w.send(&n, to)
		}
		w.emit(&n, "Kafka commits %s of owner %d", show{w, &n, c.Commit.Pair}, c.Name)
	}
	if s.Late.Stage == Sent {
		n := *s
		n.Late = Commit{}
		if w.accepts(s, s.Late.Generation) {
			n.Committed = s.Late.Pair
			w.emit(&n, "Kafka commits %s, which comes late over a lost connection", show{w, &n, s.Late.Pair})
		}
	}
}

// supersede forgets a commit under way for a newer one of its member: one request is sent at a time, with the newest
// pair.
func (w *World) supersede(s *State, generation int8) {
	if w.Late == UntilNext && s.Late.Generation == generation {
		s.Late = Commit{}
	}
}

// tick commits the newest settled pair, which nobody awaits.
func (w *World) tick(s *State, i int) {
	c := &s.Calls[i]
	if c.Ingest.Phase != Streaming || !c.Held || c.Barrier || c.Commit.Stage != Idle {
		return
	}
	if s.waits(c.Ingest.Generation) || c.Ingest.Assigned > c.Ingest.Generation {
		return // it is sent in the generation to come
	}
	n := *s
	to := &n.Calls[i]
	to.Held = false
	if !w.accepts(s, c.Ingest.Generation) {
		w.ingestGone(to)
		w.emit(&n, "Kafka refuses the commit of owner %d: ILLEGAL_GENERATION; its ingest ends", c.Name)
		return
	}
	n.Committed = c.Newest
	w.supersede(&n, c.Ingest.Generation)
	w.emit(&n, "owner %d commits what is settled: %s", c.Name, show{w, &n, c.Newest})
}

// send starts the commit that somebody waits for: that of the opening, of a barrier, or of Closed.
func (w *World) send(s *State, c *Call) {
	if !c.Barrier || c.Commit.Stage != Idle {
		return
	}
	c.Commit = Commit{Stage: Sent, Generation: c.Ingest.Generation, Pair: c.Newest}
	c.Barrier, c.Held = false, false
	if w.without(CommitNotAwaited) && c.Ingest.Phase == Streaming {
		w.durable(s, c)
	}
}

// confirm is Kafka's word on a commit, or its loss: then ingest commits again.
func (w *World) confirm(s *State, i int) {
	c := &s.Calls[i]
	if c.Ingest.Phase == IngestGone || c.Commit.Stage != Applied {
		return
	}
	n := *s
	w.confirmed(&n, &n.Calls[i])
	switch c.Ingest.Phase {
	case Confirming:
		w.emit(&n, "owner %d: the commit is confirmed, Durable{0}", c.Name)
	case Closing:
		w.emit(&n, "owner %d: the commit of Closed is confirmed, the owner is done", c.Name)
	default:
		w.emit(&n, "owner %d: the commit is confirmed, Durable", c.Name)
	}
	if s.Losses < w.Losses {
		n := *s
		n.Losses++
		n.Calls[i].Commit.Stage = Sent
		w.emit(&n, "Kafka's response to the commit of owner %d is lost; it commits again", c.Name)
	}
}

func (w *World) confirmed(s *State, c *Call) {
	c.Commit = Commit{}
	switch c.Ingest.Phase {
	case Confirming:
		c.Ingest.Phase = Streaming
		w.durable(s, c)
	case Closing:
		w.ingestGone(c)
	default:
		w.durable(s, c)
	}
}
