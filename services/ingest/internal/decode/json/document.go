package json

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
)

// node is one value of a JSON document, with the fields of objects in their order: that of the columns.
type node struct {
	members []member           // of an object
	items   []*node            // of an array
	value   any                // nil, bool, string or stdjson.Number
	kind    takes              // 0 for null
	raw     stdjson.RawMessage // as it is written
}

type member struct {
	name  string
	value *node
}

// maxSchemaDepth bounds the nesting of a schema.
const maxSchemaDepth = 200

// parseDocument reads a whole JSON document.
func parseDocument(text []byte) (*node, error) {
	d := stdjson.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	n, err := parseNode(d, text, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind the schema")
	}
	return n, nil
}

func parseNode(d *stdjson.Decoder, text []byte, depth int) (*node, error) {
	if depth > maxSchemaDepth {
		return nil, fmt.Errorf("it nests deeper than %d levels", maxSchemaDepth)
	}
	start := d.InputOffset()
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	n := &node{value: token}
	switch token := token.(type) {
	case bool:
		n.kind = takesBool
	case string:
		n.kind = takesString
	case stdjson.Number:
		n.kind = takesNumber
	case stdjson.Delim:
		n.value, n.kind = nil, takesArray
		if token == '{' {
			n.kind = takesObject
		}
		seen := map[string]bool{}
		for d.More() {
			var m member
			if token == '{' {
				name, err := d.Token()
				if err != nil {
					return nil, err
				}
				if m.name = name.(string); seen[m.name] {
					return nil, fmt.Errorf("%q is there twice", m.name)
				}
				seen[m.name] = true
			}
			if m.value, err = parseNode(d, text, depth+1); err != nil {
				return nil, err
			}
			if token == '{' {
				n.members = append(n.members, m)
			} else {
				n.items = append(n.items, m.value)
			}
		}
		if _, err := d.Token(); err != nil {
			return nil, err
		}
	}
	// What lies before a value is white space, and the colon or comma.
	n.raw = bytes.TrimLeft(text[start:d.InputOffset()], " \t\r\n:,")
	return n, nil
}

// get returns a field of an object, nil if there is none.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for i := range n.members {
		if n.members[i].name == name {
			return n.members[i].value
		}
	}
	return nil
}

// text returns a string; empty for anything else.
func (n *node) text() string {
	if n == nil {
		return ""
	}
	s, _ := n.value.(string)
	return s
}

// is reports whether n is a boolean with that value.
func (n *node) is(value bool) bool { return n != nil && n.value == any(value) }

// at follows a JSON pointer in the fragment of a URI (RFC 6901, section 6).
func (n *node) at(fragment string) (*node, error) {
	pointer, err := url.PathUnescape(fragment)
	if err != nil {
		return nil, err
	}
	if pointer == "" {
		return n, nil
	}
	if pointer[0] != '/' {
		return nil, errors.New("no $anchor of the document is called so, and it is no path, such as #/$defs/Address")
	}
	for part := range strings.SplitSeq(pointer[1:], "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		next := n.get(part)
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(n.items) {
			next = n.items[i]
		}
		if next == nil {
			return nil, errors.New("there is no such place in the document")
		}
		n = next
	}
	return n, nil
}
