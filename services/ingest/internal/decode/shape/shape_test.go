package shape

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// field is a node that a schema has; its parts are numbered in their order.
func field(name string, kind Kind, parts ...*Node) *Node {
	for i, p := range parts {
		p.Number = int32(i + 1)
	}
	n := &Node{Name: name, Kind: kind, From: kind, Type: kind.String(), Parts: parts, Writes: kind >= Record}
	n.Source = n
	return n
}

func record(parts ...*Node) *Node { return field("", Record, parts...) }

func list(name string, item *Node) *Node {
	n := ArrayOf(name, item)
	n.From, n.Writes, n.Source = Array, true, n
	return n
}

func named(name string, n *Node) *Node {
	n.Named = name
	return n
}

func numbered(number int32, n *Node) *Node {
	n.Number = number
	return n
}

func nullable(n *Node) *Node {
	n.Nullable = true
	return n
}

// described is a node with all that is below it: names, numbers and kinds.
func described(n *Node) string {
	text := fmt.Sprintf("%s#%d %s", n.Name, n.Number, n.Kind)
	if len(n.Symbols) > 0 {
		text += fmt.Sprint(n.Symbols)
	}
	if n.Nullable {
		text += "?"
	}
	if n.Required {
		text += "!"
	}
	if n.NotNull {
		text += "."
	}
	if len(n.Parts) == 0 {
		return text
	}
	parts := make([]string, len(n.Parts))
	for i, p := range n.Parts {
		parts[i] = described(p)
	}
	return text + "(" + strings.Join(parts, ", ") + ")"
}

// laid are the columns of a tree as a row's descriptor has them: name, number, type, * for REPEATED.
func laid(t *testing.T, l *Columns) string {
	t.Helper()
	row := &descriptorpb.DescriptorProto{
		Name: proto.String("Row"), NestedType: []*descriptorpb.DescriptorProto{{Name: proto.String("Header")}},
	}
	if err := l.AddPayload(row, "payload", 16); err != nil {
		t.Fatal(err)
	}
	var text func(m string) string
	text = func(name string) string {
		at := slices.IndexFunc(row.NestedType, func(m *descriptorpb.DescriptorProto) bool {
			return m.GetName() == name
		})
		if at < 0 {
			t.Fatalf("no message %s in %v", name, row)
		}
		var parts []string
		for _, f := range row.NestedType[at].Field {
			kind := strings.ToLower(strings.TrimPrefix(f.GetType().String(), "TYPE_"))
			if f.TypeName != nil {
				kind = f.GetTypeName() + text(f.GetTypeName())
			}
			if c, _ := proto.GetExtension(f.Options, columnv1.E_Column).(*columnv1.Column); c.GetType() != 0 {
				kind = strings.TrimPrefix(c.Type.String(), "COLUMN_TYPE_") + strings.TrimPrefix(kind, "string")
				if c.Precision > 0 {
					kind += fmt.Sprintf("(%d,%d)", c.Precision, c.Scale)
				}
			}
			if f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED {
				kind += "*"
			}
			parts = append(parts, fmt.Sprintf("%s=%d %s", f.GetName(), f.GetNumber(), kind))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return row.Field[0].GetTypeName() + text(row.Field[0].GetTypeName())
}

// compiled are the columns of a tree, or what is wrong with it.
func compiled(t *testing.T, root *Node, o decode.Options) string {
	t.Helper()
	o.Contract, o.Payload = "c", "payload"
	tree := New(root, &o)
	tree.Become = BySource
	tree.Whole = func(n *Node, c *decode.Column) bool { return n.Kind == Union && c.Type == decode.JSON }
	columns, err := tree.Compile(&o)
	if err != nil {
		return "!" + err.Error()
	}
	return laid(t, columns)
}
