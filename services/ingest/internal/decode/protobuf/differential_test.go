package protobuf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// everything3 and everything2 have a field of every kind, with and without presence, alone and in lists, maps and
// oneofs.
const everything3 = `syntax = "proto3"; package every;
import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto"; import ` +
	`"google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto"; import "google/protobuf/any.proto"; import ` +
	`"google/protobuf/field_mask.proto"; import "google/protobuf/empty.proto";
enum Color { COLOR_UNKNOWN = 0; RED = 1; BLUE = 2; FAR = 100000; BELOW = -3; }
message Point { int32 x = 1; optional int32 y = 2; Color color = 3; string label = 7; }
message Plain { optional int64 id = 1; repeated string tags = 2; }
message Every {
  int32 i32 = 1; int64 i64 = 2; uint32 u32 = 3; uint64 u64 = 4; sint32 s32 = 5; sint64 s64 = 6; fixed32 f32 = 7; ` +
	`fixed64 f64 = 8;
  sfixed32 sf32 = 9; sfixed64 sf64 = 10; float fl = 11; double db = 12; bool ok = 13; string text = 14; bytes data ` +
	`= 15; Color color = 16;
  optional int32 oi32 = 101; optional string otext = 102; optional Color ocolor = 103; optional uint64 ou64 = 104;
  repeated int32 ri32 = 201; repeated uint64 ru64 = 202; repeated sint32 rs32 = 203 [packed = false]; repeated ` +
	`fixed64 rf64 = 204; repeated double rdb = 205;
  repeated bool rok = 206; repeated string rtext = 207; repeated Color rcolor = 208; repeated float rfl = 209; ` +
	`repeated Color ucolor = 210 [packed = false];
  Point point = 300; repeated Point points = 301; Plain plain = 302; repeated Plain plains = 303;
  oneof choice { string words = 400; Point place = 401; int64 count = 402; Color paint = 403; google.protobuf.Empty ` +
	`nothing = 404; }
  map<string, int32> m1 = 500; map<int64, Point> m2 = 501; map<bool, Color> m3 = 502; map<uint32, ` +
	`google.protobuf.Timestamp> m4 = 503; map<string, bytes> m5 = 504;
  google.protobuf.Timestamp at = 600; repeated google.protobuf.Timestamp ats = 601; google.protobuf.Duration span = ` +
	`602; repeated google.protobuf.Duration spans = 603;
  google.protobuf.StringValue wtext = 610; google.protobuf.Int32Value wi32 = 611; google.protobuf.UInt64Value wu64 ` +
	`= 612; google.protobuf.DoubleValue wdb = 613;
  google.protobuf.BoolValue wok = 614; google.protobuf.BytesValue wdata = 615; google.protobuf.FloatValue wfl = 616;` +
	` repeated google.protobuf.Int64Value wi64 = 617;
  google.protobuf.Struct object = 620; google.protobuf.Value value = 621; google.protobuf.ListValue list = 622; ` +
	`repeated google.protobuf.Value values = 623;
  google.protobuf.Any any = 630; google.protobuf.FieldMask mask = 631; google.protobuf.Empty empty = 632;
  string far = 100000000;
}`

const everything2 = `syntax = "proto2"; package every2;
enum Size { SMALL = 1; LARGE = 2; }
message Inner { required string name = 1; optional int32 n = 2 [default = -7]; optional bool b = 3 [default = true]; }
message Every {
  optional int32 a = 1; optional string b = 2 [default = "none"]; optional Size size = 3 [default = LARGE]; ` +
	`optional Size plain = 4; repeated int32 list = 5;
  repeated int32 packed = 6 [packed = true]; optional Inner inner = 7; repeated Inner inners = 8; optional double d ` +
	`= 9 [default = inf]; required fixed64 id = 10;
  map<string, Inner> sizes = 11; optional bytes data = 12 [default = "\x01\xff"]; repeated Size all = 13 [packed = ` +
	`true];
}`

// rowType is the row's payload message, as the writer and BigQuery see it.
func rowType(t testing.TB, p *Plan) protoreflect.MessageDescriptor {
	t.Helper()
	return rowMessage(t, p)
}

// fataler is a test, or a run of rapid's.
type fataler interface{ Fatal(args ...any) }

func rowMessage(t fataler, p *Plan) protoreflect.MessageDescriptor {
	row := &descriptorpb.DescriptorProto{Name: proto.String("Row")}
	if err := p.AddPayload(row, "payload", 16); err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("row.proto"), Syntax: proto.String("proto2"), MessageType: []*descriptorpb.DescriptorProto{row},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().Get(0).Fields().ByName("payload").Message()
}

// expect is the row that a message stands for, by the rules and without the wire.
func expect(m protoreflect.Message, row protoreflect.MessageDescriptor) *dynamicpb.Message {
	out := dynamicpb.NewMessage(row)
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		column := row.Fields().ByNumber(f.Number())
		switch {
		case f.IsMap():
			list := out.Mutable(column).List()
			m.Get(f).Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				entry := dynamicpb.NewMessage(column.Message())
				entry.Set(column.Message().Fields().ByNumber(1),
					expectValue(f.MapKey(), column.Message().Fields().ByNumber(1), k.Value()))
				entry.Set(column.Message().Fields().ByNumber(2),
					expectValue(f.MapValue(), column.Message().Fields().ByNumber(2), v))
				list.Append(protoreflect.ValueOfMessage(entry))
				return true
			})
		case f.IsList():
			for j := range m.Get(f).List().Len() {
				out.Mutable(column).List().Append(expectValue(f, column, m.Get(f).List().Get(j)))
			}
		case m.Has(f), !f.HasPresence(), f.HasDefault():
			out.Set(column, expectValue(f, column, m.Get(f)))
		}
	}
	return out
}

func expectValue(f, column protoreflect.FieldDescriptor, v protoreflect.Value) protoreflect.Value {
	if f.Kind() == protoreflect.EnumKind {
		if value := f.Enum().Values().ByNumber(v.Enum()); value != nil {
			return protoreflect.ValueOfString(string(value.Name()))
		}
		return protoreflect.ValueOfString(fmt.Sprint(v.Enum()))
	}
	switch f.Kind() {
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfInt64(int64(v.Uint()))
	case protoreflect.MessageKind:
	default:
		return v
	}
	m := v.Message()
	get := func(number protoreflect.FieldNumber) protoreflect.Value {
		return m.Get(m.Descriptor().Fields().ByNumber(number))
	}
	switch name := m.Descriptor().FullName(); {
	case name == "google.protobuf.Timestamp":
		return protoreflect.ValueOfInt64(get(1).Int()*1e6 + get(2).Int()/1000)
	case name == "google.protobuf.Duration":
		micros := get(1).Int()*1e6 + get(2).Int()/1000
		sign := ""
		if micros < 0 {
			sign, micros = "-", -micros
		}
		text := fmt.Sprintf("0-0 0 %s%d:%d:%d", sign, micros/3_600_000_000, micros/60_000_000%60, micros/1_000_000%60)
		if micros%1_000_000 != 0 {
			text += fmt.Sprintf(".%06d", micros%1_000_000)
		}
		return protoreflect.ValueOfString(text)
	case strings.HasSuffix(string(name), "Value") &&
		m.Descriptor().ParentFile().Path() == "google/protobuf/wrappers.proto":
		return expectValue(m.Descriptor().Fields().Get(0), column, get(1))
	case m.Descriptor().ParentFile().Path() == "google/protobuf/struct.proto":
		text, err := json.Marshal(expectJSON(m))
		if err != nil {
			panic(err)
		}
		return protoreflect.ValueOfString(string(text))
	case m.Descriptor().Fields().Len() == 0:
		return protoreflect.ValueOfBool(true)
	}
	return protoreflect.ValueOfMessage(expect(m, column.Message()))
}

// expectJSON is a Struct, ListValue or Value as encoding/json takes it; a Value of no kind is null.
func expectJSON(m protoreflect.Message) any {
	d := m.Descriptor()
	switch d.Name() {
	case "Struct":
		out := map[string]any{}
		m.Get(d.Fields().ByNumber(1)).Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			out[k.String()] = expectJSON(v.Message())
			return true
		})
		return out
	case "ListValue":
		out := []any{}
		for list, i := m.Get(d.Fields().ByNumber(1)).List(), 0; i < list.Len(); i++ {
			out = append(out, expectJSON(list.Get(i).Message()))
		}
		return out
	}
	f := m.WhichOneof(d.Oneofs().Get(0))
	switch {
	case f == nil, f.Kind() == protoreflect.EnumKind:
		return nil
	case f.Kind() == protoreflect.MessageKind:
		return expectJSON(m.Get(f).Message())
	}
	return m.Get(f).Interface()
}

// compareRows compares what JSON columns mean, not how it is spelled, and the entries of maps in any order.
func compareRows(want, got protoreflect.Message) string {
	return cmp.Diff(tree(want), tree(got), cmpopts.EquateNaNs(), cmpopts.EquateEmpty())
}

// tree is a row as plain values.
func tree(m protoreflect.Message) map[string]any {
	out := map[string]any{}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !f.IsList() {
			out[f.TextName()] = leaf(f, v)
			return true
		}
		var items []any
		for i := range v.List().Len() {
			items = append(items, leaf(f, v.List().Get(i)))
		}
		if f.Message() != nil && strings.HasSuffix(string(f.Message().Name()), "Entry") {
			slices.SortFunc(items, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		out[f.TextName()] = items
		return true
	})
	return out
}

func leaf(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	option := proto.GetExtension(f.Options(), columnv1.E_Column).(*columnv1.Column)
	switch {
	case f.Message() != nil:
		return tree(v.Message())
	case option.GetType() == columnv1.ColumnType_COLUMN_TYPE_JSON:
		var parsed any
		if err := json.Unmarshal([]byte(v.String()), &parsed); err != nil {
			return err
		}
		return parsed
	}
	return v.Interface()
}

// randomMessage draws a message that every rule takes.
func randomMessage(t *rapid.T, d protoreflect.MessageDescriptor, depth int) *dynamicpb.Message {
	m := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.Cardinality() != protoreflect.Required && rapid.IntRange(0, 2).Draw(t, "skip") == 0 {
			continue
		}
		switch {
		case f.IsMap():
			for range rapid.IntRange(0, 2).Draw(t, "entries") {
				m.Mutable(f).Map().Set(randomValue(t, f.MapKey(), depth).MapKey(), randomValue(t, f.MapValue(), depth))
			}
		case f.IsList():
			for range rapid.IntRange(0, 3).Draw(t, "items") {
				m.Mutable(f).List().Append(randomValue(t, f, depth))
			}
		default:
			m.Set(f, randomValue(t, f, depth))
		}
	}
	return m
}

func randomValue(t *rapid.T, f protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, "int32"))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "int64"))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "uint32"))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(rapid.Uint64Range(0, math.MaxInt64).Draw(t, "uint64"))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(rapid.Float32().Draw(t, "float"))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rapid.Float64().Draw(t, "double"))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strings.ToValidUTF8(rapid.String().Draw(t, "string"), "?"))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		if !f.Enum().IsClosed() && rapid.IntRange(0, 4).Draw(t, "newer") == 0 {
			return protoreflect.ValueOfEnum(77)
		}
		return protoreflect.ValueOfEnum(values.Get(rapid.IntRange(0, values.Len()-1).Draw(t, "symbol")).Number())
	}
	m := dynamicpb.NewMessage(f.Message())
	set := func(number protoreflect.FieldNumber, v any) {
		m.Set(f.Message().Fields().ByNumber(number), protoreflect.ValueOf(v))
	}
	switch f.Message().FullName() {
	case "google.protobuf.Timestamp":
		set(1, rapid.Int64Range(decode.MinMicros/1_000_000, decode.MaxMicros/1_000_000).Draw(t, "seconds"))
		set(2, rapid.Int32Range(0, 999999999).Draw(t, "nanos"))
	case "google.protobuf.Duration":
		seconds, nanos := rapid.Int64Range(0, maxSeconds).Draw(t, "seconds"), rapid.Int32Range(0, 999999999).Draw(t, "nanos")
		if rapid.Bool().Draw(t, "negative") {
			seconds, nanos = -seconds, -nanos
		}
		set(1, seconds)
		set(2, nanos)
	case "google.protobuf.Struct", "google.protobuf.ListValue", "google.protobuf.Value":
		if err := protojson.Unmarshal(randomJSON(t, f.Message().Name()), m); err != nil {
			t.Fatal(err)
		}
	default:
		m = randomMessage(t, f.Message(), depth+1)
	}
	return protoreflect.ValueOfMessage(m)
}

func randomJSON(t *rapid.T, name protoreflect.Name) []byte {
	scalar := rapid.OneOf(rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.StringMatching(`[a-z"\\\n\x01é]{0,5}`).AsAny(),
		rapid.Float64().Filter(func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }).AsAny())
	object := rapid.MapOfN(rapid.StringMatching(`[a-z"é]{0,3}`), scalar, 0, 4)
	var v any
	switch name {
	case "Struct":
		v = object.Draw(t, "object")
	case "ListValue":
		v = append([]any{}, object.Draw(t, "object"), []any{scalar.Draw(t, "scalar")})
	default:
		v = rapid.OneOf(scalar, object.AsAny(), rapid.SliceOfN(scalar, 0, 3).AsAny()).Draw(t, "value")
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Rows hold what protobuf's own library reads.
func TestAgainstProtobuf(t *testing.T) {
	for name, m := range map[string]protoreflect.MessageDescriptor{
		"proto3": parse(t, everything3).Messages().ByName("Every"),
		"proto2": parse(t, everything2).Messages().ByName("Every"),
	} {
		t.Run(name, func(t *testing.T) {
			plan := compile(t, m, Refuse, options)
			row := rowType(t, plan)
			d := plan.decoder()
			rapid.Check(t, func(t *rapid.T) {
				in := randomMessage(t, m, 0)
				payload, err := proto.Marshal(in)
				if err != nil {
					t.Fatal(err)
				}
				out, err := d.Append([]byte("before"), payload)
				if err != nil {
					t.Fatal(err)
				}
				if d.machine.twice {
					t.Fatal("a field is taken to be there twice")
				}
				got := dynamicpb.NewMessage(row)
				if err := proto.Unmarshal(out[len("before"):], got); err != nil {
					t.Fatal(err)
				}
				if len(got.GetUnknown()) > 0 {
					t.Fatalf("fields that the row does not have: %x", got.GetUnknown())
				}
				if diff := compareRows(expect(in, row), got); diff != "" {
					t.Fatalf("-want +got:\n%s", diff)
				}
			})
		})
	}
}

// Messages that grow or shrink keep their parts, whatever the length of their length before and after.
func TestMessagesChangeTheirLength(t *testing.T) {
	m := parse(t, everything3).Messages().ByName("Every")
	plan := compile(t, m, Drop, options)
	row := rowType(t, plan)
	d := plan.decoder()
	check := func(payload []byte) {
		t.Helper()
		in, out := dynamicpb.NewMessage(m), dynamicpb.NewMessage(row)
		if err := proto.Unmarshal(payload, in); err != nil {
			t.Fatal(err)
		}
		got, err := d.Append(make([]byte, 0, 64<<10), payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(got, out); err != nil {
			t.Fatal(err)
		}
		if diff := compareRows(expect(in, row), out); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	}
	for _, about := range []int{128, 1 << 14} {
		for size := about - 40; size < about+40; size++ {
			label := nested(7, bytes.Repeat([]byte{'x'}, size)...)
			check(nested(301, label...))                                          // grows by what is absent
			check(nested(302, join(varintField(1, 1), nested(999, label...))...)) // shrinks by what is unknown
			check(nested(501, join(varintField(1, 3), nested(2, label...))...))
		}
	}
	// Lengths that are longer than they have to be.
	check([]byte{0xea, 0x12, 0x82, 0x00, 1 << 3, 5})
	check(append([]byte{0xf2, 0x12, 0x85, 0x80, 0x00}, 1<<3, 5, 0xba, 0x3e, 0))
}
