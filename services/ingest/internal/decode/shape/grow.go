package shape

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Fit says how values of a newer schema become a column of an older one.
type Fit uint8

// The fits.
const (
	Conflicts Fit = iota // they do not
	Fits                 // as they are
	Widens               // once the column holds more; it is of the same type
)

// Rules are what a format says of schemas that grow.
type Rules struct {
	// Fit is that of two values without parts.
	Fit func(have, want *Node) Fit
	// Both are the columns that a contract may ask for and that two values become, where they do not fit; nil if there
	// are none.
	Both func(have, want *Node) []decode.Target
	// Branch is the branch of a union that values become; -1 if none.
	Branch func(union, want *Node) int
	// Numbered: fields are the same by their numbers, whatever their names, and keep the numbers that the schemas say.
	Numbered bool
	// NewBranch names the branch that a union gains for values that stood by themselves; empty where it gains none.
	NewBranch func(want *Node) string
}

// Grow returns the tree whose columns are those of both, and what the newer has brought. The columns of the older keep
// their numbers: new fields go to the end of their record, new branches to the end of their union.
func Grow(older, newer *Node, payload string, rules Rules) (*Node, decode.Changes) {
	g := grower{rules: rules, named: map[string]*Node{}}
	root := older.Clone()
	g.know(root)
	g.into(root, newer, decode.PathOf(payload))
	return root, g.changes
}

type grower struct {
	rules Rules
	// named are the records of the older tree by the name of their type.
	named   map[string]*Node
	changes decode.Changes
}

func (g *grower) know(n *Node) {
	if n.Named != "" && n.Kind == Record && g.named[n.Named] == nil {
		g.named[n.Named] = n
	}
	for _, p := range n.Parts {
		g.know(p)
	}
}

// adopt copies a node of the newer tree. Of a type that the older tree has as well the fields keep the numbers that
// they have there.
func (g *grower) adopt(w *Node) *Node {
	n := *w
	n.Symbols, n.Parts = slices.Clone(w.Symbols), nil
	known := g.named[w.Named]
	if known == nil || n.Kind != Record || g.rules.Numbered {
		known = &Node{}
	}
	last := known.Last()
	var fresh []*Node
	for _, p := range w.Parts {
		p = g.adopt(p)
		switch at := known.Part(p.Name); {
		case at >= 0:
			p.Number = known.Parts[at].Number
			n.Parts = append(n.Parts, p)
			continue
		case last > 0:
			last++
			p.Number = last
		}
		fresh = append(fresh, p)
	}
	slices.SortFunc(n.Parts, func(a, b *Node) int { return cmp.Compare(a.Number, b.Number) })
	n.Parts = append(n.Parts, fresh...)
	return &n
}

func (g *grower) added(path *decode.Path) { g.changes.Added = append(g.changes.Added, path.String()) }
func (g *grower) widened(path string)     { g.changes.Widened = append(g.changes.Widened, path) }

func (g *grower) conflict(path *decode.Path, have, want *Node) {
	c := decode.Conflict{Path: path.String(), Have: have.Type, Want: want.Type}
	if g.rules.Both != nil && want.Kind != Item { // no column of an item makes room for null
		c.By = g.rules.Both(have, want)
	}
	g.changes.Conflicts = append(g.changes.Conflicts, c)
}

// into adds to have what want has.
func (g *grower) into(have, want *Node, path *decode.Path) {
	have.Nullable, have.NotNull = have.Nullable || want.Nullable, have.NotNull && want.NotNull
	switch {
	case want.Kind == Null, have.Kind == JSON:
	case have.Kind == Null:
		// It had no column until now, but its place, and that is its number.
		name, number := have.Name, have.Number
		*have = *g.adopt(want)
		have.Name, have.Number, have.Required, have.NotNull, have.Nullable = name, number, false, false, true
		g.added(path)
	case have.Kind == Union:
		g.union(have, want, path)
	case have.Kind == Item && want.Kind == Item:
		g.into(have.Parts[0], want.Parts[0], path)
	case have.Kind == Item:
		g.into(have.Parts[0], want, path) // what is not null has its place there as well
	case want.Kind == Item:
		g.conflict(path, have, want)
		g.into(have, want.Parts[0], path)
		have.Nullable = false // a REPEATED column has no null
	case want.Kind == Union:
		// One column for several types: each has to fit.
		if slices.ContainsFunc(want.Parts, func(b *Node) bool { return g.fit(b, have) != Fits }) {
			g.conflict(path, have, want)
		}
	case have.Kind == Record && want.Kind == Record:
		g.record(have, want, path)
	case have.Kind == Array && want.Kind == Array:
		g.into(have.Parts[0], want.Parts[0], path.Items())
	case have.Kind == Map && want.Kind == Map:
		if have.Parts[0].Source != nil {
			g.into(have.Parts[0], want.Parts[0], path.Items())
		}
		g.into(have.Parts[1], want.Parts[1], path.Items())
	case have.Kind == Enum && want.Kind == Enum:
		g.symbols(have, want, path)
	default:
		switch g.fit(want, have) {
		case Widens:
			have.Kind, have.From, have.Type, have.Source, have.Wire = want.Kind, want.From, want.Type, want.Source,
				want.Wire
			have.Symbols, have.Fallback = nil, ""
			g.widened(path.String())
		case Conflicts:
			g.conflict(path, have, want)
		}
	}
}

func (g *grower) fit(want, have *Node) Fit {
	if want.Kind >= Record || have.Kind >= Record {
		if want.Kind == have.Kind {
			return Fits
		}
		return Conflicts
	}
	return g.rules.Fit(have, want)
}

func (g *grower) record(have, want *Node, path *decode.Path) {
	for _, w := range want.Parts {
		at := slices.IndexFunc(have.Parts, func(h *Node) bool {
			return g.rules.Numbered && h.Number == w.Number || !g.rules.Numbered && h.Name == w.Name
		})
		if at < 0 {
			at = slices.IndexFunc(have.Parts, func(h *Node) bool { return slices.Contains(h.Aliases, w.Name) })
		}
		if at >= 0 {
			g.into(have.Parts[at], w, path.Field(have.Parts[at].Name))
			continue
		}
		at = have.Part(w.Name)
		if at >= 0 {
			g.changes.Conflicts = append(g.changes.Conflicts, decode.Conflict{
				Path: path.Field(w.Name).String(), Have: fmt.Sprint("number ", have.Parts[at].Number),
				Want: fmt.Sprint("number ", w.Number),
			})
			continue
		}
		added := g.adopt(w)
		if added.Required = false; !g.rules.Numbered {
			added.Number = have.Last() + 1
		}
		have.Parts = append(have.Parts, added)
		if added.Kind != Null {
			g.added(path.Field(w.Name))
		}
	}
}

// union adds to a union of several columns.
func (g *grower) union(have, want *Node, path *decode.Path) {
	newer := []*Node{want}
	if want.Kind == Union {
		newer = want.Parts
	}
	for _, b := range newer {
		if at := g.rules.Branch(have, b); at >= 0 {
			g.into(have.Parts[at], b, path.Field(have.Parts[at].Name))
			continue
		}
		name := b.Name
		if want.Kind != Union {
			name = g.rules.NewBranch(b)
		}
		if name == "" || slices.ContainsFunc(have.Parts,
			func(p *Node) bool { return strings.EqualFold(p.Name, name) }) {
			g.conflict(path, have, want)
			continue
		}
		added := g.adopt(b)
		added.Name, added.Number = name, have.Last()+1
		have.Parts = append(have.Parts, added)
		g.added(path.Field(name))
	}
}

func (g *grower) symbols(have, want *Node, path *decode.Path) {
	before := len(have.Symbols)
	for _, s := range want.Symbols {
		if !slices.Contains(have.Symbols, s) {
			have.Symbols = append(have.Symbols, s)
		}
	}
	if len(have.Symbols) > before {
		g.widened(path.String() + " (" + strings.Join(have.Symbols[before:], ", ") + ")")
	}
}
