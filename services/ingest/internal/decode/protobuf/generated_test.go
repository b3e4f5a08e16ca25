package protobuf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// randomSchema draws the text of a schema: messages that use those behind them, in proto2 or proto3, with fields of all
// kinds, labels and distances between their numbers.
func randomSchema(t *rapid.T) string {
	proto2 := rapid.Bool().Draw(t, "proto2")
	var b strings.Builder
	fmt.Fprintf(&b, "syntax = %q; package gen;\nimport \"google/protobuf/timestamp.proto\"; import "+
		"\"google/protobuf/wrappers.proto\";\nenum E { ZERO = 0; ONE = 1; FAR = 5000; }\n",
		map[bool]string{true: "proto2", false: "proto3"}[proto2])
	scalars := []string{
		"int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64", "float",
		"double", "bool", "string", "bytes", "E", "google.protobuf.Timestamp", "google.protobuf.Int64Value",
	}
	messages := rapid.IntRange(1, 3).Draw(t, "messages")
	for i := range messages {
		fmt.Fprintf(&b, "message M%d {\n", i)
		number := 0
		names := 0
		next := func() string {
			number += rapid.SampledFrom([]int{1, 1, 1, 2, 40, 3000}).Draw(t, "step")
			if number >= 19000 && number < 20000 {
				number = 20000
			}
			names++
			return fmt.Sprintf("f%d = %d", names, number)
		}
		kind := func() string {
			if i+1 < messages && rapid.IntRange(0, 3).Draw(t, "nested") == 0 {
				return fmt.Sprintf("M%d", rapid.IntRange(i+1, messages-1).Draw(t, "which"))
			}
			return rapid.SampledFrom(scalars).Draw(t, "kind")
		}
		fields := rapid.IntRange(1, 6).Draw(t, "fields")
		if i+1 == messages && rapid.IntRange(0, 5).Draw(t, "wide") == 0 {
			fields = rapid.IntRange(62, 70).Draw(t, "fields") // more than a word of bits
		}
		for range fields {
			switch k := kind(); rapid.IntRange(0, 6).Draw(t, "label") {
			case 0, 1:
				packed := ""
				if slices.Contains(scalars[:13], k) && rapid.Bool().Draw(t, "turned") {
					packed = fmt.Sprintf(" [packed = %v]", proto2)
				}
				fmt.Fprintf(&b, "  repeated %s %s%s;\n", k, next(), packed)
			case 2:
				fmt.Fprintf(&b, "  oneof o%d { %s %s; %s %s; }\n", names, k, next(), kind(), next())
			case 3:
				fmt.Fprintf(&b, "  map<%s, %s> %s;\n",
					rapid.SampledFrom([]string{"string", "int32", "bool", "fixed64"}).Draw(t, "key"), k, next())
			case 4:
				fmt.Fprintf(&b, "  optional %s %s;\n", k, next())
			default:
				label := ""
				if proto2 {
					label = "optional "
				}
				fmt.Fprintf(&b, "  %s%s %s;\n", label, k, next())
			}
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// Whatever the schema: rows hold what protobuf reads, of one payload and of two joined, which protobuf merges; the
// decoder of a row that was rewritten is the same as one that never saw another.
func TestGeneratedSchemas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := randomSchema(t)
		file, err := ParseSource(map[string]string{"gen.proto": text}, "gen.proto")
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		m := file.Messages().ByName("M0")
		plan, err := compileMessage(m, Refuse, options)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		row := decodetest.Payload(t, plan)
		d := plan.decoder()
		var before []byte
		for range 3 {
			payload, err := proto.Marshal(randomMessage(t, m, 0))
			if err != nil {
				t.Fatal(err)
			}
			for _, payload := range [][]byte{payload, join(before, payload)} {
				in, got := dynamicpb.NewMessage(m), dynamicpb.NewMessage(row)
				if err := proto.Unmarshal(payload, in); err != nil {
					t.Fatal(err)
				}
				out, err := d.Append(nil, payload)
				if err != nil {
					if timesMerged(err) {
						continue
					}
					t.Fatalf("%v\n%s", err, text)
				}
				if err := proto.Unmarshal(out, got); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				want := expect(in, row)
				if !sameEntries(want, got) {
					continue // a key that is there twice stays twice
				}
				if diff := compareRows(want, got); diff != "" {
					t.Fatalf("-want +got:\n%s\n%s", diff, text)
				}
			}
			before = payload
		}
	})
}

// timesMerged reports whether the fault is of a Timestamp whose parts come from two payloads.
func timesMerged(err error) bool { return strings.Contains(err.Error(), "years 1 to 9999") }
