package lane

import (
	"cmp"
	"strings"
	"sync"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
)

// State is what a lane is at.
type State string

// The states of a lane.
const (
	// Opening: reads what is committed and waits for a writer to fence older owners.
	Opening State = "opening"
	// Open: carries records.
	Open State = "open"
	// Stalled: is open, and nothing moves: WaitingFor says what the lane waits for.
	Stalled State = "stalled"
	// Draining: sends nothing more and settles its window.
	Draining State = "draining"
	// Waiting: backs off before it opens again, or waits for a writer.
	Waiting State = "waiting"
	// Paused: an operator said so; Paused of the status says until when.
	Paused State = "paused"
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
	// Position is the next offset not yet settled; -1 before what is committed has been read.
	Position int64 `json:"position"`
	// Lag is how many offsets lie between the position and the end of the partition, whatever the lane is at; -1 while
	// either is not known.
	Lag int64 `json:"lag"`
	// LagSeconds is the age of the first record that is not settled, by its Kafka timestamp. Where that is not known it
	// is how long the position has not moved while the end was past it. 0 without a lag.
	LagSeconds float64 `json:"lag_seconds"`
	// WindowBatches and WindowBytes are sent and not settled.
	WindowBatches int `json:"window_batches"`
	WindowBytes   int `json:"window_bytes"`
	// Rows, Bytes and DeadLetters were sent, settled or not, since Run began.
	Rows        uint64 `json:"rows"`
	Bytes       uint64 `json:"bytes"`
	Dropped     uint64 `json:"dropped"`
	DeadLetters uint64 `json:"dead_letters"`
	// WaitingFor is what the lane waits for, such as a writer, BigQuery, the dead-letter topic, or a schema of the
	// registry, and why; empty when it waits for nothing. WaitingSince is since when.
	WaitingFor   string    `json:"waiting_for,omitempty"`
	WaitingSince time.Time `json:"waiting_since,omitzero"`
	// Cause is where the lane's time goes now.
	Cause string `json:"cause,omitempty"`
	// Paused is until when an operator has paused the lane, and who and why; empty when nobody has.
	Paused string `json:"paused,omitempty"`
	// LastError is why the last call ended, empty when all is well.
	LastError string `json:"last_error,omitempty"`
}

// wait is a kind of thing that a lane waits for.
type wait int

const (
	forWriter   wait = iota // no writer serves
	forBigQuery             // the writer waits for it
	forLetters              // dead letters that cannot be written
	forRecords              // records that cannot be read
	forSchema               // of the registry
	forCommit               // the group's coordinator, while the lane opens
	waitKinds
)

// board holds the status; it is written once a transition or batch, never once a row.
type board struct {
	mu     sync.Mutex
	status Status
	// remembered are the last batches.
	remembered remembered
	// carried is what Carried shows and status does not.
	carried Carried
	waits   [waitKinds]struct {
		what  string
		since time.Time
	}
	// refused: the lane was, and has not opened since. broken is since when it has not been open, zero while it is.
	refused bool
	broken  time.Time
	// fenced: another member owns the partition. The lane settles what it has sent, and ends.
	fenced bool
	// time accounts for the lane's time from begin on; call is what the call does.
	time *causes.Tracker
	call causes.Cause
	// first is the Kafka timestamp in microseconds of the first record not settled, -1 while it is not known.
	first int64
	// behind is since when the end has been seen past the position behindOf.
	behind   time.Time
	behindOf int64
}

func (b *board) update(f func(*Status)) {
	b.mu.Lock()
	f(&b.status)
	b.mu.Unlock()
}

func (b *board) enter(s State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.status.State, b.status.Since = s, now
	switch s {
	case Open:
		b.refused, b.broken = false, time.Time{}
	case Paused: // which is no fault
		b.refused, b.broken = false, time.Time{}
	case Refused:
		b.refused = true
	case Fenced:
		b.fenced = true
	}
	if s != Paused {
		b.status.Paused = ""
	}
	if s != Open && s != Draining && s != Paused && b.broken.IsZero() {
		b.broken = now
	}
	b.account(now)
}

// moved notes the settled position, and the timestamp of the first record after it, -1 where that is not known.
func (b *board) moved(position, first int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Position, b.first = position, first
}

// at notes the position that the lane opens at: what was known of the record there still is, unless the lane was
// elsewhere.
func (b *board) at(position int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if position != b.status.Position {
		b.status.Position, b.first = position, -1
	}
}

// starts notes the first record after the position once one is at hand.
func (b *board) starts(first int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.first = first
}

// waitsFor says what the lane waits for, for one reason of several; the empty string ends it.
func (b *board) waitsFor(w wait, what string, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := &b.waits[w]
	if at.what == "" || !since.IsZero() {
		at.since = since
		if since.IsZero() {
			at.since = time.Now()
		}
	}
	at.what = what
	b.account(time.Now())
}

func (b *board) isRefused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused
}

// snapshot is the status as of now but for its lag.
func (b *board) snapshot() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	var what []string
	for w, at := range b.waits {
		if at.what == "" {
			continue
		}
		what = append(what, at.what)
		if s.WaitingSince.IsZero() || at.since.Before(s.WaitingSince) {
			s.WaitingSince = at.since
		}
		if s.State == Open && wait(w) != forSchema {
			s.State, s.Since = Stalled, at.since
		}
	}
	if s.Paused != "" {
		what = append(what, s.Paused)
	}
	s.WaitingFor = strings.Join(what, "; ")
	if b.time != nil {
		cause, _ := b.time.Now()
		s.Cause = cause.String()
	}
	return s
}

// lag is how long the position has lagged behind by so many records.
func (b *board) lag(records int64, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if records <= 0 {
		b.behind = time.Time{}
		return 0
	}
	if b.behind.IsZero() || b.behindOf != b.status.Position {
		b.behind, b.behindOf = now, b.status.Position
	}
	if b.first >= 0 {
		return max(0, now.Sub(time.UnixMicro(b.first)))
	}
	return now.Sub(b.behind)
}

// stuck is why the lane cannot do its work, empty when it can: it is refused, or something has kept it from work for
// longer than patience. Waiting for BigQuery is none of it: the writer then does all that can be done.
func (b *board) stuck(now time.Time, patience time.Duration) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	late := func(since time.Time) bool { return !since.IsZero() && now.Sub(since) >= patience }
	if b.refused {
		return cmp.Or(b.status.LastError, "refused")
	}
	for w, at := range b.waits {
		if at.what != "" && wait(w) != forBigQuery && late(at.since) {
			return at.what
		}
	}
	if late(b.broken) {
		return cmp.Or(b.status.LastError, string(b.status.State))
	}
	return ""
}

// Status is a snapshot of the lane. Safe for concurrent use.
func (l *Lane) Status() Status { return l.status(time.Now()) }

func (l *Lane) status(now time.Time) Status {
	l.observe()
	s := l.board.snapshot()
	records, late := l.lag(s.Position, now)
	s.Lag, s.LagSeconds = records, late.Seconds()
	return s
}

// lag is that of a position, in records and in time: -1 while it is not known.
func (l *Lane) lag(position int64, now time.Time) (records int64, late time.Duration) {
	if position < 0 {
		return -1, 0
	}
	records = l.Partition.Behind(position)
	return records, l.board.lag(records, now)
}

// Look notes whether the lane lags behind and what it waits for, so that it is known since when. It is to be called
// every few seconds; Status looks as well.
func (l *Lane) Look() {
	l.board.mu.Lock()
	position := l.board.status.Position
	l.board.mu.Unlock()
	l.observe()
	l.lag(position, time.Now())
}

// observe brings what the partition waits for to the board.
func (l *Lane) observe() {
	l.board.waitsFor(forRecords, l.Partition.Trouble(), time.Time{})
}

// patience is how long a lane may be without work for a reason that passes by itself, as a rule.
const patience = 15 * time.Second

// Stuck says why the lane cannot do its work; empty when it can. Safe for concurrent use.
func (l *Lane) Stuck() string { return l.board.stuck(time.Now(), patience) }
