package ingest

import (
	"encoding/binary"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/infer"
)

// columnCounts counts how often the columns of a payload are null, by the rows themselves.
type columnCounts struct {
	route   *lanev1.Route
	printer *rowPrinter
	paths   []string
	fieldOf map[string]*infer.Field
	failed  error
}

// add counts a row, one entry of `repeated rows = 1`. The route is that of the row: a contract may have grown.
func (c *columnCounts) add(route *lanev1.Route, payload string, framed []byte) {
	if c.failed != nil {
		return
	}
	if c.route != route {
		c.route = route
		if c.printer, c.failed = newRowPrinter(route); c.failed != nil {
			return
		}
	}
	_, n := binary.Uvarint(framed[1:])
	row := dynamicpb.NewMessage(c.printer.message)
	if c.failed = proto.Unmarshal(framed[1+n:], row); c.failed != nil {
		return
	}
	f := c.printer.message.Fields().ByName(protoreflect.Name(payload))
	if f == nil || f.Kind() != protoreflect.MessageKind || f.IsList() || !row.Has(f) {
		return // a raw payload, or a null one
	}
	c.record(row.Get(f).Message(), "")
}

func (c *columnCounts) record(m protoreflect.Message, path string) {
	if c.fieldOf == nil {
		c.fieldOf = map[string]*infer.Field{}
	}
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		at := path + string(f.Name())
		if f.IsList() {
			at += "[]"
		}
		n := c.fieldOf[at]
		if n == nil {
			n = &infer.Field{Path: at, Column: columnOf(f), Kinds: map[string]int{}}
			c.fieldOf[at] = n
			c.paths = append(c.paths, at)
		}
		n.Of++
		switch {
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			for j := range m.Get(f).List().Len() {
				c.record(m.Get(f).List().Get(j).Message(), at+".")
			}
		case f.IsList():
		case !m.Has(f):
			n.Null++
		case f.Kind() == protoreflect.MessageKind:
			c.record(m.Get(f).Message(), at+".")
		}
	}
}

// fields are the columns, those of a record behind it.
func (c *columnCounts) fields() []infer.Field {
	var all []infer.Field
	var below func(prefix string)
	below = func(prefix string) {
		for _, path := range c.paths {
			rest, ok := strings.CutPrefix(path, prefix)
			if !ok || strings.Contains(rest, ".") {
				continue
			}
			all = append(all, *c.fieldOf[path])
			below(path + ".")
		}
	}
	below("")
	return all
}

// columnOf is the BigQuery type of a field of a row, with its mode where it is repeated.
func columnOf(f protoreflect.FieldDescriptor) string {
	if f.IsList() {
		return "REPEATED " + columnType(f)
	}
	return columnType(f)
}
