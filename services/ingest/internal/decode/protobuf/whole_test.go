package protobuf

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

const lists = `syntax = "proto3"; import "google/protobuf/timestamp.proto"; import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto"; import "google/protobuf/any.proto"; enum E { A = 0; B = 1; }
message M { int64 id = 1; repeated int64 numbers = 2; repeated E enums = 3; repeated bool flags = 4;
  repeated double doubles = 5; repeated string texts = 6; repeated M parts = 7; map<string, M> by_name = 8;
  map<int32, string> by_number = 9; repeated google.protobuf.Timestamp times = 10;
  map<string, google.protobuf.Struct> structs = 11; repeated google.protobuf.Int64Value wrapped = 12;
  repeated fixed32 fixed = 13; google.protobuf.Any any = 14; map<bool, google.protobuf.Value> values = 15; }`

// wholes ask for one JSON column of each list and map.
func wholes() decode.Columns {
	columns := decode.Columns{"any": {Type: decode.JSON}}
	for name := range strings.FieldsSeq("numbers enums flags doubles by_name by_number times structs wrapped fixed " +
		"values") {
		columns[name] = decode.Column{Type: decode.JSON}
	}
	for _, name := range []string{"texts", "parts"} {
		columns[name] = decode.Column{Type: decode.JSON, Whole: true}
	}
	return columns
}

// Lists and maps become one JSON column each, those of a message that contains itself too. One without elements is an
// empty one, as it is in protobuf.
func TestWholeListsAndMaps(t *testing.T) {
	p, err := compiled(t, lists, wholes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range columnsOf(t, p) {
		if kind != "JSON" && name != "M.id" {
			t.Errorf("%s is %s", name, kind)
		}
	}
	m := dynamicpb.NewMessage(parse(t, lists).Messages().ByName("M"))
	if err := protojson.Unmarshal([]byte(`{"id":1,"numbers":[1,-2],"enums":["A","B",7],"flags":[true],"doubles":[1.5],
		"texts":["a\"","é"],"parts":[{"id":2,"parts":[{"id":3}]},{}],"by_name":{"x":{"numbers":[5]}},
		"by_number":{"7":"seven"},"times":["2026-02-28T13:05:00.25Z"],"structs":{"s":{"a":[null,{}]}},"wrapped":["9"],
		"fixed":[4294967295],"any":{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":"3"},
		"values":{"true":null}}`), m); err != nil {
		t.Fatal(err)
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"id": "1", "numbers": `[1,-2]`, "enums": `["A","B",7]`, "flags": `[true]`, "doubles": `[1.5]`,
		"texts":     `["a\"","é"]`,
		"parts":     `[{"id":2,"parts":[{"id":3}]},{}]`,
		"by_name":   `{"x":{"numbers":[5]}}`,
		"by_number": `{"7":"seven"}`, "times": `["2026-02-28T13:05:00.250000Z"]`, "structs": `{"s":{"a":[null,{}]}}`,
		"wrapped": `[9]`, "fixed": `[4294967295]`, "values": `{"true":null}`,
		"any": `{"type_url":"type.googleapis.com/google.protobuf.Int64Value","value":"CAM="}`,
	}
	compareTexts(t, shown(t, p, payload), want)
	empty := map[string]string{"id": "0"}
	for name, text := range want {
		if name != "id" && name != "any" {
			empty[name] = text[:1] + text[len(text)-1:]
		}
	}
	compareTexts(t, shown(t, p, nil), empty)
}

// compareTexts compares a row with the values of its columns, JSON as text.
func compareTexts(t *testing.T, row string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	if err := json.Unmarshal([]byte(row), &got); err != nil {
		t.Fatalf("%s: %v", row, err)
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s is %s, want %s", name, got[name], text)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("more columns: %v", got)
	}
}

// Elements in several places, packed or not, are one list, and keys that come again one key: as protobuf reads them.
func TestWholeListsInPieces(t *testing.T) {
	p, err := compiled(t, lists, wholes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(key byte, value string) []byte {
		return nested(9, append([]byte{8, key, 18, byte(len(value))}, value...)...)
	}
	for _, c := range []struct {
		payload []byte
		column  string
		want    string
	}{
		{join(varintField(2, 1), nested(2, 2, 3), varintField(2, 4)), "numbers", `[1,2,3,4]`},
		{join(nested(2, 1), varintField(1, 5), varintField(2, 2)), "numbers", `[1,2]`},
		{join(entry(1, "a"), entry(2, "b"), entry(1, "c")), "by_number", `{"1":"c","2":"b"}`},
		{join(entry(1, "a"), varintField(1, 5), entry(2, "b")), "by_number", `{"1":"a","2":"b"}`},
		{nested(9), "by_number", `{"0":""}`},
		{nested(8, nested(1, 'k')...), "by_name", `{"k":{}}`},
		{nested(15, varintField(1, 1)...), "values", `{"true":null}`},
		{nested(11), "structs", `{"":{}}`},
		{nested(12), "wrapped", `[0]`},
	} {
		got := map[string]string{}
		if err := json.Unmarshal([]byte(shown(t, p, c.payload)), &got); err != nil || got[c.column] != c.want {
			t.Errorf("%x: %s, want %s; %v", c.payload, got[c.column], c.want, err)
		}
	}
	for payload, want := range map[string]string{
		string(nested(6, 0xff)): "refused: texts at byte 0: text is not valid UTF-8",
		string(nested(3, 0x80)): "refused: enums at byte 2: ",
		string(nested(9, 8)):    "refused: by_number at byte 2: unexpected EOF",
		string(append(nested(6, 'a'), 0x30, 1)): "refused: texts at byte 3: the value is a varint, the schema says " +
			"length-delimited",
	} {
		if got := shown(t, p, []byte(payload)); !strings.HasPrefix(got, want) {
			t.Errorf("%x: %s, want %s", payload, got, want)
		}
	}
}

// A JSON column of a list takes nothing from the heap.
func TestWholeListsAllocateNothing(t *testing.T) {
	p, err := compiled(t, lists, wholes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	payload := join(nested(2, 1, 2, 3), nested(6, 'a'), nested(7, varintField(1, 5)...), nested(9, 8, 1, 18, 1, 'x'))
	d := p.NewDecoder()
	var row []byte
	if n := testing.AllocsPerRun(100, func() { row, err = d.Append(row[:0], payload) }); n != 0 || err != nil {
		t.Errorf("%v allocations, %v", n, err)
	}
}

// A list of texts or messages stays a list of JSON values where a contract does not say that it is whole: so it was
// before there were whole lists.
func TestListsOfJSONStay(t *testing.T) {
	p, err := compiled(t, lists, decode.Columns{
		"texts": {Type: decode.JSON}, "parts": {Type: decode.JSON}, "by_name": {Skip: true},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := shown(t, p, join(nested(6, '1'), nested(6, '2'), nested(7), nested(7)))
	if want := `"texts":["1","2"]`; !strings.Contains(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	if want := `"parts":["{}","{}"]`; !strings.Contains(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	_, err = compiled(t, lists, decode.Columns{"id": {Type: decode.JSON, Whole: true}}, nil)
	if err == nil || !strings.Contains(err.Error(), "payload.id: columns: whole: true is of lists") {
		t.Error(err)
	}
}
