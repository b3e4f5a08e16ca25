package lane

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"pgregory.net/rapid"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// message makes a type; a field is "name" or "name Type".
func message(name string, nested []*descriptorpb.DescriptorProto, fields ...string) *descriptorpb.DescriptorProto {
	d := &descriptorpb.DescriptorProto{Name: proto.String(name), NestedType: nested}
	for i, text := range fields {
		name, typeName, isMessage := strings.Cut(text, " ")
		f := &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: proto.Int32(int32(i + 1)), Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
		}
		if isMessage {
			f.TypeName, f.Type = &typeName, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		}
		d.Field = append(d.Field, f)
	}
	return d
}

// doubling makes n types, each of which has the next one twice: 2^n columns in the last.
func doubling(n int) *descriptorpb.DescriptorProto {
	var types []*descriptorpb.DescriptorProto
	for i := range n {
		next := fmt.Sprintf(" T%d", i+1)
		types = append(types, message(fmt.Sprintf("T%d", i), nil, "a"+next, "b"+next))
	}
	types = append(types, message(fmt.Sprintf("T%d", n), nil, "a"))
	return message("R", types, "t T0")
}

// chain makes records in records, n levels of them, declared beside each other or inside each other.
func chain(n int, inside bool) *descriptorpb.DescriptorProto {
	root := message("R", nil, "a", "t T1")
	at := root
	for i := range n {
		d := message(fmt.Sprintf("T%d", i+1), nil, "a")
		if i < n-1 {
			d = message(fmt.Sprintf("T%d", i+1), nil, "a", fmt.Sprintf("t T%d", i+2))
		}
		at.NestedType = append(at.NestedType, d)
		if inside {
			at = d
		}
	}
	return root
}

func columnsNamed(n int) []string {
	var fields []string
	for i := range n {
		fields = append(fields, fmt.Sprintf("c%d", i))
	}
	return fields
}

// What a descriptor describes is counted in time linear in its bytes, and bounded as a table of BigQuery is.
func TestMeasure(t *testing.T) {
	type kinds = []*descriptorpb.DescriptorProto
	optional := message("R", kinds{message("T", nil, "a")}, "t T", "unknown X")
	optional.Field[0].Type = nil // protobuf finds out by the name
	enum := message("R", nil, "e E")
	enum.Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum()
	enum.EnumType = []*descriptorpb.EnumDescriptorProto{{
		Name: proto.String("E"), Value: make([]*descriptorpb.EnumValueDescriptorProto, 10),
	}}
	enum.NestedType = kinds{message("E", nil, columnsNamed(5)...)}
	values := proto.CloneOf(enum)
	values.EnumType[0].Value = make([]*descriptorpb.EnumValueDescriptorProto, 2*maxColumns)
	group := message("R", kinds{message("G", nil, "a", "b")}, "g G")
	group.Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_GROUP.Enum()
	nameless := message("R", kinds{message("", nil, "a", "b", "c")}, "s")
	nameless.Field[0].Type = nil
	scopes := message("R", kinds{
		message("T", kinds{message("T", nil, "a", "b", "c")}, "inner T"), // R.T.T before R.T
		message("U", nil, "outer T", "full .R.T.T", "path T.T", "none .T"),
	}, "u U")
	for name, test := range map[string]struct {
		d       *descriptorpb.DescriptorProto
		columns int
		says    string
	}{
		"flat":                 {message("R", nil, "a", "b"), 2, ""},
		"a record":             {message("R", kinds{message("T", nil, "a", "b")}, "t T"), 3, ""},
		"a record twice":       {message("R", kinds{message("T", nil, "a", "b")}, "t T", "u .R.T"), 6, ""},
		"a type by name alone": {optional, 3, ""},
		"an enum":              {enum, 1, ""},
		"a group":              {group, 3, ""},
		"scopes":               {scopes, 1 + 4 + (1 + 3) + 3 + 3, ""},
		"no name of a type":    {nameless, 1, ""},
		"nothing":              {&descriptorpb.DescriptorProto{}, 0, ""},
		"twelve doublings":     {doubling(12), 1 + 2*(1<<12-1) + 1<<12, "more than 10000 columns"},
		"eleven doublings":     {doubling(11), 1 + 2*(1<<11-1) + 1<<11, ""},
		"twenty doublings":     {doubling(20), 0, "more than 15 levels"},
		"all columns":          {message("R", nil, columnsNamed(maxColumns)...), maxColumns, ""},
		"too many columns in a record": {
			message("R", kinds{message("T", nil, columnsNamed(maxColumns)...)}, "t T"), 0, "more than 10000 columns",
		},
		"all columns in a record": {
			message("R", kinds{message("T", nil, columnsNamed(maxColumns-1)...)}, "t T"), maxColumns, "",
		},
		"all parts": {
			message("R", kinds{message("T", nil, columnsNamed(2*maxColumns-3)...)}, "t X"), 1, "",
		},
		"the longest names": {
			message(strings.Repeat("R", maxName), nil, strings.Repeat("f", maxName)), 1,
			"",
		},
		"a long name before a short one": {
			message("R", nil, strings.Repeat("f", maxName+1), "a"), 0,
			"more than 1200 bytes",
		},
		"too many columns in the row": {message("R", nil, columnsNamed(maxColumns+1)...), 0, "more than 10000 columns"},
		"too many fields of no column": {
			message("R", kinds{message("T", nil, columnsNamed(2*maxColumns)...)}, "t X"), 0,
			"more than 20000 types, fields and values",
		},
		"too many values":       {values, 0, "more than 20000 types, fields and values"},
		"fifteen levels":        {chain(15, false), 31, ""},
		"sixteen levels":        {chain(16, false), 0, "more than 15 levels of records"},
		"fifteen levels inside": {chain(15, true), 31, ""},
		"sixteen levels inside": {chain(16, true), 0, "declared in more than 15 others"},
		"itself":                {message("R", nil, "r R"), 0, "type R contains itself"},
		"itself in two steps": {
			message("R", kinds{message("T", nil, "u U"), message("U", nil, "t T")}, "t T"), 0,
			"type R.T contains itself",
		},
		"deep by a type known already": {message("R", append(chain(14, false).NestedType, message("V", nil, "t T1")),
			"t T1", "v V"), 1 + 27 + 1 + 28, ""},
		"too deep by one known already": {message("R", append(chain(15, false).NestedType, message("V", nil, "t T1")),
			"t T1", "v V"), 0, "more than 15 levels"},
		"a long name of a type": {
			message("R", kinds{message(strings.Repeat("T", maxName+1), nil)}, "a"), 0, "more than 1200 bytes",
		},
		"a long name of a field": {message("R", nil, strings.Repeat("f", maxName+1)), 0, "more than 1200 bytes"},
	} {
		got, err := measure(test.d)
		switch {
		case test.says == "" && (err != nil || got != test.columns):
			t.Errorf("%s: %d columns, %v; want %d", name, got, err, test.columns)
		case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%s: %d columns, %v; want %q", name, got, err, test.says)
		}
	}
}

// Against the obvious way to count, which walks everything as often as it is used.
func TestMeasureCountsWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "types")
		var types []*descriptorpb.DescriptorProto
		for i := range n {
			var fields []string
			for j := range rapid.IntRange(0, 4).Draw(t, "fields") {
				to := rapid.IntRange(0, n).Draw(t, "type")
				if to == n {
					fields = append(fields, fmt.Sprintf("f%d", j))
				} else {
					fields = append(fields, fmt.Sprintf("f%d T%d", j, to))
				}
			}
			types = append(types, message(fmt.Sprintf("T%d", i), nil, fields...))
		}
		var count func(i, level int) (int, bool)
		count = func(i, level int) (int, bool) {
			if level > n {
				return 0, false // so deep only by a cycle
			}
			columns := 0
			for _, f := range types[i].GetField() {
				columns++
				if f.TypeName != nil {
					inner, ends := count(int(f.GetTypeName()[1]-'0'), level+1)
					if !ends {
						return 0, false
					}
					columns += inner
				}
			}
			return columns, true
		}
		want, ends := count(0, 1)
		got, err := measure(message("R", types, "t T0"))
		if ends != (err == nil) || ends && got != want+1 {
			t.Fatalf("%d columns, %v; want %d, ends %v", got, err, want+1, ends)
		}
	})
}

// Both services that take descriptors refuse what is out of bounds before anything walks it, and say whose fault that
// is.
func TestDescriptorsAreBounded(t *testing.T) {
	route := func(table string, d *descriptorpb.DescriptorProto) *lanev1.Route {
		return &lanev1.Route{Table: table, Row: &lanev1.Route_Descriptor_{Descriptor_: d}}
	}
	wide := message("R", nil, columnsNamed(maxColumns)...)
	var tooMany, most []*lanev1.Route
	for i := range maxColumnsAtOnce/maxColumns + 1 {
		tooMany = append(tooMany, route(fmt.Sprintf("t%d", i), wide))
	}
	most = tooMany[:len(tooMany)-1]
	for _, test := range []struct {
		routes []*lanev1.Route
		says   string
	}{
		{
			[]*lanev1.Route{route("a", message("R", nil, "a")), route("b", doubling(20))},
			"routes[1].descriptor: it has more than 15 levels",
		},
		{tooMany, "routes[10].descriptor: the routes up to this one describe 110000 columns, at most 100000"},
		{most, ""},
	} {
		_, err := (&Tables{Comparer: &comparer{}}).Diff(t.Context(), &lanev1.DiffRequest{Routes: test.routes})
		errs := map[string]error{"diff": err, "open": checkOpen(
			&lanev1.Open{Group: "g", Topic: "t", Routes: test.routes})}
		for who, err := range errs {
			if test.says == "" && err != nil || test.says != "" && (status.Code(err) != codes.InvalidArgument ||
				!strings.Contains(err.Error(), test.says)) {
				t.Errorf("%s: %v, want %q", who, err, test.says)
			}
		}
	}
}
