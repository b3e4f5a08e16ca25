package sink

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// deep is a row with records inside each other.
func deep(levels int) *descriptorpb.DescriptorProto {
	d := text("Leaf", "x")
	for i := range levels {
		d = text(fmt.Sprintf("L%d", i), d)
	}
	return d
}

// wide is a row with so many columns.
func wide(columns int) *descriptorpb.DescriptorProto {
	names := make([]any, columns)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	return text("Row", names...)
}

// unfolding is a small descriptor of n types, each of which has the one before it twice: 2^n columns.
func unfolding(n int) *descriptorpb.DescriptorProto {
	row := text("Row", "x")
	of := func(number int32, name, of string) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &number, Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), TypeName: &of,
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	row.NestedType = []*descriptorpb.DescriptorProto{text("T0", "x")}
	for i := 1; i <= n; i++ {
		before := fmt.Sprintf(".Row.T%d", i-1)
		row.NestedType = append(row.NestedType, &descriptorpb.DescriptorProto{
			Name:  proto.String(fmt.Sprintf("T%d", i)),
			Field: []*descriptorpb.FieldDescriptorProto{of(1, "a", before), of(2, "b", before)},
		})
	}
	row.Field = append(row.Field, of(2, "top", fmt.Sprintf(".Row.T%d", n)))
	return row
}

// many is a row with so many types that nothing uses.
func many(types int) *descriptorpb.DescriptorProto {
	row := text("Row", "x")
	for i := range types {
		row.NestedType = append(row.NestedType, text(fmt.Sprintf("T%d", i), "x"))
	}
	row.NestedType[0].Field = nil // One field fewer: it is the types that are too many.
	row.NestedType[1].Field = nil
	return row
}

// longNames is a row with many fields in a type of a long full name.
func longNames() *descriptorpb.DescriptorProto {
	d := wide(9_900)
	d.Name = proto.String("Wide")
	for i := range 10 {
		d = text(fmt.Sprintf("L%d%s", i, strings.Repeat("n", 250)), d)
	}
	return d
}

func recursive() *descriptorpb.DescriptorProto {
	row := text("Row", "x")
	row.Field = append(row.Field, &descriptorpb.FieldDescriptorProto{
		Name: proto.String("self"), Number: proto.Int32(2), Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
		TypeName: proto.String(".Row"),
		Label:    descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	})
	return row
}

// What BigQuery would refuse of columns is refused without asking it, as the route's fault, with what to do about it,
// and at once, however much the descriptor unfolds to.
func TestColumnsThatNoTableHas(t *testing.T) {
	// A call would be tried again for ever.
	_, s := world(t, func(c *Config) { c.Endpoint.REST = "http://127.0.0.1:1" })
	for name, c := range map[string]struct {
		row  *descriptorpb.DescriptorProto
		says string
	}{
		"16 levels":                {deep(16), "at most 15 levels"},
		"60 levels":                {deep(60), "at most 15 levels"},
		"61 levels":                {deep(61), "declared more than 60 levels deep"},
		"5,000 levels":             {deep(5000), "at most 15 levels"},
		"long names of 9,900":      {longNames(), "the full names of its fields take"},
		"10,000 types":             {many(10_000), "10001 types"},
		"10,001 columns":           {wide(10_001), "at most 10000 columns"},
		"59,000 columns":           {wide(59_000), "at most 10000 columns"},
		"2^13 columns":             {unfolding(13), "more than the 10000 columns"},
		"2^15 columns, 17 levels":  {unfolding(16), "15 levels"},
		"2^60 columns":             {unfolding(60), "15 levels"},
		"a type inside itself":     {recursive(), "inside itself"},
		"no column":                {text("Row"), "has no fields"},
		"an empty record":          {text("Row", "x", text("Empty")), "has no fields"},
		"a long name":              {text("Row", strings.Repeat("n", 301)), "at most 300 characters, this one 301"},
		"a long name of a type":    {text(strings.Repeat("N", 301), "x"), "at most 300 characters, this one 301"},
		"a name with a dash":       {text("Row", "a-b"), "a-b"},
		"two names in lower case":  {text("Row", "Name", "x", "nAME"), "Name is there already"},
		"the same, further inside": {text("Row", text("Sub", "a", "A")), "Row.Sub.A"},
		"a partition":              {text("Row", "_Partitiontime"), "start with _PARTITION"},
		"a table":                  {text("Row", "_TABLE_SUFFIX"), "start with _TABLE_"},
		"a file":                   {text("Row", "_file_name"), "start with _FILE_"},
		"a row timestamp":          {text("Row", "_ROW_TIMESTAMPS"), "start with _ROW_TIMESTAMP"},
		"a root":                   {text("Row", "__ROOT__"), "start with __ROOT__"},
		"a column identifier":      {text("Row", "x", text("Sub", "_colidentifier1")), "start with _COLIDENTIFIER"},
		"four megabytes":           {text("Row", strings.Repeat("n", 5<<20)), "bytes, at most"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := s.Table(deadline(t), &lanev1.Route{
				Table: "t",
				Row:   &lanev1.Route_Descriptor_{Descriptor_: c.row},
			})
			if err == nil || !errors.Is(err, lane.ErrRoute) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %.500v, want %q", err, c.says)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if took := time.Since(began); took > 45*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// The largest table that BigQuery takes goes through, and its names up to the last character.
func TestColumnsAtTheLimit(t *testing.T) {
	for name, row := range map[string]*descriptorpb.DescriptorProto{
		"15 levels": deep(15), "10,000 columns": wide(10_000), "2^12 columns": unfolding(11),
		"10,000 types":             many(9_999),
		"a name of 300":            text("Row", strings.Repeat("n", 300)),
		"names inside and outside": text("Row", "a", text("Sub", "A")),
		"names like those kept":    text("Row", "_parti", "table_", "x_TABLE_", "_colid"),
	} {
		if _, err := newRowType(row); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, s := world(t)
	if _, err := s.Table(deadline(t), &lanev1.Route{
		Table: "t", Row: &lanev1.Route_Descriptor_{Descriptor_: wide(10_000)},
	}); err != nil {
		t.Error(err)
	}
}

func TestNamesOfTables(t *testing.T) {
	c := Config{Project: "p", Dataset: "d"}
	for name, ok := range map[string]bool{
		"événements-2 _x": true, strings.Repeat("t", 1024): true, "a.b": true, strings.Repeat("t", 1025): false,
		"t$20260101": false, "t@1": false, "t*": false,
		strings.Repeat("d", 1024) + ".t": true, "data-set.t": false, "d d.t": false, strings.Repeat("d", 1025) +
			".t": false,
		"t;": false,
	} {
		if _, err := c.locate(name); (err == nil) != ok {
			t.Errorf("%.40q: %v", name, err)
		}
	}
	for _, name := range []string{"", "d.", ".t", ".d.t", "a/b", "p/q.d.t"} {
		if _, err := c.locate(name); err == nil ||
			!strings.Contains(err.Error(), "write table, dataset.table or project.dataset.table") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
