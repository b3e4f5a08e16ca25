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

// BigQuery's limits on levels, columns and the length of names, to the last one that it takes.
func TestLimitsOfATree(t *testing.T) {
	deep := func(levels int) *Node { // of RECORDs, the payload among them
		n := field("leaf", Int32)
		for range levels - 1 {
			n = field("r", Record, n)
		}
		return record(n)
	}
	wide := func(columns int) *Node {
		parts := make([]*Node, columns)
		for i := range parts {
			parts[i] = field(fmt.Sprint("c", i), Int32)
		}
		return record(parts...)
	}
	long := func(letters int) *Node {
		return record(field(strings.Repeat("x", letters), Record, field("y", Int32)), field("z", Int32))
	}
	for _, c := range []struct {
		name   string
		root   *Node
		refuse string
	}{
		{"levels", deep(decode.MaxNesting), ""},
		{"a level more", deep(decode.MaxNesting + 1), "nested deeper"},
		{"columns", wide(decode.MaxColumns - 1), ""},
		{"a column more", wide(decode.MaxColumns + 1), fmt.Sprintf("payload.c%d: it is beyond", decode.MaxColumns)},
		{"a long name", long(decode.MaxColumnName), ""},
		{"a letter more", long(decode.MaxColumnName + 1), "characters"},
	} {
		got := compiled(t, c.root, decode.Options{})
		if got[0] == '!' != (c.refuse != "") || !strings.Contains(got, c.refuse) || strings.Count(got, ";") > 1 {
			t.Errorf("%s: %.300s, want %s", c.name, got, c.refuse)
		}
	}
	// With the envelope's.
	for envelope, takes := range map[int]bool{1: true, 2: false} {
		o := decode.Options{Payload: "payload"}
		tree := New(wide(decode.MaxColumns-3), &o)
		tree.Become = BySource
		columns, err := tree.Compile(&o)
		if err != nil {
			t.Fatal(err)
		}
		row := &descriptorpb.DescriptorProto{
			Name: proto.String("Row"), Field: make([]*descriptorpb.FieldDescriptorProto, envelope),
		}
		row.NestedType = []*descriptorpb.DescriptorProto{{
			Name: proto.String("H"), Field: make([]*descriptorpb.FieldDescriptorProto, 1),
		}}
		if err := columns.AddPayload(row, "payload", 16); (err == nil) != takes {
			t.Errorf("%d columns of the envelope: %v", envelope+1, err)
		}
	}
}

// Descriptions of fields and of the payload are those of the columns.
func TestDescriptions(t *testing.T) {
	root := record(field("a", Int32), field("b", Record, field("x", Int32)), field("c", Int32))
	root.Doc, root.Parts[0].Doc, root.Parts[1].Doc = "All.", "First.", "Second."
	o := decode.Options{Payload: "payload"}
	columns, err := New(root, &o).Compile(&o)
	if err != nil {
		t.Fatal(err)
	}
	row := &descriptorpb.DescriptorProto{Name: proto.String("Row")}
	if err := columns.AddPayload(row, "payload", 16); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, f := range slices.Concat(row.Field, row.NestedType[0].Field) {
		c, _ := proto.GetExtension(f.Options, columnv1.E_Column).(*columnv1.Column)
		texts = append(texts, c.GetDescription())
		if c.GetDescription() == "" && f.Options != nil {
			t.Errorf("%s has options without need", f.GetName())
		}
	}
	if got := strings.Join(texts, "|"); got != "All.|First.|Second.|" {
		t.Error(got)
	}
}

// Bounds are the numbers of the fields start and end, whichever is first.
func TestBounds(t *testing.T) {
	n := field("r", Range, field("end", Date), field("start", Date))
	if got := n.Bounds(); *got != (decode.RangeBounds{Start: 2, End: 1}) {
		t.Errorf("%+v", got)
	}
}

// Hints have a say where nothing else has: neither the contract, nor the envelope, nor what is within.
func TestHeed(t *testing.T) {
	hinted := func(n *Node) *Node {
		n.Hint = &decode.Column{Type: decode.Timestamp, Unit: decode.Millis}
		return n
	}
	whole := func(n *Node) *Node {
		n.Hint = &decode.Column{Type: decode.JSON}
		return n
	}
	at := func() *Node { return hinted(field("at", Int64)) }
	for _, c := range []struct {
		name string
		root *Node
		o    decode.Options
		want string
	}{
		{"heeded", record(at()), decode.Options{}, "Payload{at=1 TIMESTAMPint64}"},
		{"ignored", record(at()), decode.Options{IgnoreHints: true}, "Payload{at=1 int64}"},
		{
			"asked otherwise", record(at()),
			decode.Options{Columns: decode.Columns{"at": {Type: decode.String}}},
			"Payload{at=1 string}",
		},
		{
			"asked to stay", record(at()),
			decode.Options{Columns: decode.Columns{"at": {Type: decode.Integer}}},
			"Payload{at=1 int64}",
		},
		{"the event's time", record(at()), decode.Options{EventTime: "at"}, "Payload{at=1 int64}"},
		{"the event's id", record(at()), decode.Options{EventID: "at"}, "Payload{at=1 int64}"},
		{
			"a branch", record(field("u", Union, at(), field("s", String))),
			decode.Options{},
			"Payload{u=1 UUnion{at=1 int64, s=2 string}}",
		},
		{"of another type", record(hinted(field("d", Double))), decode.Options{}, "Payload{d=1 double}"},
		{"within", record(field("r", Record, at())), decode.Options{}, "Payload{r=1 R{at=1 TIMESTAMPint64}}"},
		{"a record", record(whole(field("r", Record, field("x", Int64)))), decode.Options{}, "Payload{r=1 JSON}"},
		{
			"a record of which a part is named", record(whole(field("r", Record, field("x", Int64)))),
			decode.Options{Columns: decode.Columns{"r.x": {Name: "y"}}},
			"Payload{r=1 R{y=1 int64}}",
		},
		{
			"a record that has the event's id", record(whole(field("r", Record, field("s", Record, field("x", Int64))))),
			decode.Options{EventID: "r.s.x"},
			"Payload{r=1 R{s=1 S{x=1 int64}}}",
		},
		{
			"a record of which a part is asked otherwise", record(whole(field("r", Record, field("x", Int64)))),
			decode.Options{Columns: decode.Columns{"r.x": {Type: decode.String}}},
			"Payload{r=1 R{x=1 string}}",
		},
		{
			"a record of which a part is skipped",
			record(whole(field("r", Record, field("x", Int64), field("y", Int64)))),
			decode.Options{Columns: decode.Columns{"r.x": {Skip: true}}},
			"Payload{r=1 R{y=2 int64}}",
		},
		{
			"a path of the event that leads nowhere", record(at()),
			decode.Options{EventID: "no"},
			"!payload.no: event_id: the schema has no field no here",
		},
		{
			"asked to stay a record, within another", record(field("r", Record, whole(field("s", Record, at())))),
			decode.Options{Columns: decode.Columns{"r.s": {Type: decode.Record}}},
			"Payload{r=1 R{s=1 S{at=1 TIMESTAMPint64}}}",
		},
		{
			"skipped", record(field("k", Int32), at()),
			decode.Options{Columns: decode.Columns{"at": {Skip: true}}},
			"Payload{k=1 int32}",
		},
	} {
		if got := compiled(t, c.root, c.o); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Where the payload's column is a record of it, nothing but that, what is named beside it and the records around it has
// columns.
func TestOnly(t *testing.T) {
	root := func() *Node {
		return record(field("data", Record, field("row", Record, field("x", Int32), field("y", Int32)),
			field("more", Int32)), field("op", String), field("database", Int32), list("l", field("", Int32)))
	}
	for _, c := range []struct {
		paths []string
		want  string
	}{
		{[]string{"data"}, "Payload{data=1 Data{row=1 Row2{x=1 int32, y=2 int32}, more=2 int32}}"},
		{[]string{"data.row", "op"}, "Payload{data=1 Data{row=1 Row2{x=1 int32, y=2 int32}}, op=2 string}"},
		{[]string{"data.row.x"}, "Payload{data=1 Data{row=1 Row2{x=1 int32}}}"},
		{[]string{"l"}, "Payload{l=4 int32*}"},
		{nil, ""},
	} {
		got := compiled(t, root(), decode.Options{Only: c.paths})
		got = strings.ReplaceAll(got, "PayloadDataRow", "Row2")
		if c.want == "" {
			if strings.Count(got, "int32") != 5 {
				t.Error(got)
			}
		} else if got != c.want {
			t.Errorf("%v: %s, want %s", c.paths, got, c.want)
		}
	}
}

// What the envelope takes of a payload.
func TestTake(t *testing.T) {
	stamp := func() *Node {
		n := field("t", Timestamp)
		n.Unit = decode.Millis
		return n
	}
	root := func() *Node {
		return record(field("s", String), field("i", Int32), field("e", Enum), stamp(), field("d", Double),
			list("l", field("", String)), field("r", Record, field("x", Int64)), field("text", String))
	}
	for _, c := range []struct {
		id, at  string
		unit    decode.Unit
		columns decode.Columns
		want    string // of the fault; none
		settled decode.Unit
	}{
		{id: "s"},
		{id: "i"},
		{id: "e"},
		{id: "r.x", at: "i", unit: decode.Seconds, settled: decode.Seconds},
		{at: "t", settled: decode.Millis},
		{at: "t", unit: decode.Micros, want: "payload.t: event_time: the schema says the unit already", settled: decode.Micros},
		{id: "d", want: "payload.d: event_id: wants a string"},
		{id: "l", want: "payload.l: event_id: wants"},
		{id: "l.x", want: "payload.l.x: event_id: x is in a value of type array"},
		{id: "r.no", want: "payload.r.no: event_id: the schema has no field no here"},
		{id: "s", columns: decode.Columns{"s": {Skip: true}}, want: "payload.s: event_id: columns leaves s out"},
		{at: "s", want: "payload.s: event_time: wants a whole number"},
		{at: "no", want: "payload.no: event_time: the schema has no field no"},
		{at: "text", columns: decode.Columns{"text": {Type: decode.Timestamp}}},
		{
			at: "i", unit: decode.Millis, columns: decode.Columns{"i": {Type: decode.String}},
			settled: decode.Millis,
		},
		{
			id: "r.x", columns: decode.Columns{"r.x": {Type: decode.String}}, at: "r.x", unit: decode.Seconds,
			settled: decode.Seconds,
		},
		{at: "t", columns: decode.Columns{"t": {Name: "renamed"}}, settled: decode.Millis},
		{
			id: "r.x", columns: decode.Columns{"r": {Type: decode.JSON}},
			want: "payload.r.x: event_id: x is in a value of type json",
		},
		{
			at: "i", unit: decode.Millis, columns: decode.Columns{"i": {Type: decode.Timestamp, Unit: decode.Millis}},
			want: "payload.i: event_time: columns says the unit already", settled: decode.Millis,
		},
		{at: "i", columns: decode.Columns{"i": {Type: decode.Timestamp, Unit: decode.Nanos}}, settled: decode.Nanos},
	} {
		o := decode.Options{
			Payload: "payload", EventID: c.id, EventTime: c.at, EventTimeUnit: c.unit, Columns: c.columns,
		}
		tree := New(root(), &o)
		tree.Become = BySource
		_, err := tree.Compile(&o)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %s", c.id, c.at, err, c.want)
		}
		if o.EventTimeUnit != c.settled {
			t.Errorf("%s: the unit is %v, want %v", c.at, o.EventTimeUnit, c.settled)
		}
	}
	// Of a RANGE as of a record, and of a timestamp that is another column.
	o := decode.Options{
		Payload: "payload", EventID: "r.start", EventTime: "t", Columns: decode.Columns{
			"r": {Type: decode.Range}, "r.start": {Type: decode.Date}, "r.end": {Type: decode.Date},
			"t": {Type: decode.String},
		},
	}
	tree := New(record(stamp(), field("r", Record, field("start", String), field("end", String))), &o)
	tree.Become = func(*Node, *decode.Column) string { return "" }
	if _, err := tree.Compile(&o); err != nil {
		t.Error(err)
	}
	// As it stands in the row, and as in the payload.
	for asRow, takes := range map[bool]bool{false: false, true: true} {
		o := decode.Options{Payload: "payload", EventID: "d", Columns: decode.Columns{"d": {Type: decode.String}}}
		tree := New(record(decimal(9, 2)), &o)
		tree.Become, tree.AsRow = BySource, asRow
		if _, err := tree.Compile(&o); (err == nil) != takes {
			t.Errorf("as a row %v: %v", asRow, err)
		}
	}
}

// What the schema itself says of a column stays, and what it is written as.
func TestOptionsOfASchema(t *testing.T) {
	n := field("a", Int64)
	n.Option = &columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP}
	u := field("u", Int64)
	u.Wire = descriptorpb.FieldDescriptorProto_TYPE_SINT64
	if got := compiled(t, record(n, u), decode.Options{}); got != "Payload{a=1 TIMESTAMPint64, u=2 sint64}" {
		t.Error(got)
	}
	n = field("a", Int64)
	n.Option = &columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP}
	got := compiled(t, record(n), decode.Options{Columns: decode.Columns{"a": {Type: decode.String}}})
	if !strings.Contains(got, "the schema's option makes it what it is") {
		t.Error(got)
	}
	u = field("u", Int64)
	u.Wire = descriptorpb.FieldDescriptorProto_TYPE_SINT64
	if got := compiled(t, record(u), decode.Options{Columns: decode.Columns{"u": {Type: decode.String}}}); got !=
		"Payload{u=1 string}" {
		t.Error(got)
	}
}
