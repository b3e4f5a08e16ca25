package lane

import (
	"sync"
	"time"
)

// State is what a lane is at.
type State string

// The states of a lane.
const (
	// Opening: reads what is committed and waits for a writer to fence older owners.
	Opening State = "opening"
	// Open: carries records.
	Open State = "open"
	// Draining: sends nothing more and settles its window.
	Draining State = "draining"
	// Waiting: backs off before it opens again.
	Waiting State = "waiting"
	// Refused: cannot go on without an operator; LastError says what to do.
	Refused State = "refused"
	// Fenced: another member owns the partition.
	Fenced State = "fenced"
	// Ended: Run has returned.
	Ended State = "ended"
)

// Status is a snapshot of a lane.
type Status struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	State     State     `json:"state"`
	Since     time.Time `json:"since"`
	// Writer is the name of the writer at the other end.
	Writer string `json:"writer,omitempty"`
	// Position is the next offset not yet settled; -1 before the lane has opened.
	Position int64 `json:"position"`
	// Lag is how many offsets lie between the position and the end of the partition, as of the last fetch.
	Lag int64 `json:"lag"`
	// WindowBatches and WindowBytes are sent and not settled.
	WindowBatches int `json:"window_batches"`
	WindowBytes   int `json:"window_bytes"`
	// Rows, Bytes and DeadLetters were sent, settled or not, since Run began.
	Rows    uint64 `json:"rows"`
	Bytes   uint64 `json:"bytes"`
	Dropped uint64 `json:"dropped"`
	// Settled is how many batches were settled since Run began, and Settling how long that took, from sending each. Oldest is when the oldest one was sent that
	// is not settled; zero when there is none.
	Settled     uint64        `json:"-"`
	Settling    time.Duration `json:"-"`
	Oldest      time.Time     `json:"-"`
	DeadLetters uint64        `json:"dead_letters"`
	// WaitingFor is what the next records wait for, such as a schema of the registry or a dead-letter topic; empty when they wait for nothing.
	WaitingFor string `json:"waiting_for,omitempty"`
	// LastError is why the last call ended, empty when all is well.
	LastError string `json:"last_error,omitempty"`
}

// board holds the status; it is written once a transition or batch, never once a row.
type board struct {
	mu     sync.Mutex
	status Status
}

func (b *board) update(f func(*Status)) {
	b.mu.Lock()
	f(&b.status)
	b.mu.Unlock()
}

func (b *board) enter(s State) {
	b.update(func(st *Status) { st.State, st.Since = s, time.Now() })
}

func (b *board) snapshot() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}
