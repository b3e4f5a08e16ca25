package contract

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Action is what becomes of a record.
type Action uint8

// The actions.
const (
	// Row: the record becomes a row of the route.
	Row Action = iota
	// Ignore: the configuration says that the record is of no interest.
	Ignore
	// Unknown: no contract takes the record; it belongs in the dead-letter topic.
	Unknown
)

func (a Action) String() string { return [...]string{"row", "ignore", "unknown"}[a] }

// Match is what becomes of a record.
type Match struct {
	Action Action
	// Route is the index in Topic.Routes when Action is Row.
	Route int
	// Contract turns the record into a row when Action is Row; else nil.
	Contract *Contract
	// Reason says why, naming header and value, when Action is Unknown.
	Reason string

	itemType []byte // the type header's value; nil without the header
}

// pattern is which types an entry takes.
type pattern struct {
	text   string // the exact name, or the prefix with its last dot; empty for all
	prefix bool
}

func parsePattern(s string) (pattern, error) {
	head, prefix := strings.CutSuffix(s, "*")
	switch {
	case s == "":
		return pattern{}, errors.New("the name of a type is empty")
	case strings.Contains(head, "*"), prefix && head != "" && !strings.HasSuffix(head, "."):
		return pattern{}, fmt.Errorf("%q has a * elsewhere than behind the last dot", s)
	}
	return pattern{head, prefix}, nil
}

func (p pattern) String() string {
	if p.prefix {
		return p.text + "*"
	}
	return p.text
}

// toIgnore is the target of types that are ignored; other targets are indexes of contracts.
const toIgnore = -1

// rule sends the types of a pattern to a target.
type rule struct {
	pattern
	target int
}

// routing is the routing of a topic: from the type header to a contract. It is immutable.
type routing struct {
	header               []byte
	deadLetterTombstones bool
	exact                map[string]int
	prefixes             []rule // longest first
}

// newRouting compiles the rules, of which no two have the same pattern.
func newRouting(header string, deadLetterTombstones bool, rules []rule) *routing {
	r := &routing{header: []byte(header), deadLetterTombstones: deadLetterTombstones, exact: map[string]int{}}
	for _, rule := range rules {
		if rule.prefix {
			r.prefixes = append(r.prefixes, rule)
		} else {
			r.exact[rule.text] = rule.target
		}
	}
	slices.SortFunc(r.prefixes, func(a, b rule) int { return cmp.Compare(len(b.text), len(a.text)) })
	return r
}

// target finds where a type goes; the last header of the name counts, nil is no header.
func (r *routing) target(itemType []byte) (target int, ok bool) {
	if itemType != nil {
		if target, ok := r.exact[string(itemType)]; ok {
			return target, true
		}
	}
	for i := range r.prefixes {
		p := &r.prefixes[i]
		if p.text == "" || len(itemType) > len(p.text) && string(itemType[:len(p.text)]) == p.text {
			return p.target, true
		}
	}
	return 0, false
}

// itemType is the value of the last type header; nil without one, or with a null one.
func (r *routing) itemType(rec *record.Record) []byte {
	for _, h := range slices.Backward(rec.Headers) {
		if bytes.Equal(h.Key, r.header) {
			return h.Value
		}
	}
	return nil
}

// fingerprint is a hash of all that decides which table a record counts for, and of nothing else: neither schema nor columns, so that a
// changed decoder cannot shift a replay. Stable across versions of the program.
func fingerprint(header, tombstones string, rules []rule, table func(target int) string) uint64 {
	lines := []string{}
	for _, r := range rules {
		if r.target == toIgnore {
			lines = append(lines, fmt.Sprintf("ignore %q", r.pattern.String()))
		} else {
			lines = append(lines, fmt.Sprintf("route %q to %q", r.pattern.String(), table(r.target)))
		}
	}
	slices.Sort(lines)
	h := fnv.New64a()
	fmt.Fprintf(h, "waybill routing 1\nheader %q\ntombstones %q\n%s\n", header, tombstones, strings.Join(lines, "\n"))
	return h.Sum64()
}
