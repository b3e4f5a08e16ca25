package lane

import (
	"cmp"
	"slices"
	"sync"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
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
	// Window is the batches received and not settled, Held those of them that wait for the barrier; Bytes are the rows
	// of the window.
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
	// Trouble is why the table takes nothing now; nil while it does. A table of a lane that is still opening is listed
	// only if it has one.
	Trouble *Trouble `json:"trouble,omitempty"`
}

// board is where the owner writes its status and others read it.
type board struct {
	mu  sync.Mutex
	now Status
	// troubled tells of the tables in now; nil where nobody does. An owner that waits publishes nothing, so that is
	// asked on reading.
	troubled []Troubled
	// routes are the tables of a lane that is opening, as its routes spell them, and reporter tells of those.
	routes   []string
	reporter Reporter
	// held is what the budget has for the lane, and outside what waits to be let in, in bytes.
	held, outside int64
	// waits is since when the lane has waited for its ingest; zero while it does not.
	waits time.Time
	// written are the last batches that were settled.
	written memory
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
	s := b.now
	s.Tables = append([]TableStatus(nil), s.Tables...)
	troubled := append([]Troubled(nil), b.troubled...)
	routes, reporter := b.routes, b.reporter
	b.mu.Unlock()
	for i, t := range troubled {
		if t == nil {
			continue
		}
		if trouble := t.Trouble(); trouble.State != "" {
			s.Tables[i].Trouble = &trouble
		}
	}
	if reporter == nil || len(s.Tables) > 0 {
		return s
	}
	for name, trouble := range reporter.Troubles() {
		if slices.ContainsFunc(routes, func(route string) bool { return lastPart(route, ".") == lastPart(name, "/") }) {
			s.Tables = append(s.Tables, TableStatus{Table: name, Trouble: &trouble})
		}
	}
	slices.SortFunc(s.Tables, func(a, b TableStatus) int { return cmp.Compare(a.Table, b.Table) })
	return s
}

// opens writes what does not change from the opening on.
func (b *board) opens(open *lanev1.Open, sink Sink) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now.Group, b.now.Topic, b.now.Partition = open.GetGroup(), open.GetTopic(), open.GetPartition()
	b.reporter, _ = sink.(Reporter)
	for _, r := range open.GetRoutes() {
		b.routes = append(b.routes, r.GetTable())
	}
}

// publish writes the lane's status to its board. Owner only.
func (l *lane) publish() {
	b := &l.status
	b.waitsFor(l.waiting())
	if !l.waiting() {
		l.service.Budget.served(l)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held, b.outside, b.unopened = l.charged, 0, l.phase == awaitsOpen
	if l.place != nil {
		b.outside = l.place.bytes
	}
	s := &b.now
	s.Phase, s.Since = l.phase.String(), l.since
	s.Position, s.End = l.position, l.end
	s.Window, s.Held, s.Bytes = len(l.window), len(l.window)-l.launched, l.bytes
	s.LeftOut, s.Barrier = within(l.left, l.position, 1<<63-1), l.awaiting
	s.Tables, b.troubled = s.Tables[:0], b.troubled[:0]
	for _, i := range l.named {
		t := &l.tables[i]
		s.Tables = append(s.Tables, TableStatus{
			Table: t.name, Stream: t.stream, Rows: t.settled, Drop: t.drop, AtLeastOnce: t.repeats,
		})
		troubled, ok := t.appender.(Troubled)
		if !ok {
			troubled, _ = t.handle.(Troubled)
		}
		b.troubled = append(b.troubled, troubled)
	}
}
