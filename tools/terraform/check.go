// Package terraform checks the files of deploy/terraform without Terraform: they parse and are formatted, every
// resource and argument is one that the provider has, and every reference leads somewhere.
package terraform

import (
	"bytes"
	_ "embed" // the schemas
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// schemasJSON has the resources in use as version 6.50.0 of the provider google knows them, from the types that the npm
// package @cdktf/provider-google 16.12.1 makes of it.
//
//go:embed schemas.json
var schemasJSON []byte

// resource is what the provider knows of a kind of resource.
type resource struct {
	Arguments  map[string]argument `json:"arguments"`
	Attributes []string            `json:"attributes"`
}

type argument struct {
	Required bool                `json:"required"`
	Block    map[string]argument `json:"block"`
}

// meta are what every resource may have.
var meta = []string{"for_each", "count", "depends_on", "lifecycle", "provider"}

// checker is one look at a folder.
type checker struct {
	schemas  map[string]resource
	declared map[string]bool // var.x, local.x, kind.name
	used     map[string]bool
	found    []string
}

// Check says what is wrong with the files of a folder, a line each; nothing when all is well. The error says that it
// could not look.
func Check(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s has no .tf files", dir)
	}
	c := &checker{declared: map[string]bool{}, used: map[string]bool{}}
	if err := json.Unmarshal(schemasJSON, &c.schemas); err != nil {
		return nil, err
	}
	var bodies []*hclsyntax.Body
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(path)
		file, problems := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
		if problems.HasErrors() {
			c.found = append(c.found, problems.Error())
			continue
		}
		if !bytes.Equal(hclwrite.Format(text), text) {
			c.found = append(c.found, name+" is not formatted: terraform fmt")
		}
		bodies = append(bodies, file.Body.(*hclsyntax.Body))
	}
	for _, body := range bodies {
		c.declare(body)
	}
	for _, body := range bodies {
		for _, block := range body.Blocks {
			c.block(block)
		}
	}
	for name := range c.declared {
		if len(name) > 4 && name[:4] == "var." && !c.used[name] {
			c.found = append(c.found, name+" is declared and never used")
		}
	}
	slices.Sort(c.found)
	return c.found, nil
}

func (c *checker) declare(body *hclsyntax.Body) {
	for _, b := range body.Blocks {
		switch b.Type {
		case "variable":
			c.declared["var."+b.Labels[0]] = true
		case "locals":
			for name := range b.Body.Attributes {
				c.declared["local."+name] = true
			}
		case "resource":
			c.declared[b.Labels[0]+"."+b.Labels[1]] = true
		}
	}
}

func (c *checker) say(at hcl.Range, format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf("%s:%d: ", at.Filename, at.Start.Line)+fmt.Sprintf(format, args...))
}

func (c *checker) block(b *hclsyntax.Block) {
	switch b.Type {
	case "terraform", "provider", "locals", "output":
	case "variable":
		for _, name := range []string{"description", "type"} {
			if b.Body.Attributes[name] == nil {
				c.say(b.TypeRange, "variable %s has no %s", b.Labels[0], name)
			}
		}
	case "resource":
		schema, ok := c.schemas[b.Labels[0]]
		if !ok {
			c.say(b.TypeRange, "the provider's schemas have no resource %s", b.Labels[0])
			break
		}
		c.arguments(b.Body, schema.Arguments, b.Labels[0], meta)
	default:
		c.say(b.TypeRange, "a block %s is not expected here", b.Type)
	}
	c.references(b.Body, nil)
}

// arguments compares the arguments and blocks of a body with what there is.
func (c *checker) arguments(body *hclsyntax.Body, known map[string]argument, of string, also []string) {
	given := map[string]bool{}
	for name, a := range body.Attributes {
		given[name] = true
		if _, ok := known[name]; !ok && !slices.Contains(also, name) {
			c.say(a.NameRange, "%s has no argument %s", of, name)
		}
	}
	for _, b := range body.Blocks {
		name, inner := b.Type, b.Body
		if b.Type == "dynamic" {
			name, inner = b.Labels[0], nil
			for _, content := range b.Body.Blocks {
				if content.Type == "content" {
					inner = content.Body
				}
			}
			if inner == nil {
				c.say(b.TypeRange, "dynamic %s has no content", name)
				continue
			}
		}
		given[name] = true
		a, ok := known[name]
		if !ok && slices.Contains(also, name) {
			continue
		}
		if a.Block == nil {
			c.say(b.TypeRange, "%s has no block %s", of, name)
			continue
		}
		c.arguments(inner, a.Block, of+"."+name, nil)
	}
	for name, a := range known {
		if a.Required && !given[name] {
			c.say(body.SrcRange, "%s lacks %s", of, name)
		}
	}
}
