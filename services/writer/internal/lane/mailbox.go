package lane

import (
	"sync"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// event is the outcome of something the owner started.
type event struct {
	kind eventKind
	// table is an index into lane.tables, for results and created.
	table  int
	result Result

	handle Table
	stream string
	opened *opened
	notice *lanev1.Notice
	err    error
}

type eventKind int

const (
	eventResult   eventKind = iota // of an append
	eventCreated                   // a write stream, or err
	eventOpened                    // all streams are fenced, or err
	eventNotice                    // a storm of a table began or ended
	eventPanicked                  // err
)

// mailbox carries events to the owner. Posting never blocks; what is queued is bounded by the window: an event follows
// an append, a refusal awaits Resume, a job is started once, and a notice comes once a second at most.
type mailbox struct {
	wake chan struct{} // capacity 1: there may be events

	mu     sync.Mutex
	events []event
	spare  []event
}

func (m *mailbox) post(e event) {
	m.mu.Lock()
	m.events = append(m.events, e)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take returns what was posted; it is valid until the next call.
func (m *mailbox) take() []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.spare)
	taken := m.events
	m.events, m.spare = m.spare[:0], taken
	return taken
}
