// Package infer looks at JSON objects without a schema and writes one that takes them all.
//
//	var t infer.Tree
//	err := t.Observe(payload)       // of each record
//	fields := t.Fields()            // what was seen, path by path
//	schema, columns := t.Schema()   // a JSON Schema, and what it cannot say, by path
//
// What a column would refuse becomes JSON, a field that cannot name a column gets another name, and what a contract
// cannot name is left out of the schema, to be kept in `_extra`. Memory is bounded whatever the objects hold.
package infer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Kind is a kind of JSON values.
type Kind uint8

// The kinds. A whole number is Big where 64 bits do not hold it.
const (
	Null Kind = iota
	Bool
	Whole
	Big
	Number
	Text
	Object
	Array
	kinds
)

var kindNames = [kinds]string{
	"null", "boolean", "whole number", "huge whole number", "number", "text", "object", "array",
}

func (k Kind) String() string { return kindNames[k] }

const (
	// mostNodes bounds a tree, mostMembers the fields of one object in it.
	mostNodes   = 20_000
	mostMembers = 1_000
	// mostDepth is where objects and arrays become JSON columns. BigQuery nests 15 levels, of which arrays of arrays
	// take two.
	mostDepth = 7
)

// Tree is the objects seen. The zero value has seen none. Not safe for concurrent use.
type Tree struct {
	root  Node
	nodes int
}

// Node is the values seen at one path.
type Node struct {
	// Seen counts the values, those of each kind by Kinds.
	Seen  int
	Kinds [kinds]int
	// Names are the fields of objects in the order of their appearance, Fields what they hold.
	Names  []string
	Fields map[string]*Node
	// Items are those of all arrays.
	Items *Node
	// more says that objects have more fields, or values more levels, than the tree keeps.
	more bool
	// times counts the texts that are RFC 3339 with a zone, dates those that are a date.
	times, dates int
	// digits is the length of the longest Big.
	digits int
	// anything makes a JSON column of the node, plain a STRING of one whose texts look like times.
	anything, plain bool
}

// Observe adds an object. The error says that the payload is not JSON, or no object; nothing is added then.
func (t *Tree) Observe(payload []byte) error {
	if !json.Valid(payload) {
		return errors.New("it is not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	first, err := d.Token()
	if err != nil {
		return err
	}
	if first != json.Delim('{') {
		return errors.New("it is no JSON object")
	}
	return t.observe(d, &t.root, first, 0)
}

// observe adds the value that begins with a token. A nil node is one that the tree has no room for.
func (t *Tree) observe(d *json.Decoder, n *Node, first json.Token, depth int) error {
	k := kindOf(first)
	if n != nil {
		n.Seen++
		n.Kinds[k]++
		n.look(k, first)
		if (k == Object || k == Array) && depth >= mostDepth {
			n.more = true
		}
	}
	switch k {
	case Object:
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return err
			}
			if err := t.next(d, t.member(n, name.(string), depth), depth+1); err != nil {
				return err
			}
		}
	case Array:
		for d.More() {
			if err := t.next(d, t.items(n, depth), depth+1); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err := d.Token() // what closes it
	return err
}

func (t *Tree) next(d *json.Decoder, n *Node, depth int) error {
	first, err := d.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	return t.observe(d, n, first, depth)
}

// member is the node of an object's field; nil where there is no room for another one.
func (t *Tree) member(n *Node, name string, depth int) *Node {
	if n == nil || depth >= mostDepth {
		return nil
	}
	if f, ok := n.Fields[name]; ok {
		return f
	}
	if t.nodes >= mostNodes || len(n.Names) >= mostMembers {
		n.more = true
		return nil
	}
	if n.Fields == nil {
		n.Fields = map[string]*Node{}
	}
	t.nodes++
	f := &Node{}
	n.Names, n.Fields[name] = append(n.Names, name), f
	return f
}

func (t *Tree) items(n *Node, depth int) *Node {
	if n == nil || depth >= mostDepth {
		return nil
	}
	if n.Items == nil {
		if t.nodes >= mostNodes {
			n.more = true
			return nil
		}
		t.nodes++
		n.Items = &Node{}
	}
	return n.Items
}

func kindOf(token json.Token) Kind {
	switch v := token.(type) {
	case bool:
		return Bool
	case string:
		return Text
	case json.Delim:
		if v == '[' {
			return Array
		}
		return Object
	case json.Number:
		text := v.String()
		switch _, err := strconv.ParseInt(text, 10, 64); {
		case strings.ContainsAny(text, ".eE"):
			return Number
		case err != nil:
			return Big
		}
		return Whole
	}
	return Null
}

// look remembers of a value what its column depends on beside its kind.
func (n *Node) look(k Kind, token json.Token) {
	switch k {
	case Big:
		n.digits = max(n.digits, len(strings.TrimPrefix(token.(json.Number).String(), "-")))
	case Text:
		text := []byte(token.(string))
		m, reason := decode.ReadMoment(text)
		switch _, ok := m.Micros(); {
		case reason != "" || !ok:
		case m.HasZone && m.HasClock:
			n.times++
		case !m.HasClock && !m.HasZone:
			n.dates++
		}
	}
}

// Present is the kinds of the values that are not null.
func (n *Node) Present() (all []Kind) {
	for k := Bool; k < kinds; k++ {
		if n.Kinds[k] > 0 {
			all = append(all, k)
		}
	}
	return all
}

// Give says that rows refuse what is at the path of a decode.Error: a time becomes text, all else JSON. It returns
// false where there is nothing left to give up.
func (t *Tree) Give(path string) bool {
	n := &t.root
	for part := range strings.SplitSeq(path, ".") {
		name, _, _ := strings.Cut(part, "[")
		for n.Items != nil && n.Fields[name] == nil {
			if name == "value" || name == "items" { // columns around the items of arrays
				break
			}
			n = n.Items
		}
		if f, ok := n.Fields[name]; ok {
			n = f
		} else if n.Items != nil {
			n = n.Items
		} else {
			break
		}
	}
	for n.Items != nil && len(n.Present()) == 1 && !n.anything && n.Items.gives() {
		n = n.Items
	}
	switch {
	case n == &t.root || n.anything:
		return false
	case n.column().Type == "TIMESTAMP" || n.column().Type == "DATE":
		n.plain = true
	default:
		n.anything = true
	}
	return true
}

// gives says that items have a type of their own to give up.
func (n *Node) gives() bool { t := n.column().Type; return t == "TIMESTAMP" || t == "DATE" }

// HasColumns says that any field can be a column.
func (t *Tree) HasColumns() bool { return t.root.hasColumns() }

// Field is what was seen at one path.
type Field struct {
	// Path has [] behind what is an array: items[].price.
	Path string `json:"path"`
	// Of counts the objects that may have it, Absent those that do not.
	Of     int `json:"of"`
	Absent int `json:"absent"`
	Null   int `json:"null"`
	// Kinds counts the values by kind, null apart.
	Kinds map[string]int `json:"kinds"`
	// Column is what it becomes; empty where it is left out.
	Column string `json:"column"`
	// Clash says that values of kinds are there that no column takes but JSON.
	Clash bool `json:"clash,omitempty"`
	// Note says why the column is not what one would expect.
	Note string `json:"note,omitempty"`
}

// Fields lists all paths with what they become, objects before their fields.
func (t *Tree) Fields() []Field {
	return t.root.fields(nil, "")
}

func (n *Node) fields(all []Field, path string) []Field {
	if n.isMap() {
		return all
	}
	names, left := n.called()
	for _, name := range n.Names {
		f, at := n.Fields[name], join(path, name)
		found := f.field(at, n.Kinds[Object])
		if reason, ok := left[name]; ok {
			found.Column, found.Note, found.Clash = "", "in _extra: "+reason, false
			all = append(all, found)
			continue
		}
		if as, ok := names[name]; ok {
			found.Note = strings.TrimSuffix("called "+as+"; "+found.Note, "; ")
		}
		all = append(all, found)
		if f.column().Type == "RECORD" {
			all = f.inner().fields(all, at+f.marks())
		}
	}
	return all
}

func (n *Node) field(path string, of int) Field {
	c := n.column()
	f := Field{
		Path: path + n.marks(), Of: of, Absent: max(0, of-n.Seen), Null: n.Kinds[Null], Kinds: map[string]int{},
		Column: c.String(), Clash: c.clash, Note: c.note,
	}
	for _, k := range n.Present() {
		f.Kinds[k.String()] = n.Kinds[k]
	}
	return f
}

// marks are [] for each level of arrays.
func (n *Node) marks() string {
	levels := 0
	for ; n.isArray(); n = n.Items {
		levels++
	}
	return strings.Repeat("[]", levels)
}

// inner is what arrays hold.
func (n *Node) inner() *Node {
	for n.isArray() {
		n = n.Items
	}
	return n
}

// isArray says that the node's column is REPEATED.
func (n *Node) isArray() bool {
	return !n.anything && !n.more && n.Items != nil && slices.Equal(n.Present(), []Kind{Array}) && !n.Items.unclear()
}

// unclear says that values are not of one kind with a column of its own.
func (n *Node) unclear() bool { return n.column().Type == "JSON" }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
