package shape

import "github.com/waybill-data/waybill/services/ingest/internal/decode"

// heed makes values what their sources say that they are, where they can be. What the envelope takes stays as the
// schema has it, and so do the branches of a union: JSON tells them apart by what they are.
func (t *Tree) heed(n *Node, path *decode.Path, o *decode.Options) {
	switch at := path.String(); {
	case n.Kind == Union || at == o.EventIDPath() || at == o.EventTimePath():
		return
	case n.Hint != nil && n.Fault == "" && n.Asked == nil && t.Become(n, n.Hint) == "":
		n.Become(n.Hint)
	}
	for _, p := range n.Parts {
		t.heed(p, n.Below(path, p), o)
	}
}
