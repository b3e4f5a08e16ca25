package json

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Reference is a document that another one refers to, by the name under which it does so: a file such as address.json,
// or a URL.
type Reference struct{ Name, Text string }

// document is a schema that references may lead to.
type document struct {
	root *node
	// base is what its references are relative to, an absolute URI: its $id, else its name.
	base string
	name string
	// warnings are what is wrong with it as JSON and does not matter.
	warnings []string
	// anchors are its schemas by the names of their anchors; nil until one is looked for.
	anchors map[string]*node
}

// at follows the fragment of a URI: the name of an anchor, or a JSON pointer.
func (d *document) at(fragment string) (*node, error) {
	if name, err := url.PathUnescape(fragment); err == nil && name != "" && name[0] != '/' {
		if d.anchors == nil {
			d.anchors = map[string]*node{}
			d.anchor(d.root)
		}
		if n := d.anchors[name]; n != nil {
			return n, nil
		}
	}
	return d.root.at(fragment)
}

// anchor keeps the anchors of a schema and of those in it, as the drafts write them: the first one of a name.
func (d *document) anchor(n *node) {
	id, is := strings.CutPrefix(n.get("$id").text(), "#")
	if !is {
		id = ""
	}
	for _, name := range []string{n.get("$anchor").text(), n.get("$dynamicAnchor").text(), id} {
		if name != "" && d.anchors[name] == nil {
			d.anchors[name] = n
		}
	}
	for i := range n.members {
		d.anchor(n.members[i].value)
	}
	for _, item := range n.items {
		d.anchor(item)
	}
}

// nowhere makes relative URIs absolute where there is nothing else that they are relative to.
const nowhere = "schema:///"

// pointer is where a reference leads to: a JSON pointer in a document.
type pointer struct {
	in       *document
	fragment string
	// payload: the payload, or a part of it, is read from there: alternatives become columns and not a JSON column.
	payload bool
}

// readDocuments reads a schema and what it refers to; the schema itself is the first one.
func readDocuments(schema []byte, references []Reference) ([]*document, error) {
	texts, size := append([]Reference{{Text: string(schema)}}, references...), 0
	for i := range texts {
		size += len(texts[i].Text)
	}
	if size > decode.MaxSchema {
		return nil, fmt.Errorf("schema: it and what it refers to have %d bytes, more than %d", size, decode.MaxSchema)
	}
	var all []*document
	base := nowhere
	for _, r := range texts {
		root, warnings, err := parseDocument([]byte(r.Text))
		switch {
		case err != nil && len(all) == 0:
			return nil, fmt.Errorf("schema: %w", err)
		case err != nil:
			return nil, fmt.Errorf("schema %s, which the schema refers to: %w", r.Name, err)
		}
		all = append(all, &document{
			root: root, base: resolve(base, cmp.Or(idOf(root), r.Name)), name: r.Name, warnings: warnings,
		})
		base = all[0].base
	}
	return all, nil
}

// idOf is a document's own URI without a fragment, empty if it has none.
func idOf(root *node) string { return strings.TrimSuffix(root.get("$id").text(), "#") }

// resolve makes a reference absolute (RFC 3986, section 5). What is no URI stays as it is: registries take any name.
func resolve(base, reference string) string {
	b, err := url.Parse(base)
	if err != nil {
		return reference
	}
	r, err := b.Parse(reference)
	if err != nil {
		return reference
	}
	return r.String()
}

// find is the place that a reference in a document leads to: within it, or in the document that the registry has under
// the name as it is written there, or under the URI that it resolves to.
func (s *shaper) find(in *document, ref string) (pointer, error) {
	uri, fragment, _ := strings.Cut(ref, "#")
	if uri == "" {
		return pointer{in: in, fragment: fragment}, nil
	}
	for _, d := range s.documents {
		if d.name == uri {
			return pointer{in: d, fragment: fragment}, nil
		}
	}
	absolute := resolve(in.base, uri)
	for _, d := range s.documents {
		if d.base == absolute || d.name != "" && resolve(s.documents[0].base, d.name) == absolute {
			return pointer{in: d, fragment: fragment}, nil
		}
	}
	return pointer{}, errors.New(
		"it leads out of the document: put the schema into $defs, or register it and refer to it by this name")
}
