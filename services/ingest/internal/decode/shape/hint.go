package shape

import (
	"slices"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// heed makes values what their sources say that they are, where they can be and the contract asks for nothing. What the
// envelope takes stays as the schema has it.
func (t *Tree) heed(o *decode.Options) {
	var taken []*Node
	for _, path := range []string{o.EventID, o.EventTime} {
		if path == "" {
			continue
		}
		if n, err := t.find(path); err == nil {
			taken = append(taken, n)
		}
	}
	t.heedAll(t.Root, taken)
}

// heedAll leaves the branches of a union alone: JSON tells them apart by what they are.
func (t *Tree) heedAll(n *Node, taken []*Node) {
	if n.Kind == Union || n.Skip {
		return
	}
	if slices.Contains(taken, n) {
		return
	}
	if n.Hint != nil && n.Fault == "" && n.Override == nil && !within(n, taken) && t.Become(n, n.Hint) == "" {
		n.Become(n.Hint)
	}
	for _, p := range n.Parts {
		t.heedAll(p, taken)
	}
}

// within reports whether the contract asks for anything of the parts of a value: it is to have them, then.
func within(n *Node, taken []*Node) bool {
	return slices.ContainsFunc(n.Parts, func(p *Node) bool {
		return p.Override != nil || p.Column != "" || p.Skip || slices.Contains(taken, p) || within(p, taken)
	})
}
