package protobuf

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

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
		seconds, nanos := rapid.Int64Range(0, maxSeconds).Draw(t, "seconds"),
			rapid.Int32Range(0, 999999999).Draw(t, "nanos")
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
	scalar := rapid.OneOf(rapid.Just[any](nil), rapid.Bool().AsAny(),
		rapid.StringMatching(`[a-z"\\\n\x01é]{0,5}`).AsAny(),
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
