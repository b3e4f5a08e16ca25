package protobuf

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

func nested(number protowire.Number, body ...byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), body)
}

func varintField(number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v)
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// Every refusal names the field by its path and the byte where it starts.
func TestRefusedPayloads(t *testing.T) {
	m := parse(t, everything3).Messages().ByName("Every")
	var deep []byte // a Value of lists in lists
	for range 600 {
		deep = nested(6, nested(1, deep...)...)
	}
	point := nested(300, varintField(1, 5)...)
	for name, tt := range map[string]struct {
		payload []byte
		field   string
		offset  int
		reason  string
	}{
		"cut in a tag":    {[]byte{0x80}, "payload", 0, "ends behind its message"},
		"cut in a number": {[]byte{1 << 3, 0x80}, "payload.i32", 0, "ends behind"},
		"cut in a text":   {[]byte{14<<3 | 2, 5, 'a'}, "payload.text", 0, "ends behind"},
		"cut in a double": {[]byte{12<<3 | 1, 1, 2, 3}, "payload.db", 0, "ends behind"},
		"cut in a float":  {join(varintField(1, 1), []byte{11<<3 | 5, 1, 2, 3}), "payload.fl", 2, "ends behind"},
		"long varint": {
			[]byte{1 << 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2},
			"payload.i32", 0,
			"64 bits",
		},
		"field number 0": {[]byte{0, 1}, "payload", 0, "field number"},
		"huge length":    {append([]byte{14<<3 | 2}, 255, 255, 255, 255, 15), "payload.text", 0, "ends behind"},
		"length of ten bytes": {
			append([]byte{14<<3 | 2}, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1), "payload.text", 0,
			"more than five bytes",
		},
		"length of six bytes": {
			[]byte{14<<3 | 2, 0x81, 0x80, 0x80, 0x80, 0x80, 0, 'x'}, "payload.text", 0, "more than five bytes",
		},
		"tag of six bytes": {
			[]byte{14<<3 | 2 | 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 'x'}, "payload.text", 0, "more than five bytes",
		},
		"unknown tag of seven": {
			[]byte{0xf8 | 0x80, 0x87, 0x80, 0x80, 0x80, 0x80, 0, 1}, "payload", 0, "more than five bytes",
		},
		"wire type": {nested(1, 1), "payload.i32", 0, "the value is length-delimited, the schema says a varint"},
		"wire type of a text": {
			varintField(14, 3), "payload.text", 0, "the value is a varint, the schema says length-delimited",
		},
		"group":           {[]byte{1<<3 | 3, 1<<3 | 4}, "payload.i32", 0, "the start of a group"},
		"unknown, cut":    {[]byte{0xa2, 0x38, 5}, "payload", 0, "does not have"},
		"end of a group":  {[]byte{0xa4, 0x38}, "payload", 0, "does not have"},
		"UTF-8":           {nested(14, 'a', 0xff), "payload.text", 0, "UTF-8"},
		"UTF-8 in a list": {join(nested(207, 'a'), point, nested(207, 0xc0, 0x80)), "payload.rtext[1]", 9, "UTF-8"},
		"UTF-8 in a message": {
			join(nested(301), nested(301, nested(7, 0xff)...)), "payload.points[1].label", 6,
			"UTF-8",
		},
		"UTF-8 in a map": {join(nested(500), nested(500, nested(1, 0xff)...)), "payload.m1[1].key", 6, "UTF-8"},
		"uint64":         {varintField(4, 1<<63), "payload.u64", 0, "the largest INTEGER"},
		"fixed64": {
			append([]byte{8<<3 | 1}, 0, 0, 0, 0, 0, 0, 0, 0x80), "payload.f64", 0, "the largest INTEGER",
		},
		"packed uint64": {
			nested(202, join([]byte{1, 2}, protowire.AppendVarint(nil, 1<<63))...), "payload.ru64[2]", 5,
			"the largest INTEGER",
		},
		"packed, cut":        {nested(204, 1, 2, 3), "payload.rf64[0]", 3, "ends behind"},
		"packed, cut varint": {join(varintField(201, 4), nested(201, 1, 0x80)), "payload.ri32[2]", 7, "ends behind"},
		"timestamp":          {nested(600, varintField(1, 1<<50)...), "payload.at", 0, "years 1 to 9999"},
		"nanos":              {nested(600, varintField(2, 1_000_000_000)...), "payload.at", 0, "nanos"},
		"timestamp in a list": {
			join(nested(601), nested(601, varintField(1, 1<<50)...)), "payload.ats[1]", 3, "years 1 to 9999",
		},
		"duration": {nested(602, varintField(1, maxSeconds+1)...), "payload.span", 0, "out of bounds"},
		"signs of a duration": {
			nested(602, join(varintField(1, 1), varintField(2, ^uint64(0)))...), "payload.span", 0, "different signs",
		},
		"wrapped text":   {nested(610, nested(1, 0xff)...), "payload.wtext", 3, "UTF-8"},
		"wrapped uint64": {nested(612, varintField(1, 1<<63)...), "payload.wu64", 3, "the largest INTEGER"},
		"NaN in a Value": {nested(621, 2<<3|1, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f), "payload.value", 3, "NaN"},
		"deep Value":     {nested(621, deep...), "payload.value", -2, "deeper than 500"},
		"UTF-8 of a key": {nested(620, nested(1, nested(1, 0xff)...)...), "payload.object", 5, "UTF-8"},
		"twice, and then more": {
			join(varintField(1, 1), varintField(1, 2), nested(14, 0xff)), "payload.text", 4,
			"UTF-8",
		},
		"twice, merged": {
			join(nested(602, varintField(1, 1)...), nested(602, varintField(2, ^uint64(0))...)), "payload.span", -1,
			"are merged",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := compile(t, m, Drop, options).NewDecoder()
			out, err := d.Append([]byte("kept"), tt.payload)
			var e *decode.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %x, %v", out, err)
			}
			if e.Contract != "test" || e.Field != tt.field || e.Offset != tt.offset && tt.offset != -2 ||
				!strings.Contains(e.Reason, tt.reason) {
				t.Errorf("got %+v", e)
			}
			if string(out) != "kept" {
				t.Errorf("dst came back as %q", out)
			}
			if _, err := d.Append(nil, point); err != nil {
				t.Errorf("the next record: %v", err)
			}
		})
	}
}

func TestRequiredFieldIsMissing(t *testing.T) {
	m := parse(t, everything2).Messages().ByName("Every")
	id := []byte{10<<3 | 1, 1, 0, 0, 0, 0, 0, 0, 0}
	for _, tt := range []struct {
		payload []byte
		field   string
		offset  int
	}{
		{nil, "payload.id", 0},
		{join(id, nested(8, nested(1, 'a')...), nested(8, varintField(2, 1)...)), "payload.inners[1].name", 16},
	} {
		_, err := compile(t, m, Drop, options).NewDecoder().Append(nil, tt.payload)
		var e *decode.Error
		if !errors.As(err, &e) || e.Field != tt.field || e.Offset != tt.offset ||
			!strings.Contains(e.Reason, "required") {
			t.Errorf("want %+v, got %v", tt, err)
		}
	}
}

// Unknown fields at any depth are left out, or the record is refused at the first.
func TestUnknownFields(t *testing.T) {
	m := parse(t, everything3).Messages().ByName("Every")
	plain := varintField(1, 7)
	extra := nested(999, 1, 2, 3)
	group := []byte{0xbb, 0x3e, 1 << 3, 5, 0xbc, 0x3e} // field 999
	with := join(extra, nested(302, join(plain, extra)...), group, nested(303, join(group, plain)...),
		nested(600, join(varintField(1, 1), extra)...))
	without := join(nested(302, plain...), nested(303, plain...), nested(600, varintField(1, 1)...))
	d := compile(t, m, Drop, options).NewDecoder()
	got, err := d.Append(nil, with)
	if err != nil {
		t.Fatal(err)
	}
	want, err := d.Append(nil, without)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x, %v", got, want, err)
	}
	for field, payload := range map[string][]byte{
		"payload": join(plain, extra), "payload.plain": nested(302, extra...),
		"payload.plains[0]": nested(303, join(plain, group)...), "payload.at": nested(600, extra...),
	} {
		_, err := compile(t, m, Refuse, options).NewDecoder().Append(nil, payload)
		var e *decode.Error
		if !errors.As(err, &e) || e.Field != field || !strings.Contains(e.Reason, "no field 999") {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// A singular field that is there twice means what protobuf says: the last scalar, the last member of a oneof, the
// messages merged.
func TestFieldsThatAreThereTwice(t *testing.T) {
	m := parse(t, everything3).Messages().ByName("Every")
	o := options
	o.EventID, o.EventTime = "text", "at"
	plan := compile(t, m, Drop, o)
	d := plan.decoder()
	row := rowType(t, plan)
	for name, payload := range map[string][]byte{
		"scalar":   join(nested(14, 'a'), nested(14, 'b')),
		"message":  join(nested(300, varintField(1, 5)...), nested(300, varintField(2, 6)...), nested(14, 'b')),
		"oneof":    join(nested(400, 'w'), varintField(402, 3), nested(14, 'b')),
		"the same": join(nested(400, 'w'), nested(400, 'v'), nested(14, 'b')),
		"inside":   join(nested(301, join(varintField(1, 5), varintField(1, 6))...), nested(14, 'b')),
		"time":     join(nested(600, varintField(1, 5)...), nested(600, varintField(2, 6000)...), nested(14, 'b')),
		"key": join(nested(620,
			join(nested(1, join(nested(1, 'a'), nested(2, varintField(4, 0)...))...),
				nested(1, join(nested(1, 'a'), nested(2, varintField(4, 1)...))...))...), nested(14, 'b')),
		"value": join(nested(621, join(varintField(4, 1), nested(3, 'x'))...), nested(14, 'b')),
	} {
		got, err := d.Append(nil, payload)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		in := dynamicpb.NewMessage(m)
		out := dynamicpb.NewMessage(row)
		if err := errors.Join(proto.Unmarshal(payload, in), proto.Unmarshal(got, out)); err != nil {
			t.Fatal(err)
		}
		if diff := compareRows(expect(in, row), out); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if id, ok := d.EventID(); !ok || string(id) != "b" {
			t.Errorf("%s: the identity is %q", name, id)
		}
		if micros, ok := d.EventTime(); ok != (name == "time") || ok && micros != 5_000_006 {
			t.Errorf("%s: the time is %d", name, micros)
		}
	}
}

// Schemas that make no table are refused with the path of the field.
func TestRefusedSchemas(t *testing.T) {
	chain := "message M { L1 a = 1; }\n"
	for i := 1; i <= 16; i++ {
		chain += fmt.Sprintf("message L%d { L%d a = 1; int32 b = 2; }\n", i, i+1)
	}
	for name, tt := range map[string]struct{ text, field, reason string }{
		"recursion": {
			"message M { repeated N n = 1; } message N { int32 a = 1; M m = 2; }", "payload.n[].m", "contains itself",
		},
		"recursive map": {"message M { map<string, M> m = 1; }", "payload.m[].value", "contains itself"},
		"no fields":     {"message M { }", "payload", "no fields"},
		"case":          {"message M { int32 a_b = 1; int32 A_B = 2; }", "payload.A_B", "case"},
		"reserved":      {"message M { int32 _partition_x = 1; }", "payload._partition_x", "keeps names"},
		"nesting":       {chain + "message L17 { int32 a = 1; }", "payload" + strings.Repeat(".a", 15), "15 levels"},
		"option": {
			`import "column/v1/column.proto"; message M { int32 a = 1 [(column.v1.column) = {type: COLUMN_TYPE_TIMESTAMP}]; }`,
			"payload.a", "cannot carry",
		},
		"no such id": {"message M { int32 a = 1; }", "payload.b.c", "event_id: the schema has no field b here"},
		"id in a list": {
			"message M { repeated N b = 1; } message N { string c = 1; }", "payload.b.c",
			"event_id: c is in a value of type array",
		},
		"id of bytes": {"message M { N b = 1; } message N { bytes c = 1; }", "payload.b.c", "event_id: wants"},
		"a value": {
			`import "google/protobuf/struct.proto"; message N { google.protobuf.Value b = 1; }`, "payload",
			"is one value",
		},
		"column overflow": {
			"message M { O a = 1; O b = 2; O c = 3; } message O { N a = 1; N b = 2; N c = 3; N d = 4; } message N {" +
				manyFields(900) + "}", "payload.c.d.f85", "10000 columns",
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := parse(t, `syntax = "proto3"; package x; `+tt.text)
			m := file.Messages().Get(0)
			if name == "a value" {
				m = m.Fields().Get(0).Message()
			}
			o := options
			if strings.HasPrefix(tt.reason, "event_id") {
				o.EventID = "b.c"
			}
			_, err := compileMessage(m, Drop, o)
			var e *decode.SchemaError
			if !errors.As(err, &e) || e.Field != tt.field || !strings.Contains(e.Reason, tt.reason) {
				t.Errorf("got %v", err)
			}
		})
	}
	group := parse(t, `syntax = "proto2"; message M { repeated group G = 1 { optional int32 a = 1; } }`)
	if _, err := compileMessage(group.Messages().Get(0), Drop, options); err == nil ||
		!strings.Contains(err.Error(), "payload.g[]: it is a group") {
		t.Errorf("got %v", err)
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "int32 f%d = %d;", i, i+1)
	}
	return b.String()
}

// Every field that cannot be a column is reported, and what the contract wants of fields beside it.
func TestAllThatIsWrongWithAMessage(t *testing.T) {
	m := parse(t, `syntax = "proto3"; package x; message M { M self = 1; int32 Same = 2; int32 same = 3; In in = 4; `+
		`double d = 5; int32 n = 6; } message In { None none = 1; } message None {}
		message Row { string s = 1; int64 n = 2; }`)
	o := options
	o.EventID, o.EventTime, o.Columns = "d", "nothing", decode.Columns{
		"gone": {Type: decode.Date}, "n": {Type: decode.JSON}, "d": {Type: decode.Date},
	}
	_, err := compileMessage(m.Messages().ByName("M"), Drop, o)
	if got := decodetest.Faults(t, err); got != "payload.d payload.gone payload.n "+
		"payload.self payload.same payload.nothing" {
		t.Errorf("at fault are %s: %v", got, err)
	}
	two := parse(t, `syntax = "proto2"; message M { optional string a = 1 [default = "x"]; optional string b = 2 `+
		`[default = "y"]; optional string c = 3 [default = "1"]; }`)
	o = options
	o.Columns = decode.Columns{"a": {Type: decode.Numeric}, "b": {Type: decode.Numeric}, "c": {Type: decode.Numeric}}
	_, err = compileMessage(two.Messages().Get(0), Drop, o)
	if got := decodetest.Faults(t, err); got != "payload.a payload.b" {
		t.Errorf("at fault are %s: %v", got, err)
	}
}
