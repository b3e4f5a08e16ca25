package contract

import (
	"fmt"
	"path/filepath"
	"strings"
)

// defaultName is what a contract is called that does not say it.
func (c *Config) defaultName() string {
	switch {
	case c.Builtin != "":
		return c.Builtin
	case c.Subject != "":
		return c.Subject
	case c.Schema != "":
		base := filepath.Base(c.Schema)
		return strings.TrimSuffix(base, filepath.Ext(base))
	}
	return c.Table
}

// name gives every contract a name of its own: what the entry says, else the default one, of which the first that would
// have it keeps it and the others get their table behind it, or their topic. A name that two entries say is a problem.
func (l *loader) name(entries []entry) {
	named := map[string]*entry{}
	for i := range entries {
		e := &entries[i]
		if e.Name == "" {
			continue
		}
		switch other, twice := named[e.Name]; {
		case e.Name == unknownContract:
			l.report(e, "name", "the contract of records whose type no other takes is called "+unknownContract,
				"choose another name")
		case twice:
			l.report(e, "name", fmt.Sprintf("%s is called %s too", other.where(), e.Name),
				"choose another name for one of the two, or leave it out")
		default:
			named[e.Name] = e
		}
	}
	for i := range entries {
		e := &entries[i]
		if e.Name != "" {
			continue
		}
		base := e.defaultName()
		candidates := []string{base}
		table := e.Table[strings.LastIndexByte(e.Table, '.')+1:]
		if first := named[base]; table != base && (first == nil || first.Table != e.Table) {
			candidates = append(candidates, base+"_"+table)
		}
		if e.Topic != "" {
			candidates = append(candidates, base+"_"+e.Topic)
		}
		for n := 2; e.Name == ""; n++ {
			for _, name := range candidates {
				if named[name] == nil && name != unknownContract {
					e.Name, named[name] = name, e
					break
				}
			}
			candidates = []string{fmt.Sprintf("%s_%d", base, n)}
		}
	}
}

// where names the entry with its file and line, where it has them.
func (e *entry) where() string {
	p := e.place.Problem("name", "", "")
	switch place := fmt.Sprintf("%s:%d", filepath.Base(p.File), p.Line); {
	case p.File == "" || p.Line == 0:
		return e.key()
	case strings.HasPrefix(e.place.Key(), "contracts"):
		return e.key() + " (" + place + ")"
	default:
		return place
	}
}
