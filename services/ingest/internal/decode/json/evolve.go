package json

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Schema is a parsed schema, as a schema registry has it. It is immutable.
type Schema struct{ root *typ }

// Parse parses a schema; payload is the name of the payload's column, for errors. references are the documents that a JSON Schema refers to,
// directly or not.
func Parse(schema []byte, language Language, payload string, references ...Reference) (*Schema, error) {
	if len(schema) > decode.MaxSchema {
		return nil, fmt.Errorf("schema of %d bytes is longer than %d", len(schema), decode.MaxSchema)
	}
	t, err := readers[language](schema, payload, references)
	if err != nil {
		return nil, err
	}
	return &Schema{t}, nil
}

// Compile compiles the schema. Errors are those of the function Compile.
func (s *Schema) Compile(settings Settings, o decode.Options) (*Plan, error) {
	return compileTypes(s.root, settings, o)
}

// Relaxed is the schema without requirements: every field may be missing, and is null then, or be null.
func (s *Schema) Relaxed() *Schema {
	m := merger{clones: map[*typ]*typ{}, relax: true}
	return &Schema{m.clone(s.root)}
}

// With returns the schema whose columns are those of s and those of newer, and what newer has brought. The columns of s keep their
// numbers: new fields go to the end of their record, new branches to the end of their union.
func (s *Schema) With(newer *Schema, payload string) (*Schema, decode.Changes) {
	m := merger{clones: map[*typ]*typ{}, met: map[[2]*typ]bool{}}
	root := m.clone(s.root)
	m.into(root, newer.root, payload)
	return &Schema{root}, m.changes
}

// merger merges a newer schema into a copy of an older one.
type merger struct {
	clones  map[*typ]*typ
	met     map[[2]*typ]bool
	relax   bool
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
	c.symbols, c.fields, c.branches = slices.Clone(t.symbols), slices.Clone(t.fields), slices.Clone(t.branches)
	for i := range c.fields {
		f := &c.fields[i]
		f.typ = m.clone(f.typ)
		if m.relax {
			f.nullable, f.required, f.notNull, f.fallback = true, false, false, nil
		}
	}
	for i := range c.branches {
		c.branches[i].typ = m.clone(c.branches[i].typ)
	}
	c.items = m.clone(c.items)
	return c
}

// into merges w into r.
func (m *merger) into(r, w *typ, path string) {
	if m.met[[2]*typ{r, w}] {
		return
	}
	m.met[[2]*typ{r, w}] = true
	switch {
	case w.kind == kindNull, r.kind == kindJSON:
	case r.kind == kindNull:
		*r = *m.clone(w) // it had no column until now, but its place, and that is its number
		m.changes.Added = append(m.changes.Added, path)
	case r.kind == kindUnion:
		m.union(r, w, path)
	case r.kind == kindRecord && w.kind == kindRecord:
		m.record(r, w, path)
	case r.kind == kindItem && w.kind == kindItem:
		m.into(r.items, w.items, path)
	case r.kind == kindItem:
		m.into(r.items, w, path) // what is not null has its place there as well
	case r.kind == kindArray && w.kind == kindArray:
		m.into(r.items, w.items, path+"[]")
	case r.kind == kindMap && w.kind == kindMap:
		r.nullItems = r.nullItems || w.nullItems
		m.into(r.items, w.items, path+"[]")
	case r.kind == kindEnum && w.kind == kindEnum:
		m.symbols(r, w, path)
	case widens[[2]kind{r.kind, w.kind}]:
		r.kind, r.symbols, r.fallback = w.kind, nil, ""
		m.changes.Widened = append(m.changes.Widened, path)
	case r.kind != w.kind && !holds[[2]kind{r.kind, w.kind}]:
		m.changes.Conflicts = append(m.changes.Conflicts, decode.Conflict{Path: path, Have: r.kind.String(), Want: w.kind.String()})
	}
}

// widens are the pairs of kinds, the contract's first, of which the second holds more in a column of the same type. holds are those whose
// first takes every value of the second as it is.
var (
	widens = map[[2]kind]bool{{kindInt32, kindInt64}: true, {kindFloat, kindDouble}: true, {kindEnum, kindString}: true}
	holds  = map[[2]kind]bool{
		{kindInt64, kindInt32}: true, {kindDouble, kindFloat}: true, {kindDouble, kindInt32}: true, {kindDouble, kindInt64}: true,
		{kindFloat, kindInt32}: true, {kindFloat, kindInt64}: true, {kindString, kindEnum}: true,
	}
)

func (m *merger) record(r, w *typ, path string) {
	for i := range w.fields {
		wf := &w.fields[i]
		sub := path + "." + wf.name
		at := slices.IndexFunc(r.fields, func(f field) bool { return f.name == wf.name })
		if at >= 0 {
			rf := &r.fields[at]
			rf.nullable, rf.notNull = rf.nullable || wf.nullable, rf.notNull && wf.notNull
			m.into(rf.typ, wf.typ, sub)
			continue
		}
		added := *wf
		added.typ, added.required, added.number = m.clone(wf.typ), false, r.extraNumber()
		r.fields = append(r.fields, added)
		if added.typ.kind != kindNull {
			m.changes.Added = append(m.changes.Added, sub)
		}
	}
}

// union merges into a union of several columns.
func (m *merger) union(r, w *typ, path string) {
	newer := w.branches
	if w.kind != kindUnion {
		at := slices.IndexFunc(r.branches, func(b branch) bool { return b.typ.kind == w.kind })
		if at >= 0 {
			m.into(r.branches[at].typ, w, path+"."+r.branches[at].name)
			return
		}
		m.changes.Conflicts = append(m.changes.Conflicts, decode.Conflict{Path: path, Have: r.kind.String(), Want: w.kind.String()})
		return
	}
	for _, b := range newer {
		at := slices.IndexFunc(r.branches, func(other branch) bool { return other.name == b.name })
		if at >= 0 {
			m.into(r.branches[at].typ, b.typ, path+"."+b.name)
			continue
		}
		last := int32(0)
		for _, other := range r.branches {
			last = max(last, other.number)
		}
		r.branches = append(r.branches, branch{name: b.name, number: last + 1, typ: m.clone(b.typ)})
		m.changes.Added = append(m.changes.Added, path+"."+b.name)
	}
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
