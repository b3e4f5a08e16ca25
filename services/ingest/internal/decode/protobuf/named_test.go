package protobuf

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

const everyKind = `syntax = "proto3";
import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto"; import ` +
	`"google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto"; import "google/protobuf/empty.proto";
message M { int32 id = 1; N n = 2; repeated N many = 3; oneof o { string a = 4; int64 b = 5; } repeated int32 list ` +
	`= 6; }
message N { N next = 1; int64 i = 2; uint64 u = 3; double d = 4; float f = 5; bool ok = 6; string s = 7; bytes y = ` +
	`8; E e = 9;
  repeated sint32 list = 10; map<int32, string> m = 11; google.protobuf.Timestamp at = 12; google.protobuf.Duration ` +
	`took = 13;
  google.protobuf.StringValue w = 14; google.protobuf.Struct any = 15; google.protobuf.Empty none = 16; repeated ` +
	`string words = 17;
  fixed64 fx = 18; map<string, N> below = 19; }
enum E { ZERO = 0; ONE = 1; }`

// payloadOf is a message of the text's M, from JSON.
func payloadOf(t testing.TB, text, json string) []byte {
	t.Helper()
	m := dynamicpb.NewMessage(parse(t, text).Messages().ByName("M"))
	if err := protojson.Unmarshal([]byte(json), m); err != nil {
		t.Fatal(err)
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// A field that can be no column as it is has another name, another type, or none.
func TestNamedSkippedAndRetyped(t *testing.T) {
	skip := decode.Column{Skip: true}
	base := decode.Columns{"n": skip, "many": skip}
	with := func(path string, c decode.Column) decode.Columns {
		all := decode.Columns{path: c}
		for path, c := range base {
			if _, ok := all[path]; !ok {
				all[path] = c
			}
		}
		return all
	}
	for _, c := range []struct {
		columns       decode.Columns
		payload, want string
	}{
		{base, `{"id":1,"n":{"i":5},"many":[{},{}],"a":"x","list":[1,2]}`, `{"id":1,"a":"x","list":[1,2]}`},
		{with("list", skip), `{"id":1,"list":[1,2]}`, `{"id":1}`},
		{with("a", skip), `{"id":1,"a":"x"}`, `{"id":1}`},
		{with("id", skip), `{"id":1,"b":2}`, `{"b":"2"}`},
		{with("id", decode.Column{Name: "ID_2"}), `{"id":1}`, `{"ID_2":1}`},
		{with("id", decode.Column{Name: "x", Type: decode.Float}), `{"id":1}`, `{"x":1}`},
		{with("a", decode.Column{Type: decode.Float}), `{"a":"1.5"}`, `{"id":0,"a":1.5}`},
		{with("n", decode.Column{Type: decode.JSON}), `{"id":1,"n":{}}`, `{"id":1,"n":"{}"}`},
		{with("many", decode.Column{Type: decode.JSON}), `{"id":1,"many":[{"i":1},` +
			`{}]}`, `{"id":1,"many":["{\"i\":1}","{}"]}`},
		{
			with("n", decode.Column{Type: decode.JSON, Name: "all"}),
			`{"id":1,"n":{"next":{"i":-1},"i":"9007199254740993","u":"18446744073709551615","d":0.5,"f":0.1,"ok":true,` +
				`"s":"a\"é","y":"YWI=","e":"ONE",
			"list":[1,-1],"m":{"3":"x"},"at":"1970-01-01T00:00:01.5Z","took":"1.5s","w":"v","any":{"k":[null,1]},"none":{},` +
				`"words":["p","q"],"fx":"7",
			"below":{"k":{"ok":true}}}}`,
			`{"next":{"i":-1},"i":9007199254740993,"u":18446744073709551615,"d":0.5,"f":0.1,"ok":true,"s":"a\"é","y":"YWI=",` +
				`"e":"ONE",` +
				`"list":[1,-1],"m":{"3":"x"},"at":"1970-01-01T00:00:01.500000Z","took":"0-0 0 0:0:1.500000","w":"v",` +
				`"any":{"k":[null,1]},` +
				`"none":{},"words":["p","q"],"fx":7,"below":{"k":{"ok":true}}}`,
		},
	} {
		p, err := compiled(t, everyKind, c.columns, nil)
		if err != nil {
			t.Errorf("%v: %v", c.columns, err)
			continue
		}
		payload := payloadOf(t, everyKind, c.payload)
		got := shown(t, p, payload)
		if c.want[:2] != `{"` || strings.HasPrefix(c.want, `{"next`) {
			c.want = `{"id":1,"all":"` + strings.ReplaceAll(c.want, `"`, `\"`) + `"}`
			c.want = strings.ReplaceAll(c.want, `a\\"é`, `a\\\"é`)
		}
		if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(c.want, " ", "") {
			t.Errorf("%v:\ngot  %s\nwant %s", c.columns, got, c.want)
		}
		d, room := p.NewDecoder(), make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(20, func() { _, _ = d.Append(room, payload) }); n != 0 {
			t.Errorf("%v: %v allocations a row", c.columns, n)
		}
	}
}

// Elements of a list that do not stand together are one list of the JSON, and a field that is there twice is what
// protobuf says it is.
func TestScatteredFieldsOfJSON(t *testing.T) {
	p, err := compiled(t, everyKind, decode.Columns{"n": {Type: decode.JSON}, "many": {Skip: true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		"\x8a\x01\x01a\x10\x05\x8a\x01\x01b":        `{"i":5,"words":["a","b"]}`,
		"\x52\x01\x02\x10\x05\x50\x04":              `{"i":5,"list":[1,2]}`,
		"\x10\x05\x10\x06":                          `{"i":6}`,
		"\x0a\x02\x10\x01\x0a\x02\x30\x01":          `{"next":{"i":1,"ok":true}}`,
		"\x5a\x02\x08\x01\x10\x05\x5a\x03\x12\x01x": `{"i":5,"m":{"0":"x","1":""}}`,
		"\x48\x07":                             `{"e":7}`,
		"\x21\x00\x00\x00\x00\x00\x00\xf0\x7f": "!NaN or infinite",
		"\x3a\x01\xff":                         "!UTF-8",
		"\x11\x00\x00\x00\x00\x00\x00\x00\x00": "!the value is a fixed 64-bit number, the schema says a varint",
		"\x0a\x05\x10":                         "!",
		"\xf8\x07\x01\x10\x05":                 `{"i":5}`,
	} {
		got := shown(t, p, append([]byte{2<<3 | 2, byte(len(body))}, body...))
		if reason, refused := strings.CutPrefix(want, "!"); refused {
			if !strings.HasPrefix(got, "refused: n at byte") || !strings.Contains(got, reason) {
				t.Errorf("%x: %s, want %s", body, got, reason)
			}
			continue
		}
		if want = `{"n":"` + strings.ReplaceAll(want, `"`, `\"`) + `","id":0}`; got != want &&
			got != strings.Replace(`{"id":0,`+want[1:], `,"id":0}`, `}`, 1) {
			t.Errorf("%x: %s, want %s", body, got, want)
		}
	}
}

// What a contract leaves out is no unknown field, but has to be well-formed.
func TestLeftOutIsKnown(t *testing.T) {
	o := options
	o.Columns = decode.Columns{"n": {Skip: true}, "many": {Skip: true}}
	p, err := compileMessage(parse(t, everyKind).Messages().ByName("M"), Refuse, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := shown(t, p, []byte("\x08\x01\x12\x03\x80\x7d\x01")); got != `{"id":1}` {
		t.Error(got)
	}
	if got := shown(t, p, []byte("\x08\x01\x12\x03\x80")); !strings.HasPrefix(got,
		"refused: n at byte 2: a field that the contract leaves out") {
		t.Error(got)
	}
}
