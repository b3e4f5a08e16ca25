package lane

import "time"

// Carried is what a lane carries, for whoever places lanes: asked for often, and so without what has to be asked of
// others.
type Carried struct {
	Topic     string
	Partition int32
	// Open says that the lane carries records, whether or not any move at the moment.
	Open bool
	// Bytes of rows were sent since Run began, and Window batches of them are not settled.
	Bytes  uint64
	Window int
	// Settled is how many batches were settled since Run began, and Settling how long that took, from sending each.
	// Oldest is when the oldest one was sent that is not settled; zero when there is none.
	Settled  uint64
	Settling time.Duration
	Oldest   time.Time
}

// Carried is a snapshot. Safe for concurrent use.
func (l *Lane) Carried() Carried {
	b := &l.board
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.carried
	c.Topic, c.Partition, c.Open = b.status.Topic, b.status.Partition, b.status.State == Open
	c.Bytes, c.Window = b.status.Bytes, b.status.WindowBatches
	return c
}

// batchSettled notes that a batch was settled, so long after it was sent.
func (b *board) batchSettled(took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.carried.Settled++
	b.carried.Settling += took
}
