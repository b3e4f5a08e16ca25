package json

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// alternatives makes one RECORD of a payload that is one of several objects (oneOf or anyOf, beside properties of its
// own or not): it has the columns of all of them, of which a payload has some. Elsewhere such a value is a JSON column;
// a payload cannot be one. A field that two of them have with different types is at fault.
func (s *shaper) alternatives(n *node) *shape.Node {
	var all []*shape.Node
	if properties := n.get("properties"); properties != nil && len(properties.members) > 0 {
		all = append(all, s.record(n, properties.members))
	}
	own := len(all)
	for _, name := range []string{"oneOf", "anyOf"} {
		choices := n.get(name)
		if choices == nil || !adds(choices) {
			continue
		}
		for i, choice := range choices.items {
			found := s.root(choice)
			switch {
			case found.Fault != "":
				found.Fault = fmt.Sprintf("%s[%d]: %s", name, i, found.Fault)
				return found
			case found.Kind == shape.Null: // no payload is null but a tombstone
			case found.Kind != shape.Record:
				return fail("a payload is an object with properties; %s[%d] of the schema makes it a %s", name, i,
					found.Kind)
			default:
				all = append(all, found)
			}
		}
	}
	if len(all) == 0 {
		return of(shape.Null)
	}
	joined := join(all, own)
	if doc := n.get("description").text(); doc != "" {
		joined.Doc = doc
	}
	return joined
}

// join makes one RECORD of several, of which the first own ones hold for every payload.
func join(all []*shape.Node, own int) *shape.Node {
	joined := &Schema{root: all[0]}
	var conflicts []decode.Conflict
	for _, next := range all[1:] {
		grown, changes := joined.With(&Schema{root: next}, "")
		joined, conflicts = grown, append(conflicts, changes.Conflicts...)
	}
	root := joined.root
	for _, p := range root.Parts {
		requires := func(n *shape.Node) bool {
			at := n.Part(p.Name)
			return at >= 0 && n.Parts[at].Required
		}
		p.Required = slices.ContainsFunc(all[:own], requires) ||
			own < len(all) && !slices.ContainsFunc(all[own:], func(n *shape.Node) bool { return !requires(n) })
	}
	for _, c := range conflicts {
		n := root
		for name := range strings.SplitSeq(strings.TrimPrefix(decode.WithoutMarks(c.Path), "."), ".") {
			for n.Kind == shape.Array || n.Kind == shape.Item {
				n = n.Parts[0]
			}
			at := n.Part(name)
			if at < 0 {
				break
			}
			n = n.Parts[at]
		}
		if n != root {
			n.Fault = fmt.Sprintf("alternatives of the schema have it with different types, %s and %s", c.Have, c.Want)
		}
	}
	return root
}
