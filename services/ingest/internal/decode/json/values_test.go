package json

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// text is the row of a payload as text, or its error.
func text(t testing.TB, p *Plan, payload string) string {
	t.Helper()
	before := []byte("before")
	row, err := p.NewDecoder().Append(before, []byte(payload))
	if err != nil {
		var e *decode.Error
		if !errors.As(err, &e) || e.Contract != p.options.Contract || string(row) != "before" || e.Offset < 0 ||
			e.Offset > len(payload) {
			t.Fatalf("%s: %q, %#v", payload, row, err)
		}
		return fmt.Sprintf("%s at %d: %s", strings.TrimPrefix(e.Field, "payload."), e.Offset, e.Reason)
	}
	m := dynamicpb.NewMessage(decodetest.Payload(t, p))
	if err := proto.Unmarshal(row[len("before"):], m); err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	if len(m.GetUnknown()) > 0 {
		t.Fatalf("%s: the message does not have all fields of the row", payload)
	}
	return strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(m)), " ")
}

func compile(t testing.TB, avsc string, s Settings) *Plan {
	t.Helper()
	p, err := Compile([]byte(avsc), Avro, s, decode.Options{Contract: "c", Payload: "payload"})
	if err != nil {
		t.Fatalf("%s: %v", avsc, err)
	}
	return p
}

func one(avroType string) string {
	return `{"type":"record","name":"R","fields":[{"name":"x","type":` + avroType + `}]}`
}

// Each line is a value and what becomes of it, in a strict reading; with ~ before the value, in a lenient one. An error
// is marked by an !.
var values = map[string][][2]string{
	`"long"`: {
		{`0`, `x:0`},
		{`-0`, `x:0`},
		{`7`, `x:7`},
		{`-12345678`, `x:-12345678`},
		{`123456789012345678`, `x:123456789012345678`},
		{`9223372036854775807`, `x:9223372036854775807`},
		{`-9223372036854775808`, `x:-9223372036854775808`},
		{`1e3`, `x:1000`},
		{`1.0`, `x:1`},
		{`1200e-2`, `x:12`},
		{`0.5e1`, `x:5`},
		{`0e999999999999`, `x:0`},
		{`92233720368547758070e-1`, `x:9223372036854775807`},
		{`9223372036854775808`, `!at 5: wants a whole number of at most 64 bits`},
		{`-9223372036854775809`, `!of at most 64 bits`},
		{`1e19`, `!64 bits`},
		{`1e999999999`, `!64 bits`},
		{`1.5`, `!whole number`},
		{`1e-1`, `!whole number`},
		{`1.00000000000000000000001`, `!whole number`},
		{`01`, `!a zero that does not belong`},
		{`-`, `!a minus sign`},
		{`1.`, `!ends with its point`},
		{`1e`, `!without digits`},
		{`+1`, `!no JSON value`},
		{`"1"`, `!wants a whole number, has a string`},
		{`true`, `!has a boolean`},
		{`null`, `!x at 5: null, and the schema requires`},
		{`{}`, `!has an object`},
		{`[]`, `!has an array`},
		{`~"1"`, `x:1`},
		{`~"-12"`, `x:-12`},
		{`~"1e3"`, `x:1000`},
		{`~null`, ``},
		{`~"1 "`, `!only a number`},
		{`~"x"`, `!wants a whole number`},
		{`~""`, `!wants a whole number`},
	},
	`"int"`: {
		{`2147483647`, `x:2147483647`},
		{`-2147483648`, `x:-2147483648`},
		{`2147483648`, `!beyond the 32 bits`},
		{`21474836480e-1`, `!beyond the 32 bits`},
	},
	`"boolean"`: {
		{`true`, `x:true`},
		{`false`, `x:false`},
		{`1`, `!wants true or false, has a number`},
		{`tru`, `!no JSON value`},
		{`~"true"`, `x:true`},
		{`"true"`, `!has a string`},
		{`~"maybe"`, `!wants true`},
	},
	`"double"`: {
		{`0`, `x:0`},
		{`-0.0`, `x:-0`},
		{`1.5`, `x:1.5`},
		{`123.45`, `x:123.45`},
		{`1e22`, `x:1e+22`},
		{`0.1`, `x:0.1`},
		{`9007199254740993`, `x:9.007199254740992e+15`},
		{`1.7976931348623157e308`, `x:1.7976931348623157e+308`},
		{`5e-324`, `x:5e-324`},
		{`1e-400`, `x:0`},
		{`0.1234567890123456789012345678901234567890`, `x:0.12345678901234568`},
		{`1e400`, `!beyond a float of 64 bits`},
		{`01.5`, `!a zero that does not belong`},
		{`.5`, `!no JSON value`},
		{`1.e5`, `!point`},
		{`-.5`, `!minus sign`},
		{`NaN`, `!wants a number`},
		{`-Infinity`, `!wants a number`},
		{`"NaN"`, `!has a string`},
		{`~"NaN"`, `x:nan`},
		{`~"-Infinity"`, `x:-inf`},
		{`~"Infinity"`, `x:inf`},
		{`~"1.5"`, `x:1.5`},
		{`~"abc"`, `!something else`},
		{`~-Infinity`, `!wants a number`},
	},
	`"float"`: {
		{`1.5`, `x:1.5`},
		{`16777217`, `x:1.6777216e+07`},
		{`3.4e38`, `x:3.4e+38`},
		{`3.5e38`, `!beyond a float of 32 bits`},
	},
	`"string"`: {
		{`""`, `x:""`},
		{`"abc"`, `x:"abc"`},
		{`"Łódź"`, `x:"Łódź"`},
		{`"a\"b\\c\/d\b\f\n\r\t"`, `x:"a\"b\\c/d\x08\x0c\n\r\t"`},
		{`"\u00e9\u20AC"`, `x:"é€"`},
		{`"\ud83d\ude00"`, `x:"😀"`},
		{`"\ud83d"`, `!surrogate`},
		{`"\ude00"`, `!surrogate`},
		{`"\ud83d\u0041"`, `!surrogate`},
		{`"\ud83dx"`, `!surrogate`},
		{`"\u12g4"`, `!hexadecimal`},
		{`"\x"`, `!no such escape`},
		{"\"a\tb\"", `!control character`},
		{"\"\xff\"", `!not valid UTF-8`},
		{"\"\xed\xa0\x80\"", `!not valid UTF-8`},
		{`"abc`, `!ends inside of a text`},
		{`'a'`, `!no JSON value`},
		{`5`, `!wants a string, has a number`},
		{`~5.50`, `x:"5.50"`},
		{`~true`, `x:"true"`},
		{`~{}`, `!wants a string`},
	},
	`{"type":"enum","name":"E","symbols":["A","BB"]}`: {
		{`"A"`, `x:"A"`},
		{`"B\u0042"`, `x:"BB"`},
		{`"C"`, `!no such symbol`},
		{`1`, `!wants a symbol`},
		{`~"C"`, `x:"C"`},
	},
	`{"type":"enum","name":"E","symbols":["A","BB"],"default":"A"}`: {{`"C"`, `x:"A"`}},
	`"bytes"`: {
		{`""`, `x:""`},
		{`"YWJj"`, `x:"abc"`},
		{`"YQ=="`, `x:"a"`},
		{`"\u0059Q=="`, `x:"a"`},
		{`"YQ"`, `!not base64`},
		{`"YR=="`, `!not base64`},
		{`"Y\nQ=="`, `!not base64`},
		{`"_w=="`, `!not base64`},
		{`1`, `!wants base64`},
	},
	`{"type":"fixed","name":"F","size":2}`: {{`"YWI="`, `x:"ab"`}, {`"YQ=="`, `!1 bytes, and the schema wants 2`}},
	`{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}`: {
		{`1.5`, `x:"1.5"`},
		{`"1.50"`, `x:"1.5"`},
		{`-999.99`, `x:"-999.99"`},
		{`1e2`, `x:"100"`},
		{`12345e-2`, `x:"123.45"`},
		{`0.001e1`, `x:"0.01"`},
		{`1.000`, `x:"1"`},
		{`-0.00`, `x:"0"`},
		{`100`, `x:"100"`},
		{`1000`, `!does not fit 3 digits before the point and 2 behind`},
		{`1.005`, `!does not fit`},
		{`1e999999999999`, `!does not fit`},
		{`1e-999999999`, `!does not fit`},
		{`"1.5x"`, `!something else`},
		{`"x"`, `!wants a decimal`},
		{`"-"`, `!minus sign`},
		{`true`, `!wants a decimal`},
	},
	`{"type":"bytes","logicalType":"decimal","precision":76,"scale":38}`: {
		{
			`99999999999999999999999999999999999999.99999999999999999999999999999999999999`,
			`x:"99999999999999999999999999999999999999.99999999999999999999999999999999999999"`,
		},
		{`-1e37`, `x:"-10000000000000000000000000000000000000"`},
		{`1e-38`, `x:"0.00000000000000000000000000000000000001"`},
		{`1e-39`, `!does not fit`},
	},
	`{"type":"int","logicalType":"date"}`: {
		{`"1970-01-02"`, `x:1`},
		{`"2024-02-29"`, `x:19782`},
		{`"0001-01-01"`, `x:-719162`},
		{`"9999-12-31"`, `x:2932896`},
		{`19782`, `x:19782`},
		{`"2023-02-29"`, `!no such day`},
		{`"2023-13-01"`, `!no such day`},
		{`"2023-00-01"`, `!no such day`},
		{`"2023-04-31"`, `!no such day`},
		{`"0000-01-01"`, `!years 1 to 9999`},
		{`"2023-2-1"`, `!wants a date`},
		{`"2023-02-01T"`, `!nothing behind`},
		{`2932897`, `!years 1 to 9999`},
		{`true`, `!wants a date`},
	},
	`{"type":"long","logicalType":"timestamp-millis"}`: {
		{`1000`, `x:1000000`},
		{`"1970-01-01T00:00:01Z"`, `x:1000000`},
		{`"1970-01-01t00:00:01.5z"`, `x:1500000`},
		{`"1970-01-01 01:00:00+01:00"`, `x:0`},
		{`"1969-12-31T23:59:59.999999999-00:30"`, `x:1799999999`},
		{`"0001-01-01T00:00:00Z"`, `x:-62135596800000000`},
		{`"9999-12-31T23:59:59.999999Z"`, `x:253402300799999999`},
		{`"0001-01-01T00:00:00+00:01"`, `!years 1 to 9999`},
		{`253402300800000`, `!years 1 to 9999`},
		{`"1970-01-01T00:00:01"`, `!without a zone`},
		{`~"1970-01-01T00:00:01"`, `x:1000000`},
		{`"1970-01-01"`, `!RFC 3339`},
		{`"1970-01-01T24:00:00Z"`, `!RFC 3339`},
		{`"1970-01-01T00:00:60Z"`, `!RFC 3339`},
		{`"1970-01-01T00:00:00.Z"`, `!RFC 3339`},
		{`"1970-01-01T00:00:00+1:00"`, `!RFC 3339`},
		{`"1000"`, `!RFC 3339`},
		{`~"1000"`, `x:1000000`},
		{`1.5`, `!whole number`},
	},
	`{"type":"long","logicalType":"timestamp-nanos"}`: {{`-1`, `x:-1`}, {`1999`, `x:1`}},
	`{"type":"int","logicalType":"time-millis"}`: {
		{`1`, `x:"00:00:00.001000"`},
		{`"23:59:59.1234567"`, `x:"23:59:59.123456"`},
		{`"00:00:00Z"`, `x:"00:00:00.000000"`},
		{`86400000`, `!not within a day`},
		{`-1`, `!not within a day`},
		{`"24:00:00"`, `!wants a time`},
		{`"00:00:00+01:00"`, `!no zone`},
	},
	`{"type":"long","logicalType":"local-timestamp-micros"}`: {
		{`1`, `x:"1970-01-01 00:00:00.000001"`},
		{`"2024-02-29T10:20:30.5"`, `x:"2024-02-29 10:20:30.500000"`},
		{`"0001-01-01 00:00:00"`, `x:"0001-01-01 00:00:00.000000"`},
		{`"2024-02-29T10:20:30Z"`, `!without a zone`},
		{`"2024-02-29"`, `!wants a date and time`},
	},
	`{"type":"string","logicalType":"uuid"}`: {
		{`"0f8fad5b-d9cb-469f-a165-708677289501"`, `x:"0f8fad5b-d9cb-469f-a165-708677289501"`},
	},
	`{"type":"array","items":"long"}`: {
		{`[]`, ``},
		{`null`, ``},
		{`[1, 2 ,3]`, `x:1 x:2 x:3`},
		{`[1,null]`, `!x[1] at 8: null among the items`},
		{`[1,"a"]`, `!x[1] at 8: wants a whole number`},
		{`[1,]`, `!x[1] at 8: wants a whole number, has no JSON value`},
		{`[1 2]`, `!a comma or ]`},
		{`5`, `!wants an array`},
	},
	`{"type":"array","items":["null","long"]}`: {
		{`[1,null,2]`, `x:{value:1} x:{} x:{value:2}`}, {`[1,"a"]`, `!x[1] at 8: wants a whole number`},
	},
	`{"type":"array","items":{"type":"array","items":"long"}}`: {
		{`[[],[1,2],null,[3]]`, `x:{} x:{items:1 items:2} x:{} x:{items:3}`}, {
			`[[1],[2,"a"]]`, `!x[1][1] at 13: wants a whole number`,
		},
	},
	`{"type":"map","values":"long"}`: {
		{`{}`, ``},
		{`null`, ``},
		{`{"a":1,"é\n":2}`, `x:{key:"a" value:1} x:{key:"é\n" value:2}`},
		{`{"a":"b"}`, `!x.a at 10: wants a whole number`},
		{`{"a":null}`, `!null`},
		{`[]`, `!wants an object`},
		{`{"a" 1}`, `!a colon`},
	},
	`{"type":"map","values":["null",{"type":"array","items":"string"}]}`: {
		{`{"a":null,"b":["c"]}`, `x:{key:"a"} x:{key:"b" value:"c"}`},
	},
	`{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"id","type":"long"},{"name":"tags",` +
		`"type":{"type":"array","items":"string"},"default":["none"]}]}}`: {
		{
			`[{"id":1},{"tags":[],"id":2},{"id":3,"tags":["a","b"]}]`,
			`x:{id:1 tags:"none"} x:{id:2} x:{id:3 tags:"a" tags:"b"}`,
		},
		{`[{"id":1},{"id":"a"}]`, `!x[1].id at 21: wants a whole number, has a string`},
		{`[{}]`, `!x[0].id at 7: the field is missing`},
		{`[{"id":1,"id":2}]`, `!x[0].id at 14: the field is there twice`},
		{`[{"id":1,"no":2}]`, `!x[0].no at 14: the schema does not know the field`},
		{`[{"id":1,"tags":["a",5]}]`, `!x[0].tags[1] at 26: wants a string`},
	},
	`["null","long","string",{"type":"record","name":"I","fields":[{"name":"id","type":"long"}]}]`: {
		{`null`, ``},
		{`1`, `x:{long_value:1}`},
		{`"a"`, `x:{string_value:"a"}`},
		{`{"id":5}`, `x:{I_value:{id:5}}`},
		{`true`, `!the union has no type for a boolean`},
		{`[]`, `!no type for an array`},
		{`{"id":"a"}`, `!x.id at 11: wants a whole`},
	},
	`["null","string"]`: {{`null`, ``}, {`"a"`, `x:"a"`}},
}

func TestValues(t *testing.T) {
	for avroType, cases := range values {
		strict, lenient := compile(t, one(avroType), Settings{}), compile(t, one(avroType), Settings{Lenient: true})
		for _, c := range cases {
			p, value := strict, c[0]
			if value[0] == '~' {
				p, value = lenient, value[1:]
			}
			got := text(t, p, `{"x":`+value+`}`)
			want, failing := strings.CutPrefix(c[1], "!")
			ok := got == want
			if failing {
				ok = false
				for w := range strings.SplitSeq(want, "|") {
					ok = ok || strings.Contains(got, w) && strings.Contains(got, " at ")
				}
			}
			if !ok {
				t.Errorf("%s %s:\n got %s\nwant %s", avroType, c[0], got, c[1])
			}
		}
	}
}
