package contract

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Set is the contracts of a process. It is immutable and safe for concurrent use; each lane works with a Fork of its
// topic.
type Set struct {
	named    []*Topic
	patterns []pattern
}

// pattern is the contracts of all topics whose names match.
type pattern struct {
	name  *regexp.Regexp
	topic *Topic // without what depends on the topic's name
}

// Topic is the contracts of one topic. Not safe for concurrent use: Fork it for each lane.
type Topic struct {
	Name string
	// Routes are the topic's tables. Their order is the same for every lane of the process; their columns are those of
	// the fork.
	Routes []*lanev1.Route
	// Fingerprint is that of the routing. Rows can be dropped on replay only under the fingerprint they were appended
	// under.
	Fingerprint uint64

	routing   *routing
	typing    *typing     // nil where a header tells the type
	contracts []*Contract // by route
	entries   []Entry
	last      lastType
	headers   *headers // nil until the topic is forked
}

// Topics lists the topics that entries name, in the order of the configuration.
func (s *Set) Topics() []string {
	names := make([]string, len(s.named))
	for i, t := range s.named {
		names[i] = t.Name
	}
	return names
}

// TypeHeaders lists the headers that types are read from.
func (s *Set) TypeHeaders() []string {
	var all []string
	for _, t := range slices.Concat(s.named, s.Patterns()) {
		if header := string(t.routing.header); !slices.Contains(all, header) {
			all = append(all, header)
		}
	}
	return all
}

// Patterns lists the topic patterns with their tables, in the order of the configuration.
func (s *Set) Patterns() []*Topic {
	var all []*Topic
	for _, p := range s.patterns {
		all = append(all, p.topic)
	}
	return all
}

// Match says whether a topic has contracts. The error is two patterns that match it: neither then has it.
func (s *Set) Match(name string) (bool, error) {
	t, err := s.find(name)
	return t != nil, err
}

// Topic returns the contracts of a topic, nil if there are none. Fork them for a lane.
func (s *Set) Topic(name string) *Topic {
	t, err := s.find(name)
	if t == nil || err != nil {
		return nil
	}
	if t.Name != name {
		t = t.Fork()
		t.Name = name
		t.version(name)
	}
	return t
}

// find finds the contracts of a topic: an entry's that names it, or those of the one pattern that matches.
func (s *Set) find(name string) (*Topic, error) {
	for _, t := range s.named {
		if t.Name == name {
			return t, nil
		}
	}
	var found *Topic
	for _, p := range s.patterns {
		switch {
		case !p.name.MatchString(name):
		case found != nil:
			return nil, fmt.Errorf("topic_pattern %s and topic_pattern %s both match the topic %s: narrow one of "+
				"them, or give the topic an entry that names it",
				found.Name, p.topic.Name, name)
		default:
			found = p.topic
		}
	}
	return found, nil
}

// Fork returns a copy that shares no state, at the newest version of each contract: one lane's own, for one call.
func (t *Topic) Fork() *Topic {
	fork := *t
	fork.last, fork.headers = lastType{}, &headers{typeKey: t.routing.header}
	fork.contracts, fork.Routes = make([]*Contract, len(t.contracts)), slices.Clone(t.Routes)
	for i, c := range t.contracts {
		fork.contracts[i] = c.fork()
		fork.contracts[i].headers = fork.headers
		if at := fork.contracts[i].at; at != nil {
			fork.Routes[i] = at.route
		}
	}
	return &fork
}

// Aside is a Fork that counts nothing, for those who look at records beside the lanes.
func (t *Topic) Aside() *Topic {
	fork := t.Fork()
	for _, c := range fork.contracts {
		c.far = nil
	}
	return fork
}

// version gives the contracts without a version the one that the topic's name tells.
func (t *Topic) version(name string) {
	for _, c := range t.contracts {
		c.version = cmp.Or(c.version, versionOf(name))
	}
}

// Match says what becomes of a record, by its headers and whether its value is null. It decodes nothing and allocates
// for the Reason of Unknown only. What it returns holds until the next Match, and for as long as the record's bytes.
func (t *Topic) Match(r *record.Record) *Match {
	h := t.headers
	if h == nil {
		m := t.match(r)
		return &m
	}
	if t.typing == nil && (r.Value != nil || t.routing.tombstones == tombstonesRow) {
		if m := h.match(r); m != nil && !m.Contract.null(r.Value) {
			return m
		}
	}
	h.found = t.match(r)
	return &h.found
}

// typeOf is the type of a record by what tells it, and whether its value is null. The reason says why it has none.
func (t *Topic) typeOf(r *record.Record) (itemType []byte, null bool, reason string) {
	switch {
	case t.typing == nil:
		return t.routing.itemType(r), r.Value == nil, ""
	case r.Value == nil:
		return nil, true, ""
	}
	return t.typing.typeOf(r.Value)
}

func (t *Topic) match(r *record.Record) Match {
	itemType, null, reason := t.typeOf(r)
	if reason != "" {
		return Match{Match: record.Match{Action: Unknown, Reason: reason}, Unmatched: true}
	}
	return t.matchType(r, itemType, null)
}

// matchType is match of a record whose type is known.
func (t *Topic) matchType(r *record.Record, itemType []byte, null bool) Match {
	target, ok := t.target(itemType)
	var reason string
	if null = null || ok && target >= 0 && r.Value != nil && t.contracts[target].null(r.Value); null {
		switch t.routing.tombstones {
		case toNothing:
			return Match{Match: record.Match{Action: Ignore}, Tombstone: true}
		case toDeadLetter:
			return Match{Match: record.Match{Action: Unknown, Reason: "the value is null"}}
		}
	}
	if !ok {
		target = t.routing.unknown
	}
	switch {
	case target == toIgnore:
		return Match{Match: record.Match{Action: Ignore}, Unmatched: !ok, itemType: itemType}
	case target >= 0:
		c := t.contracts[target]
		return Match{
			Match:    record.Match{Action: Row, Route: target, Name: c.Name()},
			Contract: c, Unmatched: !ok, itemType: itemType,
		}
	case itemType == nil && t.typing == nil:
		reason = fmt.Sprintf("header %s is missing", t.routing.header)
	case t.typing != nil:
		reason = fmt.Sprintf("the record is of type %.200q, which no contract of the topic takes", itemType)
	default:
		reason = fmt.Sprintf("header %s is %.200q, which no contract of the topic takes", t.routing.header, itemType)
	}
	return Match{Match: record.Match{Action: Unknown, Reason: reason}, Unmatched: true, itemType: itemType}
}
