package lane

import "time"

// Remembered is how many batches a lane remembers, those in its window among them.
const Remembered = 64

// Batch is a batch as a lane remembers it.
type Batch struct {
	// Sequence numbers it in its call.
	Sequence uint64
	// First is the offset of the first record that it passes, End the one behind the last.
	First, End int64
	// Rows and Bytes are those that were sent, DeadLetters the records of it that became some, and Dropped those whose
	// rows were in their tables already.
	Rows, Bytes, DeadLetters, Dropped int32
	// sent and settled are in nanoseconds since the epoch: there are thousands of lanes, and times take thrice the
	// room.
	sent, settled int64
}

// Sent is when it entered the window.
func (b *Batch) Sent() time.Time { return time.Unix(0, b.sent) }

// Settled is when it was settled; zero: not yet.
func (b *Batch) Settled() time.Time {
	if b.settled == 0 {
		return time.Time{}
	}
	return time.Unix(0, b.settled)
}

// remembered is the last batches of a lane, a ring that grows to Remembered with the batches that there are. The
// board's mu guards it.
type remembered struct {
	ring []Batch
	next int // of all that were sent
}

// sent notes a batch.
func (r *remembered) sent(b *batch, first int64) {
	one := Batch{
		Sequence: b.sequence, First: first, End: b.end, Rows: int32(b.rows), //nolint:gosec // bounded
		Bytes:       int32(b.bytes),                                                        //nolint:gosec // bounded
		DeadLetters: int32(len(b.bad)), Dropped: int32(b.dropped), sent: b.sent.UnixNano(), //nolint:gosec // by records
	}
	if len(r.ring) < Remembered {
		r.ring = append(r.ring, one)
	} else {
		r.ring[r.next%Remembered] = one
	}
	r.next++
}

// back is the n-th newest.
func (r *remembered) back(n int) *Batch { return &r.ring[(r.next-n)%Remembered] }

// settled notes that a batch is settled.
func (r *remembered) settled(b *batch, now time.Time) {
	for n := 1; n <= len(r.ring); n++ {
		// Those of an earlier call, which may have its number as well, are behind all of this one.
		if one := r.back(n); one.Sequence == b.sequence {
			//nolint:gosec // records of a batch
			one.settled, one.DeadLetters = now.UnixNano(), int32(len(b.bad)+len(b.refused))
			return
		}
	}
}

// broke forgets what was not settled: its records come again.
func (r *remembered) broke() {
	for i := range r.ring {
		if r.ring[i].settled == 0 {
			r.ring[i] = Batch{}
		}
	}
}

// Batch is the batch that passed an offset, the newest of several; ok is false where none is remembered. Safe for
// concurrent use.
func (l *Lane) Batch(offset int64) (found Batch, ok bool) {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	r := &l.board.remembered
	for n := 1; n <= len(r.ring); n++ {
		if one := r.back(n); one.First <= offset && offset < one.End {
			return *one, true
		}
	}
	return Batch{}, false
}

// EachSettled calls f with the settled batches that are remembered. Safe for concurrent use; f must not call the lane.
func (l *Lane) EachSettled(f func(*Batch)) {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	for i := range l.board.remembered.ring {
		if b := &l.board.remembered.ring[i]; b.settled > 0 {
			f(b)
		}
	}
}
