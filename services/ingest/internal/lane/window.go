package lane

import "time"

// window holds the batches sent and not settled, oldest first. It is a ring that grows to what the lane uses and is let
// go when the call ends.
type window struct {
	ring  []*batch
	head  int
	count int
	bytes int
}

// fits reports whether a batch of so many bytes may be sent. An empty window takes any batch, or a large one would wait
// for ever.
func (w *window) fits(bytes int, l limits) bool {
	return w.count == 0 || w.count < l.windowBatches && w.bytes+bytes <= l.windowBytes
}

func (w *window) push(b *batch) {
	if w.count == len(w.ring) {
		grown := make([]*batch, max(4, 2*len(w.ring)))
		for i := range w.count {
			grown[i] = w.at(i)
		}
		w.ring, w.head = grown, 0
	}
	w.ring[(w.head+w.count)%len(w.ring)] = b
	w.count++
	w.bytes += b.bytes
}

func (w *window) at(i int) *batch { return w.ring[(w.head+i)%len(w.ring)] }

// front is the oldest batch, nil when there is none.
func (w *window) front() *batch {
	if w.count == 0 {
		return nil
	}
	return w.ring[w.head]
}

// oldest is when the oldest batch was sent, zero when there is none.
func (w *window) oldest() time.Time {
	if b := w.front(); b != nil {
		return b.sent
	}
	return time.Time{}
}

// pop takes the oldest batch out.
func (w *window) pop() *batch {
	b := w.ring[w.head]
	w.ring[w.head] = nil
	w.head = (w.head + 1) % len(w.ring)
	w.count--
	w.bytes -= b.bytes
	return b
}

// find is the batch with a sequence, nil when it is not in the window. Sequences in a window are consecutive.
func (w *window) find(sequence uint64) *batch {
	front := w.front()
	if front == nil || sequence-front.sequence >= uint64(w.count) { // an older one wraps around
		return nil
	}
	return w.at(int(sequence - front.sequence))
}
