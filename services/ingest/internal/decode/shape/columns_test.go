package shape

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

func decimal(precision, scale int) *Node {
	n := field("d", Decimal)
	n.Precision, n.Scale = precision, scale
	return n
}

func unbounded() *Node {
	n := field("d", Decimal)
	n.SetUnbounded(true)
	return n
}

// What a contract asks of columns, and what there is without it.
func TestColumnsOfATree(t *testing.T) {
	span := func() *Node { return field("r", Record, field("start", Date), field("end", Date)) }
	for _, c := range []struct {
		root    *Node
		columns decode.Columns
		want    string // a fault begins with an exclamation mark, and is contained
	}{
		{
			record(field("b", Bool), field("i", Int32), field("l", Int64), field("f", Float), field("d", Double),
				field("s", String), field("e", Enum), field("y", Bytes), field("n", Null)), nil,
			"Payload{b=1 bool, i=2 int32, l=3 int64, f=4 float, d=5 double, s=6 string, e=7 string, y=8 bytes}",
		},
		{
			record(field("t", Timestamp), field("d", Date), field("c", Time), field("b", DateTime),
				field("g", Geography), field("i", Interval), field("j", JSON)), nil,
			"Payload{t=1 TIMESTAMPint64, d=2 DATEint32, c=3 TIME, b=4 DATETIME, g=5 GEOGRAPHY, i=6 INTERVAL, j=7 JSON}",
		},
		{record(decimal(38, 9)), nil, "Payload{d=1 NUMERIC(38,9)}"},
		{record(decimal(38, 8)), nil, "Payload{d=1 BIGNUMERIC(38,8)}"},
		{record(decimal(30, 10)), nil, "Payload{d=1 BIGNUMERIC(30,10)}"},
		{record(decimal(76, 38)), nil, "Payload{d=1 BIGNUMERIC(76,38)}"},
		{record(decimal(77, 38)), nil, "!payload.d: decimal(77, 38) is beyond BIGNUMERIC"},
		{record(decimal(40, 39)), nil, "!payload.d: decimal(40, 39) is beyond BIGNUMERIC"},
		{
			record(field("a", Record, field("x", Int32)), list("b", field("", Record, field("x", Int32)))), nil,
			"Payload{a=1 A{x=1 int32}, b=2 B{x=1 int32}*}",
		},
		{ // a named type is one message at all places that have the same columns of it, and keeps off other names
			record(named("n.T", field("a", Record, field("x", Int32))),
				named("n.T", field("b", Record, field("x", Int32))),
				named("o.T", field("c", Record, field("y", Int32))),
				named("Header", field("d", Record, field("z", Int32))),
				field("T", Int32)), nil,
			"Payload{a=1 NT{x=1 int32}, b=2 NT{x=1 int32}, c=3 OT{y=1 int32}, d=4 Header2{z=1 int32}, T=5 int32}",
		},
		{
			record(named("T", field("a", Record, field("x", Int32), field("y", Int32))),
				named("T", field("b", Record, field("x", Int32), field("y", Int32)))),
			decode.Columns{"b.y": {Skip: true}},
			"Payload{a=1 T{x=1 int32, y=2 int32}, b=2 T2{x=1 int32}}",
		},
		{
			record(list("a", nullable(field("", Int32))), list("b", list("", field("", Int32)))), nil,
			"Payload{a=1 AItem{value=1 int32}*, b=2 BItem{items=1 int32*}*}",
		},
		{
			record(MapOf("a", field("", Int32)), MapOf("b", field("", Int32)), MapOf("c", named("T", field("", Record,
				field("x", Int32))))), nil,
			"Payload{a=1 IntEntry{key=1 string, value=2 int32}*, b=2 IntEntry{key=1 string, value=2 int32}*, " +
				"c=3 TEntry{key=1 string, value=2 T{x=1 int32}}*}",
		},
		{record(MapOf("m", field("", Null))), nil, "!payload.m[]: a map of nulls has no column for its values"},
		{record(list("l", field("", Null))), nil, "!payload.l[]: a null is no column"},
		{
			record(field("u", Union, field("a", Int32), field("b", String))), nil,
			"Payload{u=1 UUnion{a=1 int32, b=2 string}}",
		},
		{
			record(field("a", Record, field("x", Int32)), field("b", Int32)),
			decode.Columns{"a": {Name: "c"}, "b": {Name: "a"}},
			"Payload{c=1 C{x=1 int32}, a=2 int32}",
		},
		{record(field("a", Int32), field("b", Int32)), decode.Columns{"a": {Skip: true}}, "Payload{b=2 int32}"},
		{record(field("a", Int32)), decode.Columns{"a": {Skip: true}}, "!payload: it has no columns"},
		{
			record(field("a", Record, field("x", Int32)), field("b", Int32)),
			decode.Columns{"a.x": {Skip: true}},
			`!payload.a: it has no columns; BigQuery has no empty RECORD; write columns: {"a": {type: JSON}, or {skip: true}}`,
		},
		{record(field("a b", Record, field("x", Int32))), decode.Columns{"a b": {Skip: true}}, "!payload: it has no columns"},
		{
			record(field("a b", Int32)), nil,
			`!payload.a b: "a b" cannot name a column: letters, digits and underscores only, no digit first; ` +
				`write columns: {"a b": {name: a_b}, or {skip: true}}`,
		},
		{record(field("a", Int32), field("A", Int32)), nil, `!payload.A: another column has this name but for its case`},
		{
			record(field("a", Int32), field("A", Int32)),
			decode.Columns{"A": {Name: "b"}},
			"Payload{a=1 int32, b=2 int32}",
		},
		{record(field("a", Int32)), decode.Columns{"no": {Type: decode.JSON}}, "!payload.no: columns: the schema has no field no"},
		{record(field("a", Int32)), decode.Columns{"a.x": {Type: decode.JSON}}, "!payload.a.x: columns: there is no x in a int"},
		{record(field("a.b", Int32)), decode.Columns{"a.b": {Name: "c"}}, "Payload{c=1 int32}"},
		{record(field("s", String)), decode.Columns{"s": {Type: decode.Numeric}}, "Payload{s=1 NUMERIC}"},
		{record(field("s", String)), decode.Columns{"s": {Type: decode.BigNumeric}}, "Payload{s=1 BIGNUMERIC}"},
		{
			record(field("s", String)),
			decode.Columns{"s": {Type: decode.Numeric, Precision: 5, Scale: 2, Name: "n"}},
			"Payload{n=1 NUMERIC(5,2)}",
		},
		{
			record(field("s", String)),
			decode.Columns{"s": {Type: decode.BigNumeric, Precision: 5, Scale: 2}},
			"Payload{s=1 BIGNUMERIC(5,2)}",
		},
		{record(decimal(80, 2)), decode.Columns{"d": {Type: decode.String}}, "Payload{d=1 string}"},
		{record(field("d", Double)), decode.Columns{"d": {Type: decode.Numeric}}, "!payload.d: columns: of type double"},
		{
			record(list("l", field("", String)), list("m", field("", Int32))),
			decode.Columns{"l": {Type: decode.JSON}, "m": {Type: decode.JSON}},
			"Payload{l=1 JSON*, m=2 JSON}",
		},
		{record(list("l", field("", String))), decode.Columns{"l": {Type: decode.JSON, Whole: true}}, "Payload{l=1 JSON}"},
		{record(list("l", field("", String))), decode.Columns{"l": {Type: decode.Date}}, "Payload{l=1 DATEint32*}"},
		{record(field("s", String)), decode.Columns{"s": {Type: decode.JSON, Whole: true}}, "!payload.s: columns: whole: true"},
		{
			record(list("l", nullable(field("", String)))),
			decode.Columns{"l.value": {Type: decode.Date}},
			"Payload{l=1 LItem{value=1 DATEint32}*}",
		},
		{
			record(list("l", nullable(field("", String)))),
			decode.Columns{"l.value": {Name: "v"}},
			"Payload{l=1 LItem{v=1 string}*}",
		},
		{record(list("l", nullable(field("", String)))), decode.Columns{"l": {Type: decode.Date}}, "Payload{l=1 LItem{value=1 DATEint32}*}"},
		{
			record(list("l", nullable(field("", String)))),
			decode.Columns{"l.value": {Skip: true}},
			"!payload.l.value: columns: a item has all of its columns",
		},
		{record(MapOf("m", field("", String))), decode.Columns{"m": {Type: decode.Date}}, "!payload.m: columns: a map: name its values"},
		{
			record(field("m", Map, field("key", Int32), field("value", String))),
			decode.Columns{"m": {Type: decode.Date}},
			"!payload.m: columns: a map: name its keys or values",
		},
		{record(MapOf("m", field("", String))), decode.Columns{"m.key": {Type: decode.Date}}, "!payload.m.key: columns: a map"},
		{record(MapOf("m", field("", String))), decode.Columns{"m.key": {Name: "k"}}, "StringEntry{k=1 string, value=2 string}"},
		{record(MapOf("m", field("", String))), decode.Columns{"m.value": {Skip: true}}, "!payload.m.value: columns: a map has all"},
		{record(MapOf("m", field("", String))), decode.Columns{"m.value": {Type: decode.Date}}, "value=2 DATEint32}*}"},
		{
			record(field("u", Union, field("a", Int32), field("b", String))),
			decode.Columns{"u.b": {Type: decode.Date}},
			"Payload{u=1 UUnion{a=1 int32, b=2 DATEint32}}",
		},
		{
			record(field("u", Union, field("a", Int32), field("b", String))),
			decode.Columns{"u": {Type: decode.Date}},
			"!payload.u: columns: the union has no branch of this name",
		},
		{
			record(field("u", Union, field("a", Int32), field("b", String))),
			decode.Columns{"u": {Type: decode.JSON}},
			"Payload{u=1 JSON}",
		},
		{record(span()), decode.Columns{"r": {Type: decode.Range}}, "Payload{r=1 RANGER{start=1 DATEint32, end=2 DATEint32}}"},
		{record(span()), decode.Columns{"r": {Type: decode.Range}, "r.end": {Name: "e"}}, "!payload.r.end: columns: the bounds"},
		{record(span()), decode.Columns{"r": {Type: decode.Range}, "r.end": {Skip: true}}, "!payload.r.end: columns: a range has"},
		{
			record(field("r", Record, field("start", Date), field("end", DateTime))),
			decode.Columns{"r": {Type: decode.Range}},
			"!payload.r: columns: a RANGE is a record of start and end alone",
		},
		{
			record(field("r", Record, field("start", Date), field("finish", Date))),
			decode.Columns{"r": {Type: decode.Range}},
			"!payload.r: columns: a RANGE is",
		},
		{
			record(field("r", Record, field("start", Date), field("end", Date), field("x", Date))),
			decode.Columns{"r": {Type: decode.Range}},
			"!payload.r: columns: a RANGE is",
		},
		{
			record(field("r", Record, field("start", Int32), field("end", Int32))),
			decode.Columns{"r": {Type: decode.Range}},
			"!payload.r: columns: a RANGE is",
		},
		{
			record(field("a", Int32), field("r", Record, field("start", Int32), field("end", Int32))),
			decode.Columns{"r": {Type: decode.Range}, "r.start": {Skip: true}, "a": {Skip: true}},
			"!payload.r.start",
		},
		{record(field("r", Record, field("x", Int32))), decode.Columns{"r": {Type: decode.Record}}, "Payload{r=1 R{x=1 int32}}"},
		{record(field("i", Int64)), decode.Columns{"i": {Type: decode.Integer}}, "Payload{i=1 int64}"},
		{
			record(field("i", Int64)),
			decode.Columns{"i": {Type: decode.Integer, Unit: decode.Millis}},
			"!payload.i: columns: it does not become INTEGER",
		},
		{Fail("", "it is broken"), nil, "!payload: it is broken"},
		{
			record(list("l", MapOf("", field("", Int32)))), nil,
			"Payload{l=1 LItem{items=1 IntEntry{key=1 string, value=2 int32}*}*}",
		},
		{ // maps of values that are written otherwise than their kind are no one message
			record(MapOf("a", &Node{Kind: Int32, Type: "short"}), MapOf("b", field("", Int32))), nil,
			"Payload{a=1 AEntry{key=1 string, value=2 int32}*, b=2 IntEntry{key=1 string, value=2 int32}*}",
		},
		{
			record(named("M", MapOf("a", field("", Int32)))), nil, "Payload{a=1 M{key=1 string, value=2 int32}*}",
		},
		{
			record(MapOf("m", list("", field("", Int32)))), nil, "Payload{m=1 MEntry{key=1 string, value=2 int32*}*}",
		},
		{ // the same fields, of other types
			record(named("T", field("a", Record, field("r", Record, field("x", Int32)))),
				named("T", field("b", Record, field("r", Record, field("y", Int32))))), nil,
			"Payload{a=1 T{r=1 R{x=1 int32}}, b=2 T2{r=1 PayloadBR{y=1 int32}}}",
		},
		{record(list("l", field("", Int32))), decode.Columns{"l": {Type: decode.Geography}}, "!payload.l: columns: a whole number"},
		{record(list("l", list("", field("", Int32)))), decode.Columns{"l": {Type: decode.JSON}}, "Payload{l=1 JSON}"},
		{record(list("l", nullable(field("", Int32)))), decode.Columns{"l": {Type: decode.JSON}}, "Payload{l=1 JSON}"},
		{
			record(ArrayOf("l", field("", Int32))),
			decode.Columns{"l": {Type: decode.JSON}},
			"!payload.l: columns: a whole number does not become JSON",
		},
		{record(field("y", Bytes)), decode.Columns{"y": {Type: decode.Date}}, "Payload{y=1 DATEint32}"},
		{
			record(field("i", Int64)),
			decode.Columns{"i": {Type: decode.Time, Unit: decode.Seconds}},
			"Payload{i=1 TIME}",
		},
		{record(unbounded()), decode.Columns{"d": {Type: decode.String}}, "!payload.d: columns: of type decimal"},
		{record(unbounded()), nil, "Payload{d=1 BIGNUMERIC}"},
		{record(decimal(9, 2)), decode.Columns{"d": {Type: decode.BigNumeric}}, "Payload{d=1 BIGNUMERIC}"},
		{
			record(field("r", Record, field("start", Timestamp), field("end", Timestamp))),
			decode.Columns{"r": {Type: decode.Range}},
			"RANGER{start=1 TIMESTAMPint64, end=2 TIMESTAMPint64}}",
		},
		{
			record(field("r", Record, field("start", String), field("end", String))),
			decode.Columns{
				"r": {Type: decode.Range}, "r.start": {Type: decode.DateTime}, "r.end": {Type: decode.DateTime},
			},
			"RANGER{start=1 DATETIME, end=2 DATETIME}}",
		},
		{
			record(field("r", Record, field("begin", Date), field("end", Date))),
			decode.Columns{"r": {Type: decode.Range}},
			"!payload.r: columns: a RANGE is",
		},
		{
			record(field("r", Record, field("s", Record, field("x", Int32)))),
			decode.Columns{"r.s": {Type: decode.Record}},
			"Payload{r=1 R{s=1 S{x=1 int32}}}",
		},
		{
			record(list("l", nullable(field("", Record, field("x", Int32))))),
			decode.Columns{"l.value.x": {Name: "y"}},
			"Payload{l=1 LItem{value=1 Value{y=1 int32}}*}",
		},
		{
			record(field("m", Map, field("key", Int32), field("value", String))),
			decode.Columns{"m.key": {Type: decode.String}},
			"Payload{m=1 StringEntry{key=1 string, value=2 string}*}",
		},
		{
			record(field("m", Map, field("key", String), field("value", String))),
			decode.Columns{"m": {Type: decode.JSON, Whole: true}},
			"Payload{m=1 JSON}",
		},
		{
			record(field("u", Union, field("a", Int32), field("b", String))),
			decode.Columns{"u.a": {Skip: true}},
			"Payload{u=1 UUnion{b=2 string}}",
		},
		{ // no message is called as a field
			record(named("T", field("a", Record, field("x", Int32))), named("T", field("b", Record, field("y", Int32))),
				field("T2", Int32)), nil,
			"Payload{a=1 T{x=1 int32}, b=2 T3{y=1 int32}, T2=3 int32}",
		},
		{ // what is below a field that is skipped is of no matter
			record(field("a", Int32), field("r", Record, field("start", Int32), field("end", Int32))),
			decode.Columns{"r": {Skip: true}, "r.start": {Name: "s"}},
			"Payload{a=1 int32}",
		},
		{field("", String), nil, "!payload: the schema is of type string, a payload is a record"},
		{record(Fail("x", "it is broken")), nil, `!payload.x: it is broken; write columns: {"x": {skip: true}}`},
		{
			record(list("l", &Node{Fault: "it is broken", From: String, Source: 1})), nil,
			`!payload.l[]: it is broken; write columns: {"l": {type: JSON}, or {skip: true}}`,
		},
	} {
		got := compiled(t, c.root, decode.Options{Columns: c.columns})
		want, faulty := strings.CutPrefix(c.want, "!")
		if strings.HasPrefix(got, "!") != faulty || !strings.Contains(got, want) || c.want[0] == 'P' && got != c.want {
			t.Errorf("%v:\n got %s\nwant %s", c.columns, got, c.want)
		}
	}
}

// Of what is within each other the innermost is at fault, and told once.
func TestFaultsWithin(t *testing.T) {
	got := compiled(t, record(field("a", Record, Fail("x", "it is broken")), field("b", Int32)), decode.Options{})
	if want := `!payload.a.x: it is broken; write columns: {"a.x": {skip: true}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	broken := Fail("x", "it is broken")
	broken.Kind, broken.From, broken.Source = Int64, Int64, broken
	broken.Hint = &decode.Column{Type: decode.Timestamp}
	if got := compiled(t, record(broken), decode.Options{}); !strings.HasPrefix(got, "!payload.x: it is broken") {
		t.Error("a hint mends what is broken:", got)
	}
}

// A decimal that a contract asks for has its digits, or those of the column.
func TestDigits(t *testing.T) {
	for _, c := range []struct {
		column           decode.Column
		precision, scale int
		big, unbounded   bool
	}{
		{decode.Column{Type: decode.Numeric}, 38, 9, false, true},
		{decode.Column{Type: decode.BigNumeric}, 76, 38, true, true},
		{decode.Column{Type: decode.Numeric, Precision: 5, Scale: 2}, 5, 2, false, false},
		{decode.Column{Type: decode.BigNumeric, Precision: 50, Scale: 2}, 50, 2, true, false},
	} {
		n := field("s", String)
		n.Become(&c.column)
		if n.Precision != c.precision || n.Scale != c.scale || n.Big != c.big || n.Unbounded != c.unbounded {
			t.Errorf("%+v: %d, %d, %v, %v", c.column, n.Precision, n.Scale, n.Big, n.Unbounded)
		}
	}
	n := field("i", Int64)
	n.Unit = decode.Micros
	n.Become(&decode.Column{Type: decode.Timestamp})
	if n.Unit != decode.Micros {
		t.Errorf("the unit is %v", n.Unit)
	}
}
