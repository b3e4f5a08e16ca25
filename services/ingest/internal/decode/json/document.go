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

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
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

// documentParser reads a JSON document. A name that is there twice in an object has the last of its values, as with
// every common parser of JSON; that is a warning.
type documentParser struct {
	*stdjson.Decoder
	text     []byte
	warnings decode.Warned
}

// parseDocument reads a whole JSON document.
func parseDocument(text []byte) (n *node, warnings []string, err error) {
	d := documentParser{Decoder: stdjson.NewDecoder(bytes.NewReader(text)), text: text}
	d.UseNumber()
	if n, err = d.node("the schema", 0); err != nil {
		return nil, nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("there is something behind the schema")
	}
	return n, d.warnings, nil
}

// node reads a value, of that name.
func (d *documentParser) node(of string, depth int) (*node, error) {
	if depth > maxSchemaDepth {
		return nil, fmt.Errorf("it nests deeper than %d levels", maxSchemaDepth)
	}
	parent, start := of, d.InputOffset()
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
		seen := map[string]int{} // indexes of members, by their names
		for d.More() {
			var m member
			if token == '{' {
				name, err := d.Token()
				if err != nil {
					return nil, err
				}
				m.name = name.(string)
				of = m.name
			}
			if m.value, err = d.node(of, depth+1); err != nil {
				return nil, err
			}
			at, twice := seen[m.name]
			switch {
			case token != '{':
				n.items = append(n.items, m.value)
			case twice:
				n.members[at].value = m.value
				d.warnings.Warn(parent, "%q is there twice; the last one is read", m.name)
			default:
				seen[m.name] = len(n.members)
				n.members = append(n.members, m)
			}
		}
		if _, err := d.Token(); err != nil {
			return nil, err
		}
	}
	// What lies before a value is white space, and the colon or comma.
	n.raw = bytes.TrimLeft(d.text[start:d.InputOffset()], " \t\r\n:,")
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
