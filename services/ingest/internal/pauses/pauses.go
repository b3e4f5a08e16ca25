// Package pauses knows which lanes operators have paused. It is a core without a clock and without I/O, but for the
// Follower, which reads what is kept again and again.
//
// What an operator says of a partition is one Entry, kept where every member of the group sees it and a restart does
// not lose it: as the metadata of an offset commit of a group that has no members. Each partition has one entry, and
// the newest one counts. An entry about a topic is written to all its partitions, and holds for those that it gains
// later.
package pauses

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Lane names a lane.
type Lane struct {
	Topic     string
	Partition int32
}

// String is topic/partition.
func (l Lane) String() string { return fmt.Sprintf("%s/%d", l.Topic, l.Partition) }

// The scopes of an entry. That of a table is ScopeTable and its name.
const (
	ScopeLane  = "lane"
	ScopeTopic = "topic"
	ScopeTable = "table "
)

// Entry is what an operator has said of a partition.
type Entry struct {
	// Paused: it rests until Until; else it runs.
	Paused bool `json:"paused"`
	// Scope is what was acted on: lane, topic, or "table NAME".
	Scope string `json:"scope"`
	// At is when it was said, Until when a pause ends by itself.
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"`
	// By is who said it, Reason why, and Request the id of the act.
	By      string `json:"by"`
	Reason  string `json:"reason,omitempty"`
	Request string `json:"request"`
}

// prefix tells entries, and their version, from other metadata.
const prefix = "waybill-steering-1 "

// Encode is the entry as metadata of an offset commit.
func (w Entry) Encode() string {
	text, err := json.Marshal(w)
	if err != nil {
		panic(err) // it has strings and times alone
	}
	return prefix + string(text)
}

// parse reads what Encode wrote.
func parse(text string) (w Entry, err error) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return w, fmt.Errorf("does not begin with %q", prefix)
	}
	if err := json.Unmarshal([]byte(rest), &w); err != nil {
		return w, fmt.Errorf("what follows %q: %w", prefix, err)
	}
	return w, nil
}

// Entries are those of a group. They are immutable; nil is none.
type Entries struct {
	own map[Lane]Entry
	// wide is, by topic, the newest entry that is about more than one lane.
	wide map[string]Entry
}

// newEntries takes the entries of partitions.
func newEntries(own map[Lane]Entry) *Entries {
	w := &Entries{own: own, wide: make(map[string]Entry)}
	for lane, entry := range own {
		if last, ok := w.wide[lane.Topic]; entry.Scope != ScopeLane && (!ok || entry.At.After(last.At)) {
			w.wide[lane.Topic] = entry
		}
	}
	return w
}

// Of is the pause of a lane at a moment; false when it is not paused.
func (w *Entries) Of(lane Lane, now time.Time) (Entry, bool) {
	if w == nil {
		return Entry{}, false
	}
	entry, ok := w.own[lane]
	if !ok {
		entry, ok = w.wide[lane.Topic]
	}
	return entry, ok && entry.Paused && now.Before(entry.Until)
}

// Requested are the lanes whose entry is that of an act.
func (w *Entries) Requested(request string) map[Lane]Entry {
	out := map[Lane]Entry{}
	if w != nil {
		for lane, entry := range w.own {
			if entry.Request == request {
				out[lane] = entry
			}
		}
	}
	return out
}

// Paused are the lanes that have an entry of their own and are paused at a moment, by topic and partition.
func (w *Entries) Paused(now time.Time) []Lane {
	var out []Lane
	if w == nil {
		return nil
	}
	for lane := range w.own {
		if _, paused := w.Of(lane, now); paused {
			out = append(out, lane)
		}
	}
	slices.SortFunc(out, func(a, b Lane) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}
