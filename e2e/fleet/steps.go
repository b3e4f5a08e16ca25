package fleet

import (
	"cmp"
	"slices"
	"strings"
)

// side is what all processes of a service are.
type side struct {
	old bool
	// assignment is ingest's kafka.assignment; empty leaves the version's default.
	assignment string
}

// state is what runs between two steps.
type state struct{ ingest, writer side }

// step replaces the processes of one service, one by one.
type step struct {
	what string
	to   state
}

// sticky is what ingests did before there was a choice.
const sticky = "sticky"

// steps go from the old version to the new one, back, and there again, the other service first. Where the versions
// share partitions out in another way by default, new ingests name both ways beside old ones: the Kafka protocol wants
// one that all members know.
func steps(oldDefault, newDefault string) []step {
	before, after := side{old: true, assignment: oldDefault}, side{assignment: newDefault}
	both := after
	if !common(oldDefault, newDefault) {
		both.assignment = cmp.Or(oldDefault, sticky) + "," + newDefault
	}
	was, is := side{old: true}, side{}
	list := []step{
		{"writers new", state{before, is}},
		{"ingests new", state{both, is}},
		{"ingests with the new assignment", state{after, is}},
		{"writers old", state{after, was}},
		{"ingests ready for old ones", state{both, was}},
		{"ingests old", state{before, was}},
		{"ingests new again", state{both, was}},
		{"writers new again", state{both, is}},
		{"ingests with the new assignment", state{after, is}},
	}
	if both == after {
		list = slices.DeleteFunc(list, func(s step) bool {
			return strings.HasPrefix(s.what, "ingests with") || strings.HasPrefix(s.what, "ingests ready")
		})
	}
	return list
}

// common says whether two lists of assignments share one.
func common(a, b string) bool {
	for x := range strings.SplitSeq(cmp.Or(a, sticky), ",") {
		if slices.Contains(strings.Split(cmp.Or(b, sticky), ","), x) {
			return true
		}
	}
	return false
}
