package lane

import (
	"sync"
	"time"
)

// Status is one lane as a person wants to see it.
type Status struct {
	Group     string    `json:"group"`
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Phase     string    `json:"phase"`
	Since     time.Time `json:"since"`
	// Position is the next offset to settle, End the one to receive.
	Position int64 `json:"position"`
	End      int64 `json:"end"`
	// Window is the batches received and not settled, Held those of them that wait for the barrier; Bytes are the rows of the window.
	Window  int           `json:"window"`
	Held    int           `json:"held"`
	Bytes   int64         `json:"bytes"`
	LeftOut int64         `json:"left_out"`
	Barrier bool          `json:"barrier"`
	Tables  []TableStatus `json:"tables,omitempty"`
}

// TableStatus is one table of a lane.
type TableStatus struct {
	Table  string `json:"table"`
	Stream string `json:"stream,omitempty"`
	Rows   int64  `json:"rows"`
	Drop   int64  `json:"drop,omitempty"`
	// AtLeastOnce says that the table has no write stream of the lane's own; Rows are then those since it opened.
	AtLeastOnce bool `json:"at_least_once,omitempty"`
}

// board is where the owner writes its status and others read it.
type board struct {
	mu  sync.Mutex
	now Status
	// held is what the budget has for the lane, and outside what waits to be let in, in bytes.
	held, outside int64
	// waits is since when the lane has waited for its ingest; zero while it does not.
	waits time.Time
	// unopened says that no Open has come.
	unopened bool
}

// waitsFor notes whether the lane waits for its ingest.
func (b *board) waitsFor(ingest bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !ingest:
		b.waits = time.Time{}
	case b.waits.IsZero():
		b.waits = time.Now()
	}
}

func (b *board) get() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.now
	s.Tables = append([]TableStatus(nil), s.Tables...)
	return s
}

// publish writes the lane's status to its board. Owner only.
func (l *lane) publish() {
	b := &l.status
	b.waitsFor(l.waiting())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held, b.outside, b.unopened = l.charged, 0, l.phase == awaitsOpen
	if l.place != nil {
		b.outside = l.place.bytes
	}
	s := &b.now
	s.Phase, s.Since = l.phase.String(), l.since
	if l.open != nil {
		s.Group, s.Topic, s.Partition = l.open.GetGroup(), l.open.GetTopic(), l.open.GetPartition()
	}
	s.Position, s.End = l.position, l.end
	s.Window, s.Held, s.Bytes = len(l.window), len(l.window)-l.launched, l.bytes
	s.LeftOut, s.Barrier = within(l.left, l.position, 1<<63-1), l.awaiting
	s.Tables = s.Tables[:0]
	for _, i := range l.named {
		t := &l.tables[i]
		s.Tables = append(s.Tables, TableStatus{t.name, t.stream, t.settled, t.drop, t.repeats})
	}
}
