package protobuf

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

func TestIndexes(t *testing.T) {
	for _, tt := range []struct {
		bytes   string
		indexes []int
	}{{"\x00", []int{0}}, {"\x02\x02", []int{1}}, {"\x04\x02\x00", []int{1, 0}}, {"\x02\x80\x02", []int{128}}} {
		got, rest, err := ReadIndexes(nil, []byte(tt.bytes+"rest"))
		if err != nil || !slices.Equal(got, tt.indexes) || string(rest) != "rest" {
			t.Errorf("%x: got %v, %q, %v", tt.bytes, got, rest, err)
		}
		if back := appendIndexes(nil, tt.indexes); string(back) != tt.bytes {
			t.Errorf("%v: got %x", tt.indexes, back)
		}
	}
	for _, bad := range []string{
		"", "\x80", "\x02", "\x03", "\x01", "\x02\x01", "\x04\x02", "\xfe\xff\x03",
		"\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	} {
		if got, _, err := ReadIndexes(nil, []byte(bad)); err == nil {
			t.Errorf("%x: got %v", bad, got)
		}
	}
}

func FuzzReadIndexes(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{4, 2, 0, 1})
	f.Fuzz(func(t *testing.T, payload []byte) {
		indexes, rest, err := ReadIndexes(nil, payload)
		if err != nil {
			return
		}
		again, behind, err := ReadIndexes(nil, appendIndexes(nil, indexes))
		if err != nil || !slices.Equal(again, indexes) || len(behind) != 0 || len(rest) >= len(payload) {
			t.Fatalf("%v became %v, %v", indexes, again, err)
		}
	})
}

// appendIndexes appends message indexes as ReadIndexes reads them.
func appendIndexes(dst []byte, indexes []int) []byte {
	if len(indexes) == 1 && indexes[0] == 0 {
		return append(dst, 0)
	}
	dst = protowire.AppendVarint(dst, protowire.EncodeZigZag(int64(len(indexes))))
	for _, index := range indexes {
		dst = protowire.AppendVarint(dst, protowire.EncodeZigZag(int64(index)))
	}
	return dst
}

// A schema's text, its references and the files that everybody knows become columns, with comments and options.
func TestCompileSource(t *testing.T) {
	files := map[string]string{
		"order.proto": `syntax = "proto3"; package shop; import "money.proto"; import "google/protobuf/timestamp.proto"; ` +
			`import "column/v1/column.proto"; import "confluent/meta.proto";
			// An order.
			message Order { option (confluent.message_meta).doc = "x";
				// What it costs.
				Money price = 1; google.protobuf.Timestamp at = 2; int64 seen = 3 [(column.v1.column) = {type: ` +
			`COLUMN_TYPE_TIMESTAMP, description: "when"}];
				message Line { string sku = 1; } repeated Line lines = 4; map<string, Money> fees = 5; } message Refund { int32 ` +
			`a = 1; }`,
		"money.proto": `syntax = "proto3"; package shop; message Money { string amount = 1 [json_name = "x"]; string ` +
			`currency = 2; }`,
	}
	plan, err := compileSource(files, "order.proto", "", options)
	if err != nil {
		t.Fatal(err)
	}
	row := &descriptorpb.DescriptorProto{
		Name: proto.String("Money"), NestedType: []*descriptorpb.DescriptorProto{{Name: proto.String("Line")}},
	}
	if err := plan.AddPayload(row, "payload", 16); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range row.NestedType {
		names = append(names, n.GetName())
	}
	if got := strings.Join(names, " "); got != "Line Order ShopMoney ShopOrderLine FeesEntry" {
		t.Errorf("the types are %s", got)
	}
	order := row.NestedType[1]
	about := func(i int) *columnv1.Column {
		return proto.GetExtension(order.Field[i].Options, columnv1.E_Column).(*columnv1.Column)
	}
	if about(0).GetDescription() != "What it costs." ||
		about(1).GetType() != columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP ||
		about(2).GetDescription() != "when" || about(2).GetType() != columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP {
		t.Errorf("got %v", order)
	}
	if row.Field[0].GetTypeName() != "Order" || !strings.Contains(row.Field[0].String(), "An order.") {
		t.Errorf("got %v", row.Field[0])
	}
	for _, tt := range []struct{ file, message, reason string }{
		{"order.proto", "shop.Nope", "the schema has no shop.Nope; its first message is shop.Order"},
		{"none.proto", "", "none.proto"},
	} {
		if _, err := compileSource(files, tt.file, tt.message, options); err == nil ||
			!strings.Contains(err.Error(), tt.reason) {
			t.Errorf("got %v", err)
		}
	}
	delete(files, "money.proto")
	if _, err := compileSource(files, "order.proto", "", options); err == nil ||
		!strings.Contains(err.Error(), `could not resolve path "money.proto"`) {
		t.Errorf("got %v", err)
	}
}

// A text that protoc does not compile is refused whole, whether anything uses what is wrong with it or not.
func TestTextsThatDoNotCompile(t *testing.T) {
	for text, reason := range map[string]string{
		`enum E { A = 0; B = 1; B = 2; } message M { int32 a = 1; }`:              `"shop.B"`,
		`enum E { A = 0; B = 0; } message M { int32 a = 1; }`:                     "allow_alias",
		`message M { int32 a = 1; string a = 2; }`:                                `"shop.M.a"`,
		`message M { int32 a = 1; string b = 1; }`:                                "tag 1",
		`message M { int32 a = 1; oneof none {} }`:                                "oneof",
		`import "gone.proto"; message M { int32 a = 1; }`:                         "gone.proto",
		`message M { int32 a = 1; } message Unused { Gone gone = 1; }`:            "Gone",
		`message M { int32 a = 1; } message Unused { int32 b = 1 [(gone) = 7]; }`: "gone",
	} {
		if _, err := ParseSource(map[string]string{"s.proto": `syntax = "proto3"; package shop; ` + text},
			"s.proto"); err == nil || !strings.Contains(err.Error(), "the schema does not compile") ||
			!strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, want %s", text, err, reason)
		}
	}
}

// Indexes that lead to no message are read from the other end; those that lead to one are what they say.
func TestIndexesFromTheOtherEnd(t *testing.T) {
	file := parse(t, `syntax = "proto3"; package shop; message Outer { string a = 1; message First { string b = 1; } `+
		`message Second { string c = 1; } }`)
	outer := file.Messages().ByName("Outer")
	types := Types(file)
	for _, c := range []struct {
		message, indexes string // as the serializer wrote them: how many, and each
		refused, is      string
	}{
		{"Second", "\x04\x00\x02", "", "shop.Outer.Second"},
		{"Second", "\x04\x02\x00", "", "shop.Outer.Second"},
		{"First", "\x04\x00\x00", "", "shop.Outer.First"},
		{"First", "\x04\x02\x00", "the record is a shop.Outer.Second, the contract reads a shop.Outer.First", "shop.Outer.Second"},
		{"First", "\x04\x04\x00", "no message at the indexes [2 0]", ""},
		{"First", "\x02\x02", "no message at the indexes [1]", ""},
	} {
		reader := compile(t, outer.Messages().ByName(protoreflect.Name(c.message)), Drop, options)
		plan, err := reader.Written(file)
		if err != nil {
			t.Fatal(err)
		}
		d := plan.NewDecoder()
		payload := append([]byte(c.indexes), nested(1, 'x')...)
		row, err := d.Append(nil, payload)
		if c.refused == "" && (err != nil || !bytes.Equal(row, nested(1, 'x'))) ||
			c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s, %x: %x, %v, want %s", c.message, c.indexes, row, err, c.refused)
		}
		if name, _ := types(payload); string(name) != c.is {
			t.Errorf("%x: of type %s, want %s", c.indexes, name, c.is)
		}
		right := append(appendIndexes(nil, indexesOf(reader.message)), payload[len(c.indexes):]...)
		if _, err := d.Append(nil, right); err != nil {
			t.Error("behind it:", err)
		}
	}
}

// The files of google/type need no reference, as those of protobuf itself.
func TestGoogleTypes(t *testing.T) {
	for name := range googleTypes {
		if _, err := ParseSource(map[string]string{
			"s.proto": `syntax = "proto3"; import "google/type/` + name + `"; message M { int32 a = 1; }`,
		}, "s.proto"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	const bill = `syntax = "proto3"; import "google/type/money.proto"; import "google/type/datetime.proto"; message ` +
		`Bill { google.type.Money sum = 1; google.type.DateTime due = 2; }`
	plan, err := compileSource(map[string]string{"s.proto": bill}, "s.proto", "", options)
	if err != nil {
		t.Fatal(err)
	}
	payload := nested(1, join(nested(1, 'E', 'U', 'R'), varintField(2, 5))...)
	if row, err := plan.NewDecoder().Append(nil, payload); err != nil || !bytes.Contains(row, []byte("EUR")) {
		t.Errorf("%x, %v", row, err)
	}
}

const orderV1 = `syntax = "proto3"; package shop; message Other { int32 a = 1; } message Order { int64 id = 1; ` +
	`string note = 2; repeated string tags = 3; Line line = 4; enum Kind { A = 0; B = 1; } Kind kind = 5; } message ` +
	`Line { string sku = 1; }`

// Payloads of newer and older writers are read into the contract's columns; what would be misread is refused with its
// path.
func TestWritersOfOtherVersions(t *testing.T) {
	reader := compile(t, parse(t, orderV1).Messages().ByName("Order"), Drop, options)
	newer := parse(t, `syntax = "proto3"; package shop; message Order { int32 number = 1; string note = 2; string tags `+
		`= 3; Line line = 4; enum Kind { A = 0; B = 1; C = 2; } Kind kind = 5; string more = 9; message Part { string x = `+
		`1; } } message Line { string sku = 1; int32 n = 2; }`)
	plan, err := reader.Written(newer)
	if err != nil {
		t.Fatal(err)
	}
	d := plan.NewDecoder()
	body := join(varintField(1, 7), nested(3, 'a'), nested(4, join(nested(1, 's'), varintField(2, 3))...),
		varintField(5, 2), nested(9, 'm'))
	got, err := d.Append(nil, append([]byte{0}, body...))
	if err != nil {
		t.Fatal(err)
	}
	want, err := reader.NewDecoder().Append(nil, body)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x, %v", got, want, err)
	}
	for payload, reason := range map[string]string{
		"": "ends within", "\x04\x00\x00": "the record is a shop.Order.Part, the contract reads a shop.Order",
		"\x02\x0a": "no message at the indexes [5]",
	} {
		_, err := d.Append(nil, []byte(payload))
		var e *decode.Error
		if !errors.As(err, &e) || !strings.Contains(e.Reason, reason) || e.Offset != 0 || e.Field != "payload" {
			t.Errorf("%x: got %v", payload, err)
		}
	}
	if _, err := d.Append(nil, []byte{0, 2<<3 | 2, 1, 0xff}); err == nil ||
		!strings.Contains(err.Error(), "payload.note at byte 1") {
		t.Errorf("got %v", err)
	}
	second, err := reader.Written(parse(t, orderV1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.NewDecoder().Append(nil, append([]byte{2, 2}, body...)); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"message Nope { int32 a = 1; }": "payload: the writer's " +
			"schema has no message shop.Order",
		"message Order { uint64 id = 1; }": "payload.id: the writer's schema " +
			"has uint64, the contract int64",
		"message Order { repeated int64 id = 1; }": "payload.id: the writer's schema has a list",
		"message Order { sint64 id = 1; }":         "payload.id: the writer's schema has sint64",
		"message Order { Line note = 2; } message Line { int32 a = 1; }": "payload.note: the writer's schema has " +
			"shop.Line, the contract string",
		"message Order { Line line = 4; } message Line { int32 sku = 1; }": "payload.line.sku: the writer's schema " +
			"has int32, the contract string",
		"message Order { map<string, string> tags = 3; }": "payload.tags: only one of the two",
		"message Order { int32 kind = 5; }": "payload.kind: the writer's schema has " +
			"int32, the contract shop.Order.Kind",
	} {
		if _, err := reader.Written(parse(t, `syntax = "proto3"; package shop; `+text)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}
