// Package fault makes the emulator misbehave on request, the way the real service does on a bad day.
//
// A [Fault] says what goes wrong, where (method, table, stream) and how often (probability, count, for how long).
// Faults are plain data: the sandbox's admin port takes and lists them as JSON.
package fault

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what goes wrong.
type Kind string

const (
	// Latency delays the response by Delay plus up to Jitter; requests behind it are still taken in and applied.
	Latency Kind = "latency"
	// LostReply applies an append and ends the call without a response.
	LostReply Kind = "lost_reply"
	// Aborted refuses with ABORTED.
	Aborted Kind = "aborted"
	// Quota refuses with RESOURCE_EXHAUSTED.
	Quota Kind = "quota"
	// RowErrors refuses rows for good: see Every and Offsets.
	RowErrors Kind = "row_errors"
	// Reset breaks the TCP connection before anything is applied.
	Reset Kind = "reset"
	// Unavailable refuses with UNAVAILABLE (HTTP 503).
	Unavailable Kind = "unavailable"
	// FinalizeDelay delays FinalizeWriteStream by Delay plus up to Jitter before it takes effect.
	FinalizeDelay Kind = "finalize_delay"
	// ClockJump moves the emulator's clock ahead by Delay, once, when it is added.
	ClockJump Kind = "clock_jump"
	// SchemaDelay keeps updates of a table's schema that are made while it is in force from the Storage Write API for
	// Delay plus up to Jitter, on the emulator's clock: the table has the columns, and appends with them are
	// SCHEMA_MISMATCH_EXTRA_FIELDS.
	SchemaDelay Kind = "schema_delay"
	// MissingDenied returns PERMISSION_DENIED "... (or it may not exist)" (HTTP 403) where a table is not there,
	// instead of NOT_FOUND, as the service does to callers that may not list its dataset. Tables that are there are
	// not concerned.
	MissingDenied Kind = "missing_denied"
)

var kinds = []Kind{
	Latency, LostReply, Aborted, Quota, RowErrors, Reset, Unavailable, FinalizeDelay, ClockJump, SchemaDelay,
	MissingDenied,
}

// queried are the kinds that strike where they are looked up, and no call as such.
var queried = []Kind{SchemaDelay, MissingDenied}

// Methods a fault can be limited to.
const (
	Append   = "append"
	Create   = "create"
	Get      = "get"
	Finalize = "finalize"
	Flush    = "flush"
	Commit   = "commit"
	REST     = "rest"
)

var methods = []string{Append, Create, Get, Finalize, Flush, Commit, REST}

// Duration is a time.Duration that JSON writes as "1m30s".
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return fmt.Errorf("a duration is a string such as \"250ms\", not %s", b)
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}

// Fault is one way to misbehave.
type Fault struct {
	// ID is given when the fault is added.
	ID   string `json:"id,omitempty"`
	Kind Kind   `json:"kind"`
	// Method limits the fault to one method; empty is append for row_errors and lost_reply, finalize for
	// finalize_delay, and any for the rest. It means nothing to schema_delay.
	Method string `json:"method,omitempty"`
	// Table (dataset.table) and Stream (the end of its name) limit the fault further.
	Table  string `json:"table,omitempty"`
	Stream string `json:"stream,omitempty"`
	// Probability strikes a call in so many; 0 is always.
	Probability float64 `json:"probability,omitempty"`
	// Count is how often the fault strikes before it is spent; 0 has no end.
	Count int `json:"count,omitempty"`
	// For is how long after it was added the fault is in force; 0 has no end.
	For Duration `json:"for,omitempty"`
	// Delay and Jitter are for latency, finalize_delay, clock_jump and schema_delay.
	Delay  Duration `json:"delay,omitempty"`
	Jitter Duration `json:"jitter,omitempty"`
	// Every refuses rows whose number it divides, Offsets rows with one of these numbers. A row's number is its
	// kafka_offset, so that a bad row stays bad when it is sent again, or its offset in the write stream if it has
	// none.
	Every   int64   `json:"every,omitempty"`
	Offsets []int64 `json:"offsets,omitempty"`
	// Listed cuts the list of row errors short; 0 lists all.
	Listed int `json:"listed,omitempty"`
	// InStream refuses an append inside the response and leaves the call open, instead of ending it.
	InStream bool `json:"in_stream,omitempty"`
	// Hits is how often the fault has struck.
	Hits int `json:"hits"`

	until time.Time
}

// Call is what is about to be done.
type Call struct {
	Method, Table, Stream string
}

// Effects are what the faults in force do to one call.
type Effects struct {
	Delay       time.Duration // before the response
	BeforeApply time.Duration // before anything happens
	Refuse      *Fault        // aborted, quota or unavailable
	LoseReply   *Fault
	Reset       bool
	Rows        []Fault // row_errors to apply
}

// Set is the faults in force. The zero Set is empty and ready; its methods are safe for concurrent use.
type Set struct {
	// Jump moves the clock; set before use.
	Jump func(time.Duration) error

	some   atomic.Bool
	mu     sync.Mutex
	faults []*Fault
	next   int
}

// Add puts a fault in force and gives it its ID.
func (s *Set) Add(f Fault) (Fault, error) {
	if err := f.valid(); err != nil {
		return f, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	f.ID, f.Hits = "f"+strconv.Itoa(s.next), 0
	if f.Kind == ClockJump {
		f.Hits = 1
		return f, s.Jump(time.Duration(f.Delay))
	}
	if f.For > 0 {
		f.until = time.Now().Add(time.Duration(f.For))
	}
	switch {
	case f.Method != "":
	case f.Kind == RowErrors || f.Kind == LostReply:
		f.Method = Append
	case f.Kind == FinalizeDelay:
		f.Method = Finalize
	}
	s.faults = append(s.faults, &f)
	s.some.Store(true)
	return f, nil
}

func (f *Fault) valid() error {
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("unknown kind %q: want one of %v", f.Kind, kinds)
	case f.Method != "" && !slices.Contains(methods, f.Method):
		return fmt.Errorf("unknown method %q: want one of %v", f.Method, methods)
	case f.Probability < 0 || f.Probability > 1:
		return fmt.Errorf("probability %v is not between 0 and 1", f.Probability)
	case f.Count < 0 || f.For < 0 || f.Delay < 0 || f.Jitter < 0 || f.Every < 0 || f.Listed < 0:
		return fmt.Errorf("numbers and durations must not be negative")
	case f.Kind == RowErrors && f.Every == 0 && len(f.Offsets) == 0:
		return fmt.Errorf("row_errors needs every or offsets")
	case (f.Kind == Latency || f.Kind == FinalizeDelay || f.Kind == ClockJump || f.Kind == SchemaDelay) &&
		f.Delay == 0 &&
		f.Jitter == 0:
		return fmt.Errorf("%s needs delay", f.Kind)
	}
	return nil
}

// List gives the faults in force, oldest first.
func (s *Set) List() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	out := make([]Fault, 0, len(s.faults))
	for _, f := range s.faults {
		out = append(out, *f)
	}
	return out
}

// Clear lifts one fault, or all of them for an empty id, and says how many there were.
func (s *Set) Clear(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.faults)
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool { return id == "" || f.ID == id })
	s.some.Store(len(s.faults) > 0)
	return before - len(s.faults)
}

func (s *Set) sweep() {
	now := time.Now()
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool {
		return !f.until.IsZero() && now.After(f.until) || f.Count > 0 && f.Hits >= f.Count
	})
	s.some.Store(len(s.faults) > 0)
}

// At says what the faults in force do to a call, and counts their hits. A row_errors fault is counted by [Set.Struck].
func (s *Set) At(c Call) (e Effects) {
	if !s.some.Load() {
		return e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	for _, f := range s.faults {
		if slices.Contains(queried, f.Kind) || !f.covers(c) || f.Probability > 0 && rand.Float64() >= f.Probability {
			continue
		}
		if f.Kind == RowErrors {
			e.Rows = append(e.Rows, *f)
			continue
		}
		if e.Refuse != nil || e.Reset {
			continue // one of them is enough; the others keep their counts
		}
		f.Hits++
		struck := *f
		switch f.Kind {
		case Latency:
			e.Delay += f.delay()
		case FinalizeDelay:
			e.BeforeApply += f.delay()
		case LostReply:
			e.LoseReply = &struck
		case Reset:
			e.Reset = true
		default:
			e.Refuse = &struck
		}
	}
	return e
}

// SchemaDelay is for how long an update of a table's schema (dataset.table) is to be kept from the Storage Write API,
// and counts the hit.
func (s *Set) SchemaDelay(table string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	longest := time.Duration(0)
	for _, f := range s.faults {
		if f.Kind == SchemaDelay && (f.Table == "" || f.Table == table) {
			f.Hits++
			longest = max(longest, f.delay())
		}
	}
	return longest
}

// Conceals says whether a table that is not there gets PERMISSION_DENIED, and counts the hit.
func (s *Set) Conceals(c Call) bool {
	if !s.some.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	for _, f := range s.faults {
		if f.Kind == MissingDenied && f.covers(c) {
			f.Hits++
			return true
		}
	}
	return false
}

// Struck counts a hit of a row_errors fault.
func (s *Set) Struck(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.ID == id {
			f.Hits++
		}
	}
}

func (f *Fault) covers(c Call) bool {
	return (f.Method == "" || f.Method == c.Method) && (f.Table == "" || f.Table == c.Table) &&
		(f.Stream == "" || strings.HasSuffix(c.Stream, f.Stream))
}

// RefusesRow says whether a row_errors fault refuses the row with a number.
func (f *Fault) RefusesRow(number int64) bool {
	return f.Every > 0 && number%f.Every == 0 || slices.Contains(f.Offsets, number)
}

func (f *Fault) delay() time.Duration {
	d := time.Duration(f.Delay)
	if f.Jitter > 0 {
		d += rand.N(time.Duration(f.Jitter))
	}
	return d
}
