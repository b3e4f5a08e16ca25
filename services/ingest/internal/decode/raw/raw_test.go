package raw

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

func TestPayloads(t *testing.T) {
	for _, c := range []struct {
		kind     Kind
		payload  string
		at       int
		refused  bool
		bigQuery columnv1.ColumnType
		protobuf descriptorpb.FieldDescriptorProto_Type
	}{
		{Bytes, "\xff\x00", 0, false, 0, descriptorpb.FieldDescriptorProto_TYPE_BYTES},
		{Bytes, "", 0, false, 0, descriptorpb.FieldDescriptorProto_TYPE_BYTES},
		{String, "é", 0, false, 0, descriptorpb.FieldDescriptorProto_TYPE_STRING},
		{String, "", 0, false, 0, descriptorpb.FieldDescriptorProto_TYPE_STRING},
		{String, "ab\xff", 2, true, 0, descriptorpb.FieldDescriptorProto_TYPE_STRING},
		{
			JSON, ` {"a":1}`, 0, false, columnv1.ColumnType_COLUMN_TYPE_JSON,
			descriptorpb.FieldDescriptorProto_TYPE_STRING,
		},
		{JSON, "", 0, true, columnv1.ColumnType_COLUMN_TYPE_JSON, descriptorpb.FieldDescriptorProto_TYPE_STRING},
		{JSON, `{"a":}`, 5, true, columnv1.ColumnType_COLUMN_TYPE_JSON, descriptorpb.FieldDescriptorProto_TYPE_STRING},
	} {
		p, err := Compile(c.kind, decode.Options{Contract: "c", Payload: "body"})
		if err != nil {
			t.Fatal(err)
		}
		row := &descriptorpb.DescriptorProto{}
		if err := p.AddPayload(row, "body", 16); err != nil {
			t.Fatal(err)
		}
		f := row.Field[0]
		column := proto.GetExtension(f.Options, columnv1.E_Column).(*columnv1.Column)
		if f.GetName() != "body" || f.GetNumber() != 16 || f.GetType() != c.protobuf || column.GetType() != c.bigQuery {
			t.Errorf("%v: column %v", c.kind, f)
		}
		d := p.NewDecoder()
		got, err := d.Append([]byte("before"), []byte(c.payload))
		want := "before" + c.payload
		if c.refused {
			want = "before"
		}
		var e *decode.Error
		if string(got) != want || errors.As(err, &e) != c.refused ||
			c.refused && (e.Field != "body" || e.Offset != c.at || e.Contract != "c") {
			t.Errorf("%v %q: %q, %v", c.kind, c.payload, got, err)
		}
		if _, ok := d.EventID(); ok {
			t.Error("an event id")
		}
		if _, ok := d.EventTime(); ok {
			t.Error("an event time")
		}
		if c.refused {
			continue
		}
		room, payload := make([]byte, 0, 100), []byte(c.payload)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := d.Append(room, payload); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations a row", c.kind, n)
		}
	}
	for _, o := range []decode.Options{{EventID: "a"}, {EventTime: "a"}} {
		var e *decode.SchemaError
		if p, err := Compile(Bytes, o); p != nil || !errors.As(err, &e) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
