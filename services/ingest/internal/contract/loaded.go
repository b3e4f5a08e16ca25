package contract

import (
	"cmp"
	"fmt"
	"slices"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// Loaded is a contract as the process has it now.
type Loaded struct {
	Entry
	// Version is what the contract or its topic's name says.
	Version string
	// Grown is how often it has grown, plus one; 0: its records name no schema.
	Grown int
	// Fingerprint is that of the routing of its topic.
	Fingerprint uint64
	// Schemas are schema ids that were met, mostSchemas at most.
	Schemas []uint32
	// Now is its route with the columns of now.
	Now *lanev1.Route
}

const mostSchemas = 100

// Loaded lists the contracts as they are now, topic by topic. Safe for concurrent use.
func (s *Set) Loaded() []Loaded {
	var all []Loaded
	for _, t := range slices.Concat(s.named, s.Patterns()) {
		for _, e := range t.entries {
			one := Loaded{
				Entry: e, Version: cmp.Or(e.contract.version, versionOf(t.Name)), Fingerprint: t.Fingerprint,
				Now: e.Route,
			}
			if vs := e.contract.versions; vs != nil {
				v := vs.current.Load()
				one.Grown, one.Schemas, one.Now = v.number, v.plan.IDs(mostSchemas), v.route
			}
			all = append(all, one)
		}
	}
	return all
}

// Kind is the entry's format, and what stands before the payload.
func (l *Loaded) Kind() string {
	if l.Framing == "none" || l.Framing == "" {
		return l.Format
	}
	return fmt.Sprintf("%s, %s", l.Format, l.Framing)
}

// UnknownCount counts records of a topic whose type no contract takes.
type UnknownCount struct {
	Topic, Type string
	Count       uint64
}

// List is the counts of the types that have one of their own.
func (u *Unknowns) List() []UnknownCount {
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []UnknownCount
	for topic, types := range u.types {
		for name := range types {
			out = append(out, UnknownCount{topic, name, counted(u.records.WithLabelValues(topic, name))})
		}
	}
	return out
}
