package terraform

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// references looks at every reference below a body. Names that a dynamic block gives to its elements are known inside
// of it.
func (c *checker) references(body *hclsyntax.Body, elements []string) {
	for _, a := range body.Attributes {
		for _, t := range a.Expr.Variables() {
			c.reference(t, elements)
		}
	}
	for _, b := range body.Blocks {
		inner := elements
		if b.Type == "dynamic" {
			inner = append(slices.Clone(elements), b.Labels[0])
		}
		c.references(b.Body, inner)
	}
}

// reference looks at one: that it leads to what is declared, and for a resource, to an attribute that it has.
func (c *checker) reference(t hcl.Traversal, elements []string) {
	var path []string
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			path = append(path, s.Name)
		case hcl.TraverseAttr:
			path = append(path, s.Name)
		}
	}
	switch root := path[0]; {
	case root == "each" || slices.Contains(elements, root):
		return
	case root == "string" || root == "number" || root == "bool": // types of variables
		return
	case len(path) < 2:
		c.say(t.SourceRange(), "%s leads nowhere", root)
		return
	}
	target := path[0] + "." + path[1]
	c.used[target] = true
	if !c.declared[target] {
		c.say(t.SourceRange(), "%s is not declared", target)
		return
	}
	schema, ok := c.schemas[path[0]]
	if !ok || len(path) < 3 {
		return
	}
	if !slices.Contains(schema.Attributes, path[2]) {
		c.say(t.SourceRange(), "%s has no attribute %s", strings.Join(path[:2], "."), path[2])
	}
}
