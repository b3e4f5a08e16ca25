package infer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Column is the column of a node.
type Column struct {
	// Type is BigQuery's, RECORD and JSON among them.
	Type string
	// Repeated counts the arrays around the values: REPEATED, and from the second on RECORD(items).
	Repeated int
	// Unspecified says that JSON Schema has no word for it: the contract's columns say it.
	Unspecified bool

	clash bool
	note  string
}

func (c Column) String() string { return strings.Repeat("REPEATED ", min(c.Repeated, 1)) + c.Type }

// column is what the values of a node become.
func (n *Node) column() Column {
	present := n.Present()
	switch {
	case n.anything:
		return Column{Type: "JSON", note: "rows would refuse some of its values"}
	case len(present) == 0:
		return Column{Type: "JSON", note: "no value but null was seen"}
	case n.more && (n.Kinds[Object] > 0 || n.Kinds[Array] > 0):
		return Column{Type: "JSON", note: "more levels or fields than make sense as columns"}
	case len(present) == 1:
		return n.only(present[0])
	case !slices.ContainsFunc(present, func(k Kind) bool { return k != Whole && k != Big && k != Number }):
		if n.Kinds[Number] > 0 {
			return Column{Type: "FLOAT"}
		}
		return n.only(Big)
	}
	said := make([]string, len(present))
	for i, k := range present {
		said[i] = k.String()
	}
	return Column{Type: "JSON", clash: true, note: "kinds clash: " + strings.Join(said, ", ")}
}

// only is the column of values of one kind.
func (n *Node) only(k Kind) Column {
	switch k {
	case Bool:
		return Column{Type: "BOOL"}
	case Whole:
		return Column{Type: "INTEGER"}
	case Number:
		return Column{Type: "FLOAT"}
	case Big:
		note := "beyond 64 bits"
		switch {
		case n.digits <= decode.NumericWhole:
			return Column{Type: "NUMERIC", Unspecified: true, note: note}
		case n.digits <= decode.BigNumericWhole:
			return Column{Type: "BIGNUMERIC", Unspecified: true, note: note}
		}
		return Column{Type: "FLOAT", note: "more digits than BIGNUMERIC has"}
	case Text:
		switch {
		case n.plain:
		case n.times == n.Kinds[Text]:
			return Column{Type: "TIMESTAMP"}
		case n.dates == n.Kinds[Text]:
			return Column{Type: "DATE"}
		}
		return Column{Type: "STRING"}
	case Object:
		switch {
		case n.isMap():
			if _, ok := n.values(); ok {
				return Column{
					Type: "RECORD(key, value)", Repeated: 1,
					note: fmt.Sprintf("a map: %d keys", len(n.Names)),
				}
			}
			return Column{Type: "JSON", note: fmt.Sprintf("a map: %d keys, values of several kinds", len(n.Names))}
		case !n.hasColumns():
			return Column{Type: "JSON", note: "objects without fields that can be columns"}
		}
		return Column{Type: "RECORD"}
	}
	switch {
	case n.Items == nil:
		return Column{Type: "JSON", note: "arrays that are empty"}
	case !n.isArray():
		return Column{Type: "JSON", note: "an array: " + n.Items.column().note, clash: n.Items.column().clash}
	}
	c := n.Items.column()
	c.Repeated++
	return c
}

const (
	// mapKeys is from how many fields on an object may be a map, mapShare the share of objects that have a field of it
	// at most, on the average.
	mapKeys  = 20
	mapShare = 0.3
)

// isMap says that the names of an object's fields look like values: there are many, and each object has few, or most
// cannot be names of columns. The payload itself never is one.
func (n *Node) isMap() bool {
	objects := n.Kinds[Object]
	if objects == 0 || len(n.Names) == 0 {
		return false
	}
	seen := 0
	for _, f := range n.Fields {
		seen += f.Seen
	}
	if len(n.Names) >= mapKeys && float64(seen) < mapShare*float64(objects)*float64(len(n.Names)) {
		return true
	}
	return 2*len(n.misnamed()) > len(n.Names)
}

// values is the column of all values of a map, if they have one of a single value.
func (n *Node) values() (Column, bool) {
	var all Column
	for i, name := range n.Names {
		c := n.Fields[name].column()
		if c.Type == "JSON" || c.Type == "RECORD" || c.Repeated > 0 || c.Unspecified || i > 0 && c.Type != all.Type {
			return Column{}, false
		}
		all = c
	}
	return all, len(n.Names) > 0
}

// misnamed are the fields whose names cannot be those of columns, with the reason.
func (n *Node) misnamed() map[string]string {
	out := map[string]string{}
	for _, name := range n.Names {
		if reason := nameFault(name); reason != "" {
			out[name] = reason
		}
	}
	return out
}

// called are the names of the columns of fields that cannot have their own, since it is none of a column or another one
// has it but for its case; left the fields that cannot be named in a contract either, with the reason.
func (n *Node) called() (names, left map[string]string) {
	names, left = map[string]string{}, n.misnamed()
	seen := map[string]bool{extra: true}
	var others []string
	for _, name := range n.Names {
		lower := strings.ToLower(name)
		switch _, bad := left[name]; {
		case bad && (lower == extra || !isPath(name)):
		case bad, seen[lower]:
			others = append(others, name)
		default:
			seen[lower] = true
		}
	}
	for _, name := range others {
		names[name] = decode.SuggestName(name, seen)
		seen[strings.ToLower(names[name])] = true
		delete(left, name)
	}
	return names, left
}

// extra is the column of what no other holds.
const extra = "_extra"

// isPath says that a field can be named in the paths of a contract's columns by its name.
func isPath(name string) bool {
	return name != "" && !strings.ContainsAny(name, ".[]") && !strings.ContainsFunc(name, unicode.IsControl)
}

// nameFault says why a name is not that of a column; empty if it is.
func nameFault(name string) string {
	switch {
	case name == "" || strings.EqualFold(name, extra):
		return "its name is taken, or empty"
	case !decode.IsName(name):
		return "its name is not made of letters, digits and underscores"
	}
	return decode.CheckName(name, map[string]bool{})
}

// hasColumns says that not all fields of an object are left out.
func (n *Node) hasColumns() bool {
	_, left := n.called()
	return len(left) < len(n.Names)
}

// Schema is a JSON Schema (2020-12) of the objects, and what a contract says of columns that it has no words for, by
// path: type, name or both as in {type: NUMERIC, name: order_id}, without the braces. Every field may be null or
// missing: the next record may lack what all of these have.
func (t *Tree) Schema() (schema []byte, columns map[string]string, err error) {
	columns = map[string]string{}
	var b bytes.Buffer
	b.WriteString(`{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",`)
	t.root.properties(&b, "", columns)
	b.WriteByte('}')
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, b.Bytes(), "", "  "); err != nil {
		return nil, nil, fmt.Errorf("the schema is no JSON: %w", err)
	}
	pretty.WriteByte('\n')
	return pretty.Bytes(), columns, nil
}

// properties writes the fields of an object.
func (n *Node) properties(b *bytes.Buffer, path string, columns map[string]string) {
	b.WriteString(`"properties":{`)
	names, left := n.called()
	first := true
	for _, name := range n.Names {
		if _, out := left[name]; out {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.Write(quoted(name))
		b.WriteByte(':')
		at := join(path, name)
		n.Fields[name].write(b, at, columns, true)
		if as, ok := names[name]; ok {
			columns[at] = strings.TrimSuffix("name: "+as+", "+columns[at], ", ")
		}
	}
	b.WriteByte('}')
}

var schemaTypes = map[string]string{
	"BOOL": `"boolean"`, "INTEGER": `"integer"`, "FLOAT": `"number"`, "NUMERIC": `"number"`, "BIGNUMERIC": `"number"`,
	"STRING": `"string"`, "TIMESTAMP": `"string"`, "DATE": `"string"`, "RECORD": `"object"`,
}

// write writes the schema of a node; optional says that null is taken whether it was seen or not.
func (n *Node) write(b *bytes.Buffer, path string, columns map[string]string, optional bool) {
	c := n.column()
	if c.Type == "JSON" {
		b.WriteString(`{`)
		if c.note != "" {
			fmt.Fprintf(b, `"description":%s`, quoted(c.note))
		}
		b.WriteString(`}`)
		return
	}
	nulls := optional || n.Kinds[Null] > 0
	kind := func(name string) string {
		if nulls {
			return `{"type":[` + name + `,"null"]`
		}
		return `{"type":` + name
	}
	switch {
	case n.isArray():
		b.WriteString(kind(`"array"`) + `,"items":`)
		switch at := n.Items; { // what is around items that are no plain values is a RECORD
		case at.isArray():
			at.write(b, path+".items", columns, false)
		case at.Kinds[Null] > 0:
			at.write(b, path+".value", columns, false)
		default:
			at.write(b, path, columns, false)
		}
	case n.Kinds[Object] > 0 && n.isMap():
		b.WriteString(kind(`"object"`) + `,"additionalProperties":`)
		values, _ := n.values()
		fmt.Fprintf(b, `{"type":[%s,"null"]%s}`, schemaTypes[values.Type], format(values.Type))
	case c.Type == "RECORD":
		b.WriteString(kind(`"object"`) + `,`)
		n.properties(b, path, columns)
	default:
		if c.Unspecified {
			columns[path] = "type: " + c.Type
		}
		b.WriteString(kind(schemaTypes[c.Type]) + format(c.Type))
	}
	b.WriteByte('}')
}

func format(column string) string {
	switch column {
	case "TIMESTAMP":
		return `,"format":"date-time"`
	case "DATE":
		return `,"format":"date"`
	}
	return ""
}

func quoted(s string) []byte {
	out, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`) // a string always encodes
	}
	return out
}
