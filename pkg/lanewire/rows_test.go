package lanewire

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"
)

// frame lays rows out as entries of a block.
func frame(rows [][]byte) []byte {
	var out []byte
	for _, row := range rows {
		out = protowire.AppendTag(out, 1, protowire.BytesType)
		out = protowire.AppendBytes(out, row)
	}
	return out
}

// protoRows is the message of the Storage Write API as its storage.proto has it, declared here because this module
// knows no BigQuery:
//
//	message ProtoRows { repeated bytes serialized_rows = 1; }
func protoRows(t *testing.T) *dynamicpb.Message {
	t.Helper()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name:    proto.String("storage.proto"),
		Package: proto.String("google.cloud.bigquery.storage.v1"),
		Syntax:  proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("ProtoRows"),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name:   proto.String("serialized_rows"),
				Number: proto.Int32(1),
				Label:  descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum(),
				Type:   descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum(),
			}},
		}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessage(file.Messages().ByName("ProtoRows"))
}

// The writer forwards a block as ProtoRows without looking at it. That is right for as long as this holds.
func TestRowsHaveTheBytesOfProtoRows(t *testing.T) {
	typed := events(6)
	want := protoRows(t)
	serialized := want.Mutable(want.Descriptor().Fields().ByName("serialized_rows")).List()
	for _, row := range typed.Rows {
		serialized.Append(protoreflect.ValueOfBytes(wire(t, row)))
	}
	if !bytes.Equal(wire(t, typed), wire(t, want)) {
		t.Error("DeliveryEventRows and ProtoRows of the same rows differ")
	}

	back := dynamicpb.NewMessage(want.Descriptor())
	if err := proto.Unmarshal(wire(t, typed), back); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(want, back) || len(back.GetUnknown()) != 0 {
		t.Error("DeliveryEventRows does not read as ProtoRows")
	}
}

// Count, split and drop agree with a slice of rows, in whatever buffers they lie, and leave no buffer behind.
func TestRowsLaw(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 0, 12).Draw(rt, "rows")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 200), 0, 4).Draw(rt, "fragments")
		pool := newCountingPool(t)
		data := pool.cut(frame(rows), sizes...)

		if n, err := CountRows(data); err != nil || n != len(rows) {
			rt.Fatalf("CountRows = %d, %v; want %d", n, err, len(rows))
		}

		n := rapid.IntRange(0, len(rows)).Draw(rt, "split")
		first, rest, err := SplitRows(data, n)
		if err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(first.Materialize(), frame(rows[:n])) || !bytes.Equal(rest.Materialize(), frame(rows[n:])) {
			rt.Fatalf("SplitRows(%d) cut elsewhere", n)
		}

		var drop []int
		var kept [][]byte
		for i, row := range rows {
			if rapid.Bool().Draw(rt, "drop") {
				drop = append(drop, i)
			} else {
				kept = append(kept, row)
			}
		}
		left, err := DropRows(data, drop)
		if err != nil {
			rt.Fatal(err)
		}
		data.Free() // the parts live on
		if !bytes.Equal(left.Materialize(), frame(kept)) {
			rt.Fatalf("DropRows(%v) left other rows", drop)
		}
		first.Free()
		rest.Free()
		left.Free()
		pool.wantNoneOut()
	})
}

func TestRowErrors(t *testing.T) {
	good := frame([][]byte{[]byte("abc"), nil, []byte("defg")}) // rows at bytes 0, 5 and 7
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"other tag": {append(bytes.Clone(good), 0x12, 0), "row 3 at byte 13 starts with 0x12"},
		"no length": {
			append(bytes.Clone(good), tagRow),
			"row 3 at byte 13 has a length beyond the block of 14 bytes",
		},
		"length too long": {good[:10], "row 2 at byte 7 has a length beyond the block of 10 bytes"},
		"length overflow": {append([]byte{tagRow}, bytes.Repeat([]byte{0xff}, 10)...), "row 0 at byte 0 has a length"},
		"too many rows":   {bytes.Repeat([]byte{tagRow, 0}, MaxRows+1), "more than 1048576 rows"},
	} {
		t.Run(name, func(t *testing.T) {
			pool := newCountingPool(t)
			data := pool.cut(tt.data, 5000)
			_, countErr := CountRows(data)
			_, _, splitErr := SplitRows(data, MaxRows+1)
			_, dropErr := DropRows(data, []int{0, MaxRows})
			for what, err := range map[string]error{"count": countErr, "split": splitErr, "drop": dropErr} {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s: err = %v, want one with %q", what, err, tt.want)
				}
			}
			data.Free()
		})
	}

	pool := newCountingPool(t)
	data := pool.cut(good, 2)
	if _, _, err := SplitRows(data, 4); err == nil {
		t.Error("split behind a row that is not there")
	}
	for _, indexes := range [][]int{{3}, {0, 3}, {1, 1}, {2, 0}, {-1}} {
		if _, err := DropRows(data, indexes); err == nil {
			t.Errorf("rows %v dropped from a block of 3", indexes)
		}
	}
	data.Free()
}
