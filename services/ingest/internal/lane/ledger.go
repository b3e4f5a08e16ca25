package lane

// ledger orders what a call hands over to be committed, and knows which barriers a pair makes durable. Commit waits in
// a goroutine of its own, so while an awaited commit runs, newer pairs are held; to keep the order of what was handed
// over is the Partition's part.
type ledger struct {
	newest Pair
	// barrier is the last barrier that came; durable the last one whose checkpoint, or a later one, the broker has
	// confirmed; covered the last one that the commit in flight makes durable.
	barrier, durable, covered uint64
	// inFlight: an awaited commit runs. held: newest came by Settled and was not handed to CommitLater.
	inFlight, held bool
}

// settled notes the pair of a Settled.
func (l *ledger) settled(p Pair) { l.newest, l.held = p, true }

// raised notes the pair of a Checkpoint.
func (l *ledger) raised(barrier uint64, p Pair) { l.newest, l.barrier = p, barrier }

// open reports whether a barrier is not durable yet.
func (l *ledger) open() bool { return l.barrier > l.durable }

// await returns the pair to commit for the barriers that are open, if no commit is in flight. It counts as in flight
// until confirmed.
func (l *ledger) await() (Pair, bool) {
	if l.inFlight || !l.open() {
		return Pair{}, false
	}
	l.inFlight, l.held, l.covered = true, false, l.barrier
	return l.newest, true
}

// confirmed ends the commit in flight and returns the barriers that became durable: first to last, none when last <
// first.
func (l *ledger) confirmed() (first, last uint64) {
	first, last = l.durable+1, l.covered
	l.inFlight, l.durable = false, l.covered
	return first, last
}

// later returns the pair to hand to CommitLater, if there is one and nothing awaited goes before it: neither a barrier
// nor its commit, for a barrier is open until its commit is confirmed.
func (l *ledger) later() (Pair, bool) {
	if !l.held || l.open() {
		return Pair{}, false
	}
	l.held = false
	return l.newest, true
}
