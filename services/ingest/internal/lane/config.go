package lane

import "time"

// Reset is where a lane starts when the group has committed no position, or one that the partition does not hold any
// more.
type Reset string

// The values of Reset.
const (
	// Earliest starts at the oldest record.
	Earliest Reset = "earliest"
	// Latest starts at the next record to be written.
	Latest Reset = "latest"
	// None refuses the lane until an operator decides.
	None Reset = "none"
)

// Config bounds a lane. The writer's limits apply as well, whichever are smaller.
type Config struct {
	// Reset is where to start without a usable position.
	Reset Reset
	// BatchBytes and BatchRows close a batch. A single larger row still goes alone.
	BatchBytes int
	BatchRows  int
	// Linger is how long a batch waits for more rows at most. An idle lane does not wait; else it is the size of the
	// batch that decides, and the more batches are under way the larger it must be.
	Linger time.Duration
	// WindowBytes and WindowBatches bound what is sent and not settled. A single larger batch still goes alone.
	WindowBytes   int
	WindowBatches int
	// DrainTimeout is how long the end of a claim may take to settle the window. Past it the next owner fences the
	// write streams instead of adopting them: slower, and as exact.
	DrainTimeout time.Duration
}

// DefaultConfig is meant for most partitions.
func DefaultConfig() Config {
	return Config{
		Reset:         Earliest,
		BatchBytes:    1 << 20,
		BatchRows:     10_000,
		Linger:        50 * time.Millisecond,
		WindowBytes:   16 << 20,
		WindowBatches: 32,
		DrainTimeout:  15 * time.Second,
	}
}
