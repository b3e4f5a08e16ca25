package access

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Scope limits the right Lane to some lanes: those of the groups and topics named here, into the tables named here. An
// empty list limits nothing. A name that ends with * is any name with that beginning.
type Scope struct {
	Groups []string `yaml:"groups"`
	Topics []string `yaml:"topics"`
	// Tables are written `table`, `dataset.table` or `project.dataset.table`, as in a route.
	Tables []string `yaml:"tables"`
}

func (s *Scope) empty() bool { return len(s.Groups)+len(s.Topics)+len(s.Tables) == 0 }

// check returns the key and the message of what cannot be meant.
func (s *Scope) check() (key, message string) {
	for _, list := range []struct {
		key   string
		names []string
	}{{"groups", s.Groups}, {"topics", s.Topics}, {"tables", s.Tables}} {
		for i, name := range list.names {
			if body := strings.TrimSuffix(name, "*"); name == "" || strings.Contains(body, "*") {
				return fmt.Sprintf("%s[%d]", list.key, i),
					fmt.Sprintf("%q is no name, nor the beginning of one and *", name)
			}
		}
	}
	return "", ""
}

// matches tells whether one of the patterns takes the name, or there are none.
func matches(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		start, open := strings.CutSuffix(p, "*")
		return p == name || open && strings.HasPrefix(name, start)
	})
}

// MayCarry returns "" when the caller may carry a lane of the group and the topic into the tables, and otherwise what
// of these it may not: `group g`, `topic t` or `table p.d.t`. full completes the name of a table with the project and
// the dataset that a name without them stands in; it is called with names and with the patterns of Scope. Of several
// grants one must take all of it.
func (c Caller) MayCarry(group, topic string, tables []string, full func(string) string) (refused string) {
	if c.all {
		return ""
	}
	refused = "any lane"
	for _, s := range c.scopes {
		switch {
		case !matches(s.Groups, group):
			refused = "group " + group
		case !matches(s.Topics, topic):
			refused = "topic " + topic
		default:
			if refused = s.refuses(tables, full); refused == "" {
				return ""
			}
		}
	}
	return refused
}

// MayTouch is MayCarry for tables alone.
func (c Caller) MayTouch(tables []string, full func(string) string) (refused string) {
	if c.all || c.May(Operator) {
		return ""
	}
	refused = "any table"
	for _, s := range c.scopes {
		if refused = s.refuses(tables, full); refused == "" {
			return ""
		}
	}
	return refused
}

func (s *Scope) refuses(tables []string, full func(string) string) string {
	if len(s.Tables) == 0 {
		return ""
	}
	patterns := make([]string, len(s.Tables))
	for i, p := range s.Tables {
		patterns[i] = full(p)
	}
	for _, t := range tables {
		if name := full(t); !matches(patterns, name) {
			return "table " + name
		}
	}
	return ""
}

// sameScopes tells whether two callers may carry the same lanes.
func sameScopes(a, b Caller) bool {
	return a.all == b.all && slices.EqualFunc(a.scopes, b.scopes, func(x, y Scope) bool {
		return slices.Equal(x.Groups, y.Groups) && slices.Equal(x.Topics, y.Topics) && slices.Equal(x.Tables, y.Tables)
	})
}

// FullTable completes `table` and `dataset.table` with a project and a dataset.
func FullTable(project, dataset string) func(string) string {
	return func(name string) string {
		switch strings.Count(name, ".") {
		case 0:
			return cmp.Or(project, "-") + "." + cmp.Or(dataset, "-") + "." + name
		case 1:
			return cmp.Or(project, "-") + "." + name
		}
		return name
	}
}
