// Package tap lets people look at records as they pass, without slowing a lane.
//
//	taps := new(tap.Taps)                                    // one a process
//	if w := taps.Watching(); w != nil { w.Records(chunk) }   // a lane, once a batch
//	t, err := taps.Open(tap.Want{Point: tap.Row})            // somebody who looks
//	defer t.Close()
//	for item := range t.Items { ... }
//
// While nobody taps a lane pays for one atomic load a batch. While somebody does, it copies records into a queue that
// is bounded in number and bytes, and what does not fit is counted as dropped: a lane never waits.
package tap

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Point is where on its way a record is seen.
type Point uint8

// The points.
const (
	// Record: as it comes from Kafka.
	Record Point = iota
	// Row: when its batch is sent.
	Row
	// Refused: BigQuery has refused its row.
	Refused
	// DeadLetter: it has become a dead letter, for whatever reason.
	DeadLetter
)

const (
	// most is how many may tap at once.
	most = 4
	// queued and queuedBytes bound what waits for one who looks.
	queued      = 64
	queuedBytes = 8 << 20
)

// errTooMany says that most tap already.
var errTooMany = errors.New("4 people tap this process already: end one of them, or wait for its time to be over")

// Fault is why a record is no row.
type Fault struct {
	// Reason is a stable word, Err the same at length.
	Reason, Err string
	// Field is the path of the value at fault, and Byte where in the value it is: empty and -1 when that is not known.
	Field string
	Byte  int
}

// Item is a record that was seen, with bytes of its own.
type Item struct {
	Record *record.Record
	// Fault is zero at Record and Row.
	Fault Fault
}

// Want is what somebody wants to see.
type Want struct {
	Point Point
	// Topics are those to see; empty: all of them.
	Topics []string
}

// Taps are those of a process. The zero value is ready; a nil one has none. Safe for concurrent use.
type Taps struct {
	watching atomic.Pointer[Watchers]
	mu       sync.Mutex
}

// Watchers are those who look at the moment. Immutable.
type Watchers struct{ taps []*Tap }

// Watching are those who look; nil while nobody does.
func (t *Taps) Watching() *Watchers {
	if t == nil {
		return nil
	}
	return t.watching.Load()
}

// Open begins to look; it is an error when too many do. Close it.
func (t *Taps) Open(want Want) (*Tap, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var taps []*Tap
	if w := t.watching.Load(); w != nil {
		taps = w.taps
	}
	if len(taps) >= most {
		return nil, errTooMany
	}
	items := make(chan Item, queued)
	one := &Tap{Items: items, items: items, want: want, of: t}
	t.watching.Store(&Watchers{append(slices.Clip(taps), one)})
	return one, nil
}

// Tap is somebody who looks.
type Tap struct {
	// Items are what was seen. Each is to be given to Done.
	Items <-chan Item

	items         chan Item
	want          Want
	of            *Taps
	seen, dropped atomic.Uint64
	bytes         atomic.Int64
}

// Close ends it.
func (t *Tap) Close() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	w := t.of.watching.Load()
	if w == nil {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(w.taps), func(o *Tap) bool { return o == t })
	if len(rest) == 0 {
		t.of.watching.Store(nil)
		return
	}
	t.of.watching.Store(&Watchers{rest})
}

// Counts are how many records passed, and how many of them were dropped for lack of room.
func (t *Tap) Counts() (seen, dropped uint64) { return t.seen.Load(), t.dropped.Load() }

// Done gives back the room that an item from Items has taken.
func (t *Tap) Done(item *Item) { t.bytes.Add(-int64(item.Record.Size())) }

// takes reports whether the tap wants what passes.
func (t *Tap) takes(p Point, topic string) bool {
	return t.want.Point == p && (len(t.want.Topics) == 0 || slices.Contains(t.want.Topics, topic))
}

// offer offers so many records of a topic, of which each gives one: it is not called for those that find no room.
func (t *Tap) offer(n int, each func(i int) (*record.Record, Fault)) {
	t.seen.Add(uint64(n))
	for i := range n {
		if len(t.items) == cap(t.items) || t.bytes.Load() >= queuedBytes {
			t.dropped.Add(uint64(n - i))
			return
		}
		r, fault := each(i)
		one := Item{Record: r.Clone(), Fault: fault}
		size := int64(one.Record.Size())
		t.bytes.Add(size)
		select {
		case t.items <- one:
		default: // another lane was quicker
			t.bytes.Add(-size)
			t.dropped.Add(1)
		}
	}
}

// Records are records of one topic that have come from Kafka.
func (w *Watchers) Records(records []record.Record) {
	for _, t := range w.taps {
		if len(records) > 0 && t.takes(Record, records[0].Topic) {
			t.offer(len(records), func(i int) (*record.Record, Fault) { return &records[i], Fault{} })
		}
	}
}

// Rows are records of a topic whose rows are sent.
func (w *Watchers) Rows(topic string, records *record.Places) {
	for _, t := range w.taps {
		if t.takes(Row, topic) {
			t.offer(records.Len(), func(i int) (*record.Record, Fault) { return records.Record(i), Fault{} })
		}
	}
}

// Faulty are records of a topic, n of them, that BigQuery has refused or that have become dead letters.
func (w *Watchers) Faulty(p Point, topic string, n int, each func(i int) (*record.Record, Fault)) {
	for _, t := range w.taps {
		if t.takes(p, topic) {
			t.offer(n, each)
		}
	}
}
