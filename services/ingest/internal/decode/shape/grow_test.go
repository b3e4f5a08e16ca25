package shape

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// rules are those of a made-up format: a kind fits itself, an int32 widens to an int64.
func rules(byNumber bool) Rules {
	return Rules{
		Fit: func(have, want *Node) Fit {
			switch {
			case have.Kind == want.Kind:
				return Fits
			case have.Kind == Int32 && want.Kind == Int64:
				return Widens
			}
			return Conflicts
		},
		Both:     func(_, _ *Node) []decode.Target { return []decode.Target{decode.JSON} },
		Branch:   func(union, want *Node) int { return union.Part(want.Kind.String() + "_value") },
		Numbered: byNumber,
		NewBranch: func(want *Node) string {
			if want.Kind == Bool {
				return "" // this format gives none its own branch
			}
			return want.Kind.String() + "_value"
		},
	}
}

// What a newer schema brings: the columns that there are keep their numbers, what is new goes behind them, and what
// does not fit stays as it is and is told.
func TestGrow(t *testing.T) {
	union := func(branches ...*Node) *Node { return field("u", Union, branches...) }
	enum := func(symbols ...string) *Node {
		n := field("e", Enum)
		n.Symbols = symbols
		return n
	}
	required := func(n *Node) *Node {
		n.Required, n.NotNull = true, true
		return n
	}
	for _, c := range []struct {
		name         string
		older, newer *Node
		byNumber     bool
		want, brings string
	}{
		{
			"a field more stands behind the others, and is not required",
			record(field("a", String), numbered(5, field("b", Int32))),
			record(required(field("c", String)), field("b", Int32), field("a", String)), false,
			"#0 record(a#1 string, b#2 int, c#3 string.)", "+p.c",
		},
		{
			"by number a field is the one of its number",
			record(field("a", String), field("b", Int32)),
			record(field("x", String), field("y", Int64), field("z", Bool)), true,
			"#0 record(a#1 string, b#2 long, z#3 boolean)", "+p.z >p.b",
		},
		{
			"by number a name that another has is none", record(field("a", String), field("b", Int32)),
			&Node{Kind: Record, Parts: []*Node{numbered(7, field("b", Int32))}}, true,
			"#0 record(a#1 string, b#2 int)", "!p.b: the contract has number 2, it has number 7",
		},
		{
			"also of the first field", record(field("a", String), field("b", Int32)),
			&Node{Kind: Record, Parts: []*Node{numbered(7, field("a", String))}}, true,
			"#0 record(a#1 string, b#2 int)", "!p.a: the contract has number 1, it has number 7",
		},
		{
			"by an alias", record(&Node{Name: "a", Number: 1, Kind: String, Aliases: []string{"old"}}),
			record(field("old", String)), false, "#0 record(a#1 string)", "",
		},
		{
			"null has no column until it has a type", record(field("n", Null), field("a", String)),
			record(field("a", String), required(field("n", Int32))), false,
			"#0 record(n#1 int?, a#2 string)", "+p.n",
		},
		{
			"nothing but null brings nothing", record(field("a", String)), record(field("a", Null), field("b", Null)), false,
			"#0 record(a#1 string, b#2 null)", "",
		},
		{
			"a JSON column takes everything", record(field("j", JSON)), record(field("j", Record, field("x", Int32))), false,
			"#0 record(j#1 json)", "",
		},
		{
			"null where there was none", record(field("a", String)), record(nullable(field("a", String))), false,
			"#0 record(a#1 string?)", "",
		},
		{
			"another type", record(field("a", String)), record(field("a", Int32)), false,
			"#0 record(a#1 string)", "!p.a: the contract has string, it has int by JSON",
		},
		{
			"a record where there was a text", record(field("a", String)), record(field("a", Record, field("x", Int32))), false,
			"#0 record(a#1 string)", "!p.a: the contract has string, it has record by JSON",
		},
		{
			"records within", record(field("r", Record, field("x", Int32))),
			record(field("r", Record, field("y", String), field("x", Int64))), false,
			"#0 record(r#1 record(x#1 long, y#2 string))", "+p.r.y >p.r.x",
		},
		{
			"lists and maps",
			record(list("l", field("", Record, field("x", Int32))), MapOf("m", field("", Record, field("x", Int32)))),
			record(list("l", field("", Record, field("y", Int32))), MapOf("m", field("", Record, field("y", Int32)))),
			false,
			"#0 record(l#1 array(l#1 record(x#1 int, y#2 int)), " +
				"m#2 map(key#1 string, value#2 record(x#1 int, y#2 int)))", "+p.l[].y +p.m[].y",
		},
		{
			"keys of a map that are of a type of their own",
			record(field("m", Map, field("key", Int32), field("value", String))),
			record(field("m", Map, field("key", Int64), field("value", String))), false,
			"#0 record(m#1 map(key#1 long, value#2 string))", ">p.m[]",
		},
		{
			"a list and a map", record(list("l", field("", Int32))), record(MapOf("l", field("", Int32))), false,
			"#0 record(l#1 array(l#1 int))", "!p.l: the contract has array, it has map by JSON",
		},
		{
			"items that may be null have room for those that may not, and not the other way round",
			record(list("a", nullable(field("", Int32))), list("b", field("", Int32)),
				list("c", nullable(field("", Int32)))),
			record(list("a", field("", Int32)), list("b", nullable(field("", Int64))),
				list("c", nullable(field("", Int64)))),
			false,
			"#0 record(a#1 array(a#1 item(value#1 int?)), b#2 array(b#1 long), c#3 array(c#1 item(value#1 long?)))",
			">p.b[] >p.c[] !p.b[]: the contract has int, it has long",
		},
		{
			"symbols", record(enum("A", "B")), record(enum("C", "A")), false, "#0 record(e#1 enum[A B C])", ">p.e (C)",
		},
		{"the same symbols", record(enum("A", "B")), record(enum("B")), false, "#0 record(e#1 enum[A B])", ""},
		{
			"branches", record(union(field("int_value", Int32), field("string_value", String))),
			record(union(field("double_value", Double), field("string_value", String))), false,
			"#0 record(u#1 union(int_value#1 int, string_value#2 string, double_value#3 double))", "+p.u.double_value",
		},
		{
			"a value by itself is a branch", record(union(field("int_value", Int32), field("string_value", String))),
			record(field("u", Bytes)), false,
			"#0 record(u#1 union(int_value#1 int, string_value#2 string, bytes_value#3 bytes))", "+p.u.bytes_value",
		},
		{
			"that no branch has a name for", record(union(field("int_value", Int32))), record(field("u", Bool)), false,
			"#0 record(u#1 union(int_value#1 int))", "!p.u: the contract has union, it has boolean by JSON",
		},
		{
			"or whose name another has but for its case", record(union(field("BYTES_value", Int32))), record(field("u", Bytes)),
			false, "#0 record(u#1 union(BYTES_value#1 int))", "!p.u: the contract has union, it has bytes by JSON",
		},
		{
			"several types where there was one: each fits, or it is told", record(field("a", String), field("b", String)),
			record(field("a", Union, field("x", String), field("y", String)),
				field("b", Union, field("x", String), field("y", Int32))), false,
			"#0 record(a#1 string, b#2 string)", "!p.b: the contract has string, it has union by JSON",
		},
		{
			"of a type that is there the fields keep their numbers",
			record(field("a", Record)), record(field("a", Record)), false, "#0 record(a#1 record)", "",
		},
		{
			"also where it comes anew",
			record(named("T", field("a", Record, field("x", Int32), field("y", Int32)))),
			record(named("T", field("b", Record, field("z", Int32), field("y", Int32), field("x", Int32)))), false,
			"#0 record(a#1 record(x#1 int, y#2 int), b#2 record(x#1 int, y#2 int, z#3 int))", "+p.b",
		},
		{
			"null is refused where both refuse it",
			record(required(field("a", Int32)), required(field("b", Int32)), field("c", Int32)),
			record(required(field("a", Int32)), field("b", Int32), required(field("c", Int32))), false,
			"#0 record(a#1 int!., b#2 int!, c#3 int)", "",
		},
		{
			"an alias of the first field", record(&Node{Name: "a", Number: 1, Kind: String, Aliases: []string{"old"}},
				field("b", String)), record(field("b", String), field("old", Int32)), false,
			"#0 record(a#1 string, b#2 string)", "!p.a: the contract has , it has int by JSON",
		},
		{
			"a new record keeps the numbers that the schema says",
			record(field("a", Int32)),
			&Node{Kind: Record, Parts: []*Node{
				numbered(9, named("T", &Node{Name: "b", Kind: Record, Parts: []*Node{numbered(7, field("x", Int32))}})),
			}}, true,
			"#0 record(a#1 int, b#9 record(x#7 int))", "+p.b",
		},
		{
			"a text and a list, a record and a list, an enum and a text",
			record(field("a", String), field("b", Record, field("x", Int32)), enum("A")),
			record(list("a", field("", String)), list("b", field("", Int32)), field("e", String)), false,
			"#0 record(a#1 string, b#2 record(x#1 int), e#3 enum[A])",
			"!p.a: the contract has string, it has array by JSON !p.b: the contract has record, it has array by JSON " +
				"!p.e: the contract has enum, it has string by JSON",
		},
		{
			"a branch of several parts", record(union(field("record_value", Record, field("x", Int32)), field("s", String))),
			record(field("u", Record, field("y", Int32))), false,
			"#0 record(u#1 union(record_value#1 record(x#1 int, y#2 int), s#2 string))", "+p.u.record_value.y",
		},
		{
			"one column for several records", record(field("a", Record, field("x", Int32))),
			record(field("a", Union, field("r", Record, field("y", Int32)))), false,
			"#0 record(a#1 record(x#1 int))", "",
		},
		{
			"but not by number", record(named("T", field("a", Record, field("x", Int32), field("y", Int32)))),
			&Node{Kind: Record, Parts: []*Node{
				numbered(2, named("T", field("b", Record, field("y", Int32), field("x", Int32)))),
			}}, true,
			"#0 record(a#1 record(x#1 int, y#2 int), b#2 record(y#1 int, x#2 int))", "+p.b",
		},
	} {
		before := described(c.older)
		grown, changes := Grow(c.older, c.newer, "p", rules(c.byNumber))
		if got := described(grown); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if described(c.older) != before {
			t.Errorf("%s: the older tree has changed", c.name)
		}
		var brings []string
		for _, path := range changes.Added {
			brings = append(brings, "+"+path)
		}
		for _, path := range changes.Widened {
			brings = append(brings, ">"+path)
		}
		for _, conflict := range changes.Conflicts {
			text := "!" + conflict.String()
			if len(conflict.By) > 0 {
				text += fmt.Sprint(" by ", conflict.By[0])
			}
			brings = append(brings, text)
		}
		if got := strings.Join(brings, " "); got != c.brings {
			t.Errorf("%s: brings %s, want %s", c.name, got, c.brings)
		}
	}
}
