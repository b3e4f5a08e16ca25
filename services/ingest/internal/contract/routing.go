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

// What becomes of a record, by this package's own name.
const (
	Row     = record.Row
	Ignore  = record.Ignore
	Unknown = record.Unknown
)

// Match is what becomes of a record, and what turns it into a row.
type Match struct {
	record.Match
	// Contract turns the record into a row when Action is Row; else nil.
	Contract *Contract
	// Unmatched says that no contract takes the record's type, whatever becomes of it.
	Unmatched bool
	// Tombstone says that the record is ignored for its value is null.
	Tombstone bool

	itemType []byte // the type header's value; nil without the header
	// version is that of the topic's headers if they are the record's; 0 if they are not.
	version uint64
}

// ItemType is the value of the type header; nil without one. It is valid for as long as the record.
func (m *Match) ItemType() []byte { return m.itemType }

// types is which types an entry takes.
type types struct {
	text   string // the exact name, or the prefix with its last dot; empty for all
	prefix bool
}

func parseTypes(s string) (types, error) {
	head, prefix := strings.CutSuffix(s, "*")
	switch {
	case s == "":
		return types{}, errors.New("the name of a type is empty")
	case strings.Contains(head, "*"), prefix && head != "" && !strings.HasSuffix(head, "."):
		return types{}, fmt.Errorf("%q has a * elsewhere than behind the last dot", s)
	}
	return types{head, prefix}, nil
}

func (p types) String() string {
	if p.prefix {
		return p.text + "*"
	}
	return p.text
}

// toIgnore is the target of types that are ignored, toRefuse that of types that no contract takes and that become dead
// letters; other targets are indexes of contracts.
const (
	toIgnore = -1
	toRefuse = -2
)

// rule sends types to a target.
type rule struct {
	types
	target int
}

// routing is the routing of a topic: from the type header to a contract. It is immutable.
type routing struct {
	header     []byte
	tombstones string
	unknown    int // target of types that no rule takes
	exact      map[string]int
	prefixes   []rule // longest first
}

// newRouting compiles the rules, of which no two take the same types.
func newRouting(header, tombstones string, unknown int, rules []rule) *routing {
	r := &routing{header: []byte(header), tombstones: tombstones, unknown: unknown, exact: map[string]int{}}
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
	return valueAt(rec.Headers, typeAt(rec.Headers, r.header))
}

// lastType is where the type that came last goes: most records have the type of the record before.
type lastType struct {
	text   []byte // empty for none
	target int
	ok     bool
}

// target finds where a type goes, as that of the routing.
func (t *Topic) target(itemType []byte) (target int, ok bool) {
	l := &t.last
	if len(l.text) > 0 && bytes.Equal(l.text, itemType) {
		return l.target, l.ok
	}
	target, ok = t.routing.target(itemType)
	if len(itemType) <= maxTypeBytes {
		l.text, l.target, l.ok = append(l.text[:0], itemType...), target, ok
	}
	return target, ok
}

// fingerprint is a hash of all that decides which table a record counts for, and of nothing else: neither schema nor
// columns, so that a changed decoder cannot shift a replay. Stable across versions of the program: what a key added
// later says by default is not written.
func fingerprint(header, tombstones string, bySchema bool, unknown int, rules []rule,
	table func(target int) string,
) uint64 {
	lines := []string{}
	for _, r := range rules {
		if r.target == toIgnore {
			lines = append(lines, fmt.Sprintf("ignore %q", r.types.String()))
		} else {
			lines = append(lines, fmt.Sprintf("route %q to %q", r.types.String(), table(r.target)))
		}
	}
	slices.Sort(lines)
	if bySchema {
		lines = append(lines, "types of schemas")
	}
	switch unknown {
	case toRefuse:
	case toIgnore:
		lines = append(lines, "unknown ignore")
	default:
		lines = append(lines, fmt.Sprintf("unknown to %q", table(unknown)))
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "waybill routing 1\nheader %q\ntombstones %q\n%s\n", header, tombstones, strings.Join(lines, "\n"))
	return h.Sum64()
}
