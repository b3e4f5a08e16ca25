package contract_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/protobuf"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

const (
	oddType = "odd.Thing"

	oddJSON = `{"type":"object","properties":{"text":{"type":"string"},"ratio":{"type":"number"},"at":{"type":"string",` +
		`"format":"date-time"},
		"day":{"type":"string","format":"date"},"tags":{"type":"array","items":{"type":"string"}},"maybe":{"type":"array",` +
		`"items":{"type":["string","null"]}},"any":{}}}`
	oddProto = `syntax = "proto3"; package odd; import "google/protobuf/timestamp.proto"; import ` +
		`"google/protobuf/struct.proto";
		message Thing { string text = 1; double ratio = 2; google.protobuf.Timestamp at = 3; repeated string tags = 4; ` +
		`google.protobuf.Value any = 5; }`
)

// oddFormat is a contract, and what goes before each of its values.
type oddFormat struct {
	config contract.Config
	frame  string
	shelf  *shelf
}

// oddCase is a record and what becomes of it: "nothing", "row" with a part of it, or "letter" with a part of the
// reason.
type oddCase struct {
	name, value, want string
}

// become says what becomes of a record.
func (f oddFormat) become(t *testing.T, r *record.Record, change func(*contract.Config)) string {
	t.Helper()
	c := f.config
	c.Topic, c.Table, c.Types = "odd", "odd", []string{oddType}
	if change != nil {
		change(&c)
	}
	env := contract.Env{}
	if f.shelf != nil {
		env.Schemas = f.shelf
	}
	set, err := contract.Load(t.Context(), []contract.Config{c}, t.TempDir(), env)
	if err != nil {
		t.Fatal(err)
	}
	topic := set.Topic("odd").Fork()
	r.Topic, r.TimestampMicros = "odd", -1
	if grown, err := topic.Prepare(t.Context(), []record.Record{*r}, nil); grown || err != nil {
		t.Fatal(grown, err)
	}
	m := topic.Match(r)
	switch m.Action {
	case contract.Ignore:
		return "nothing"
	case contract.Unknown:
		return "letter " + m.Reason
	}
	row, err := m.Contract.AppendRow(nil, r, m, 1)
	if err != nil {
		return "letter " + err.Error()
	}
	body, _ := protowire.ConsumeBytes(row[1:])
	for len(body) > 0 {
		number, wire, n := protowire.ConsumeTag(body)
		size := protowire.ConsumeFieldValue(number, wire, body[n:])
		if number == 16 {
			payload, _ := protowire.ConsumeBytes(body[n:])
			return "row " + string(payload)
		}
		body = body[n+size:]
	}
	return "row null"
}

// check runs the cases, and those that do not depend on the payload.
func (f oddFormat) check(t *testing.T, good string, cases []oddCase) {
	t.Helper()
	header := func(value []byte) []record.Header {
		return []record.Header{{Key: []byte("item_type_name"), Value: value}}
	}
	expect := func(name, got, want string) {
		t.Helper()
		if kind, part, _ := strings.Cut(want, " "); !strings.HasPrefix(got, kind) || !strings.Contains(got, part) {
			t.Errorf("%s: %.300q, want %q", name, got, want)
		}
	}
	for _, c := range append(cases, oddCase{"good", good, "row"}) {
		expect(c.name, f.become(t, &record.Record{Headers: header([]byte(oddType)), Value: []byte(f.frame + c.value)},
			nil), c.want)
	}
	for policy, want := range map[string]string{
		"": "nothing", "ignore": "nothing", "dead_letter": "letter the value is null", "row": "row null",
	} {
		got := f.become(t, &record.Record{Headers: header([]byte(oddType))},
			func(c *contract.Config) { c.Tombstones = policy })
		expect("tombstone, "+policy, got, want)
	}
	for name, headers := range map[string][]record.Header{"no type header": nil, "null type header": header(nil)} {
		value := []byte(f.frame + good)
		expect(name, f.become(t, &record.Record{Headers: headers, Value: value}, nil),
			"letter header item_type_name is missing")
		expect(name+", all taken",
			f.become(t, &record.Record{Headers: headers, Value: value},
				func(c *contract.Config) { c.Types = []string{"*"} }),
			"row")
		expect(name+", ignored",
			f.become(t, &record.Record{Headers: headers, Value: value},
				func(c *contract.Config) { c.Unknown = "ignore" }),
			"nothing")
	}
}

// deep is JSON of arrays that nest so deep.
func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func oddJSONCases(payload string) []oddCase {
	return []oddCase{
		{"invalid UTF-8", "{\"text\":\"a\xff\"}", "letter " + payload + ".text"},
		{"NaN", `{"ratio":NaN}`, "letter has no JSON value"},
		{"NaN in quotes", `{"ratio":"NaN"}`, "letter wants a number"},
		{"infinity", `{"ratio":-Infinity}`, "letter " + payload + ".ratio"},
		{"a number beyond a float", `{"ratio":1e999}`, "letter " + payload + ".ratio"},
		{"date out of range", `{"day":"0000-12-31"}`, "letter " + payload + ".day"},
		{"year 10000", `{"at":"10000-01-01T00:00:00Z"}`, "letter " + payload + ".at"},
		{"last moment", `{"at":"9999-12-31T23:59:59.999999Z"}`, "row"},
		{"null in an array", `{"tags":["a",null]}`, "letter null among the items"},
		{"null in an array that takes it", `{"maybe":["a",null]}`, "row"},
		{"null array", `{"tags":null}`, "row"},
		{"50 levels", `{"any":` + deep(50) + `}`, "row [[[["},
		{"500 levels", `{"any":` + deep(500) + `}`, "row"},
		{"501 levels", `{"any":` + deep(501) + `}`, "letter nests deeper than 500"},
	}
}

func TestOddRecordsOfJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd.json")
	if err := os.WriteFile(path, []byte(oddJSON), 0o600); err != nil {
		t.Fatal(err)
	}
	f := oddFormat{config: contract.Config{Format: "json", Schema: path}}
	f.check(t, `{"text":"a"}`, append(oddJSONCases("payload"),
		oddCase{"empty value", "", "letter a payload is an object"},
		oddCase{"null", "null", "letter a payload is an object"}))
}

// protoCases are the odd messages of oddProto.
func protoCases(t *testing.T) []oddCase {
	t.Helper()
	field := func(n protowire.Number, body []byte) string {
		return string(protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), body))
	}
	ratio := func(v float64) string {
		return string(protowire.AppendFixed64(protowire.AppendTag(nil, 2, protowire.Fixed64Type), math.Float64bits(v)))
	}
	moment := func(seconds uint64) string { return field(3, protowire.AppendVarint([]byte{1 << 3}, seconds)) }
	nested := func(n int) string {
		v := structpb.NewListValue(&structpb.ListValue{})
		for range n - 1 {
			v = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
		}
		body, err := proto.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return field(5, body)
	}
	number, err := proto.Marshal(structpb.NewNumberValue(math.Inf(1)))
	if err != nil {
		t.Fatal(err)
	}
	return []oddCase{
		{"invalid UTF-8", field(1, []byte("a\xff")), "letter payload.text at byte"},
		{"NaN", ratio(math.NaN()), "row " + ratio(math.NaN())},
		{"infinity", ratio(math.Inf(-1)), "row " + ratio(math.Inf(-1))},
		{"infinity in JSON", field(5, number), "letter payload.any"},
		{"timestamp out of range", moment(253402300800), "letter payload.at"},
		{"last moment", moment(253402300799), "row"},
		{"empty text in an array", field(4, nil), "row"},
		{"50 levels", nested(50), "row [[[["},
		{"500 levels", nested(500), "row"},
		{"501 levels", nested(501), "letter deeper than 500"},
	}
}

func TestOddRecordsOfProtobuf(t *testing.T) {
	file, err := protobuf.ParseSource(map[string]string{"odd.proto": oddProto}, "odd.proto")
	if err != nil {
		t.Fatal(err)
	}
	set, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
		protodesc.ToFileDescriptorProto(timestamppb.File_google_protobuf_timestamp_proto),
		protodesc.ToFileDescriptorProto(structpb.File_google_protobuf_struct_proto),
		protodesc.ToFileDescriptorProto(file),
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "odd.binpb")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	f := oddFormat{config: contract.Config{Format: "protobuf", Schema: path, Message: "odd.Thing"}}
	f.check(t, "\x0a\x01a", append(protoCases(t), oddCase{"empty value", "", "row"}))
}

func TestOddRecordsAsTheyAre(t *testing.T) {
	for as, cases := range map[string][]oddCase{
		"bytes": {{"empty value", "", "row"}, {"invalid UTF-8", "a\xff", "row a\xff"}},
		"string": {
			{"empty value", "", "row"},
			{"invalid UTF-8", "a\xff", "letter payload at byte 1: text is not valid UTF-8"},
			{"NaN", "NaN", "row NaN"},
		},
		"json": {
			{"empty value", "", "letter the JSON value ends here"},
			{"invalid UTF-8", "\"a\xff\"", "letter payload at byte 2: text is not valid UTF-8"},
			{"NaN", "NaN", "letter no JSON value"},
			{"infinity", "[-Infinity]", "letter payload at byte"},
			{"null", "null", "row null"},
			{"null in an array", "[1,null]", "row [1,null]"},
			{"date out of range", `"0000-12-31"`, `row "0000-12-31"`},
			{"50 levels", deep(50), "row [[[["},
			{"501 levels", deep(501), "letter nests deeper than 500"},
		},
	} {
		t.Run(as, func(t *testing.T) {
			oddFormat{config: contract.Config{Format: "raw", As: as}}.check(t, "1", cases)
		})
	}
}

// Behind a schema id the records come to what they come to without one, and what is no frame is refused.
func TestOddRecordsFramed(t *testing.T) {
	for format, c := range map[string]struct {
		schema, message, frame, good string
		cases                        []oddCase
	}{
		"json": {
			oddJSON, "", "\x00\x00\x00\x00\x07", `{"text":"a"}`,
			append(oddJSONCases("payload"), oddCase{"nothing behind the id", "", "letter a payload is an object"}),
		},
		"protobuf": {
			oddProto, "odd.Thing", "\x00\x00\x00\x00\x07\x00", "\x0a\x01a",
			append(protoCases(t), oddCase{"nothing behind the id", "", "row"}),
		},
		"avro": {
			`{"type":"record","name":"Thing","fields":[{"name":"text","type":"string"}]}`, "", "\x00\x00\x00\x00\x07",
			"\x02a",
			[]oddCase{
				{"nothing behind the id", "", "letter payload.text at byte 5: the payload ends here"}, {
					"invalid UTF-8", "\x02\xff", "letter payload.text at byte 5",
				},
			},
		},
	} {
		t.Run(format, func(t *testing.T) {
			s := &shelf{}
			s.putText("odd-value", 7, format, c.schema)
			f := oddFormat{
				config: contract.Config{Format: format, Framing: "confluent", Subject: "odd-value", Message: c.message},
				frame:  c.frame, shelf: s,
			}
			f.check(t, c.good, c.cases)
			f.frame = ""
			f.check(t, c.frame+c.good, []oddCase{
				{"empty value", "", "letter payload at byte 0"},
				{"no zero byte", c.good, "letter payload at byte 0"},
				{
					"an id that is not there", "\x00\x00\x00\x00\x09" + c.good,
					"letter schema id 9 is not in the registry",
				},
			})
		})
	}
}
