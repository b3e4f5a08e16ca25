package protobuf

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
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
	return decodetest.Payload(t, p)
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
