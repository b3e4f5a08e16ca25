package avro

import (
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// With returns the schema whose columns are those of s and those of newer, and what newer has brought. The columns of s keep their
// numbers: new fields go to the end of their record, new branches to the end of their union.
func (s *Schema) With(newer *Schema, payload string) (*Schema, decode.Changes) {
	m := merger{clones: map[*typ]*typ{}, named: map[string]*typ{}, met: map[[2]*typ]bool{}}
	root := m.clone(s.root)
	m.into(root, newer.root, payload)
	return &Schema{root: root}, m.changes
}

// merger merges a newer schema into a copy of an older one. Uses of a named type share it, so what it gains at one place it gains at all.
type merger struct {
	clones map[*typ]*typ
	// named are the types of the copy by their full name: a new field of a type that is there already shares it.
	named   map[string]*typ
	met     map[[2]*typ]bool
	changes decode.Changes
}

func (m *merger) clone(t *typ) *typ {
	if t == nil {
		return nil
	}
	if c := m.clones[t]; c != nil {
		return c
	}
	c := new(typ)
	*c = *t
	m.clones[t] = c
	if c.name != "" {
		m.named[c.name] = c
	}
	m.parts(c, m.clone)
	return c
}

// adopt copies a type of the newer schema into the older one's copy.
func (m *merger) adopt(t *typ, path string) *typ {
	if t == nil {
		return nil
	}
	if known := m.named[t.name]; t.name != "" && known != nil && known.kind == t.kind {
		m.into(known, t, path)
		return known
	}
	if c := m.clones[t]; c != nil {
		return c
	}
	c := new(typ)
	*c = *t
	m.clones[t] = c
	if c.name != "" {
		m.named[c.name] = c
	}
	m.parts(c, func(part *typ) *typ { return m.adopt(part, path) })
	return c
}

// parts replaces what a type is made of.
func (m *merger) parts(c *typ, copied func(*typ) *typ) {
	c.symbols, c.aliases = slices.Clone(c.symbols), slices.Clone(c.aliases)
	c.fields = slices.Clone(c.fields)
	for i := range c.fields {
		c.fields[i].typ = copied(c.fields[i].typ)
	}
	c.items = copied(c.items)
	c.branches = slices.Clone(c.branches)
	for i := range c.branches {
		c.branches[i] = copied(c.branches[i])
	}
}

// into merges w into r.
func (m *merger) into(r, w *typ, path string) {
	if m.met[[2]*typ{r, w}] {
		return
	}
	m.met[[2]*typ{r, w}] = true
	have, _ := r.column()
	want, _ := w.column()
	switch {
	case want.kind == kindNull:
	case have.kind == kindNull:
		// It had no column until now, but its place, and that is its number.
		adopted := m.adopt(want, path)
		*have = typ{kind: kindUnion, branches: []*typ{{kind: kindNull}, adopted}}
		m.changes.Added = append(m.changes.Added, path)
	case have.kind == kindUnion:
		m.branches(have, want, path)
	case want.kind == kindUnion:
		// One column for several types: each has to fit.
		for _, b := range want.branches {
			if b.kind != kindNull && !fits(b, have) {
				m.conflict(path, have, want)
				return
			}
		}
	case have.kind == kindRecord && want.kind == kindRecord:
		m.record(have, want, path)
	case (have.kind == kindArray && want.kind == kindArray) || (have.kind == kindMap && want.kind == kindMap):
		if have.kind == kindArray && wrapper(have.items) == "" && wrapper(want.items) == itemValue {
			m.conflict(path+"[]", have.items, want.items) // a REPEATED column has no null
		}
		m.into(have.items, want.items, path+"[]")
	case have.kind == kindEnum && want.kind == kindEnum:
		m.symbols(have, want, path)
	case fits(want, have):
	case have.logical == logicalNone && want.logical == logicalNone &&
		(have.kind == kindInt && want.kind == kindLong || have.kind == kindFloat && want.kind == kindDouble):
		have.kind = want.kind
		m.changes.Widened = append(m.changes.Widened, path)
	default:
		m.conflict(path, have, want)
	}
}

func (m *merger) conflict(path string, have, want *typ) {
	m.changes.Conflicts = append(m.changes.Conflicts, decode.Conflict{Path: path, Have: have.String(), Want: want.String()})
}

// fits reports whether values of w become a column of r as it is.
func fits(w, r *typ) bool {
	if w.kind == kindRecord || w.kind == kindArray || w.kind == kindMap {
		return w.kind == r.kind
	}
	_, ok := scalarOp(w, r)
	return ok
}

func (m *merger) record(r, w *typ, path string) {
	for i := range w.fields {
		wf := &w.fields[i]
		at := slices.IndexFunc(r.fields, func(rf field) bool { return rf.name == wf.name })
		if at < 0 {
			at = slices.IndexFunc(r.fields, func(rf field) bool { return slices.Contains(rf.aliases, wf.name) })
		}
		sub := path + "." + wf.name
		if at >= 0 {
			m.into(r.fields[at].typ, wf.typ, path+"."+r.fields[at].name)
			continue
		}
		added := *wf
		added.typ = m.adopt(wf.typ, sub)
		r.fields = append(r.fields, added)
		if column, _ := added.typ.column(); column.kind != kindNull {
			m.changes.Added = append(m.changes.Added, sub)
		}
	}
}

// branches merges into a union of several columns.
func (m *merger) branches(r, w *typ, path string) {
	newer := []*typ{w}
	if w.kind == kindUnion {
		newer = w.branches
	}
	for _, b := range newer {
		if b.kind == kindNull {
			continue
		}
		if at := matchBranch(b, r); at >= 0 {
			m.into(r.branches[at], b, path+"."+branchName(r, at))
			continue
		}
		names := branchNames(r)
		r.branches = append(r.branches, m.adopt(b, path))
		after := branchNames(r)
		if !slices.Equal(names, after[:len(names)]) {
			// Two types of one name: to tell them apart, a column that is there already would have to change its name.
			r.branches = r.branches[:len(names)]
			m.conflict(path, r, w)
			continue
		}
		m.changes.Added = append(m.changes.Added, path+"."+after[len(names)])
	}
}

func branchNames(union *typ) []string {
	names := make([]string, len(union.branches))
	for i := range names {
		if union.branches[i].kind != kindNull {
			names[i] = branchName(union, i)
		}
	}
	return names
}

func (m *merger) symbols(r, w *typ, path string) {
	before := len(r.symbols)
	for _, s := range w.symbols {
		if !slices.Contains(r.symbols, s) {
			r.symbols = append(r.symbols, s)
		}
	}
	if len(r.symbols) > before {
		m.changes.Widened = append(m.changes.Widened, path+" ("+strings.Join(r.symbols[before:], ", ")+")")
	}
}
