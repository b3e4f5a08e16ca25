package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
)

// digest tells the contracts of a topic from others: it is a hash of all that its entries say, of their schemas, and of
// the columns that they began with.
func (t *Topic) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %x\n", t.Name, t.Fingerprint)
	for i := range t.entries {
		text, err := json.Marshal(&t.entries[i].Config)
		if err != nil {
			panic(err) // it has texts, numbers, lists and maps alone
		}
		fmt.Fprintf(h, "%s %x\n", text, t.entries[i].contract.source)
	}
	for _, r := range t.Routes {
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
		if err != nil {
			panic(err) // it was made here
		}
		fmt.Fprintf(h, "%d %s\n", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// all are the topics and patterns of a set, by what tells them apart.
func (s *Set) all() map[string]*Topic {
	all := make(map[string]*Topic)
	for _, t := range s.named {
		all["topic "+t.Name] = t
	}
	for _, p := range s.patterns {
		all["topics that match "+p.topic.Name] = p.topic
	}
	return all
}

// Digest tells sets apart by all that they say, at the start: what they have learnt of schemas since then is not in it.
func (s *Set) Digest() string {
	h := sha256.New()
	for _, t := range slices.Concat(s.named, s.Patterns()) {
		fmt.Fprintln(h, t.digest())
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// After is the set with the topics of an earlier one where they are the same, with all that those have learnt; and the
// keys of those that are not the same, as topic NAME or topics that match PATTERN.
func (s *Set) After(old *Set) (merged *Set, changed []string) {
	was := old.all()
	merged = &Set{named: slices.Clone(s.named), patterns: slices.Clone(s.patterns)}
	for i, t := range merged.named {
		key := "topic " + t.Name
		if o := was[key]; o != nil && o.digest() == t.digest() {
			merged.named[i] = o
		} else {
			changed = append(changed, key)
		}
	}
	for i, p := range merged.patterns {
		key := "topics that match " + p.topic.Name
		if o := was[key]; o != nil && o.digest() == p.topic.digest() {
			same := func(q pattern) bool { return q.topic == o }
			merged.patterns[i] = old.patterns[slices.IndexFunc(old.patterns, same)]
		} else {
			changed = append(changed, key)
		}
	}
	return merged, changed
}

// Rerouted says what of a set cannot take the place of an earlier one while lanes run: other topics, or another routing
// of one, by which rows that are to be dropped would be counted otherwise.
func (s *Set) Rerouted(old *Set) (why []string) {
	was, is := old.all(), s.all()
	for _, t := range slices.Concat(s.named, s.Patterns()) {
		for key, now := range is {
			if now != t {
				continue
			}
			if o := was[key]; o == nil {
				why = append(why, key+" is new")
			} else if o.Fingerprint != t.Fingerprint {
				why = append(why, "the routing of "+key+" is another one (types, tables, type_header, "+
					"tombstones, unknown)")
			}
		}
	}
	for key := range was {
		if is[key] == nil {
			why = append(why, key+" has no contract any more")
		}
	}
	slices.Sort(why)
	return why
}

// Count says in the metrics how many versions the contracts have had: another set may have said otherwise.
func (s *Set) Count() {
	for _, t := range s.all() {
		for _, c := range t.contracts {
			if c.versions != nil {
				c.versions.count(c.versions.current.Load())
			}
		}
	}
}

// Of is the key of the contracts of a topic, as After tells it; empty when there are none.
func (s *Set) Of(name string) string {
	t, err := s.find(name)
	switch {
	case t == nil || err != nil:
		return ""
	case t.Name == name:
		return "topic " + name
	}
	return "topics that match " + t.Name
}

// SameSchema reports whether two entries were compiled from the same text of a schema.
func (e *Entry) SameSchema(as *Entry) bool { return e.contract.source == as.contract.source }
