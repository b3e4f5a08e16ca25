package within_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/json"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/raw"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/within"
)

const changes = `{"properties": {
	"before": {"$ref": "#/$defs/Row"},
	"data": {"properties": {"after": {"$ref": "#/$defs/Row"}, "list": {"type": "array", "items": {"$ref": "#/$defs/Row"}},
		"note": {"type": "string"}}},
	"op": {"type": "string"}, "n": {"type": "integer"}, "day": {"type": "string", "format": "date"},
	"ops": {"type": "array", "items": {"type": "string"}},
	"span": {"properties": {"start": {"type": "string", "format": "date"}, "end": {"type": "string", "format": "date"}}}},
	"$defs": {"Row": {"properties": {"id": {"type": "integer"}, "address": {"properties": {"city": {"type": "string"}}}}}}}`

func plan(t *testing.T, o *decode.Options, path, operation string) (*within.Plan, error) {
	t.Helper()
	whole, err := json.Compile([]byte(changes), json.JSONSchema, json.Settings{}, *o)
	if err != nil {
		t.Fatal(err)
	}
	return within.New(whole, o, path, operation)
}

// row is the descriptor of a row whose payload is that of a plan, behind an envelope with a message of its own.
func row(t *testing.T, p decode.Plan) *descriptorpb.DescriptorProto {
	t.Helper()
	row := &descriptorpb.DescriptorProto{
		Name: proto.String("Row"), Field: []*descriptorpb.FieldDescriptorProto{{
			Name: proto.String("headers"), Number: proto.Int32(1), TypeName: proto.String("Address"),
			Label: descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum(),
			Type:  descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
		}},
		NestedType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Address"), Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("key"), Number: proto.Int32(1),
				Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
				Type:  descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
			}},
		}},
	}
	if err := p.AddPayload(row, "payload", 16); err != nil {
		t.Fatal(err)
	}
	return row
}

// The record is the payload, whatever is around it, and the operation is beside it.
func TestRecordWithin(t *testing.T) {
	o := &decode.Options{Contract: "c", Payload: "payload", Only: []string{"data", "op", "n"}}
	for _, c := range []struct{ path, operation, payload, want string }{
		{"data.after", "op", `{"op":"u","data":{"after":{"id":7,"address":{"city":"Ulm"}}}}`, `{"id":"7","address":{"city":"Ulm"}} u`},
		{"data.after", "op", `{"data":{"after":{"id":7}},"n":3,"op":"c","before":{"id":1}}`, `{"id":"7"} c`},
		{"data.after", "op", `{"data":{"after":{}},"op":""}`, `{} `},
		{"data.after", "op", `{"data":{"after":{"id":0}}}`, `{"id":"0"}`},
		{"data.after", "op", `{"n":1,"data":{"note":"no","after":{"id":7}},"op":"c"}`, `{"id":"7"} c`},
		{"data.after", "op", `{"op":"c","n":1,"data":{"after":{"id":7},"note":"no"}}`, `{"id":"7"} c`},
		{"data.after", "", `{"data":{"after":{"id":7}},"op":"c"}`, `{"id":"7"}`},
		{"data.after", "op", `{"data":{"after":null},"op":"d"}`, `none d`},
		{"data.after", "op", `{"data":null,"op":"d"}`, `none d`},
		{"data.after", "op", `{"op":"d"}`, `none d`},
		{"data.after", "op", `{}`, `none`},
		{"data", "op", `{"data":{"after":{"id":7}},"op":"c"}`, `{"after":{"id":"7"}} c`},
		{"data.after", "op", `{"op":"` + strings.Repeat("x", 1024) + `"}`, `none ` + strings.Repeat("x", 1024)},
		{
			"data.after", "op", `{"data":{"after":{"id":7}},"op":"` + strings.Repeat("x", 1025) + `"}`,
			"c: payload at byte 0: the operation has 1025 bytes, more than 1024",
		},
		{"data.after", "op", `{"data":{"after":{"id":"x"}},"op":"c"}`, "c: payload.data.after.id at byte 23: wants a whole number, has a string"},
	} {
		p, err := plan(t, o, c.path, c.operation)
		if err != nil {
			t.Fatal(err)
		}
		d := p.NewDecoder().(*within.Decoder)
		// What was before has no say in what comes.
		if _, err := d.Append(nil, []byte(`{"op":"before","data":{"after":{"id":1}}}`)); err != nil || d.Absent() {
			t.Fatal(err)
		}
		out, err := d.Append([]byte("before"), []byte(c.payload))
		if !bytes.HasPrefix(out, []byte("before")) || err != nil && len(out) != len("before") {
			t.Fatalf("%s: %q, %v", c.payload, out, err)
		}
		got := "none"
		switch {
		case err != nil:
			got = err.Error()
		case !d.Absent():
			m := dynamicpb.NewMessage(file(t, row(t, p)))
			if err := proto.Unmarshal(out[len("before"):], m); err != nil || len(m.GetUnknown()) > 0 {
				t.Fatalf("%s: %v, unknown %x", c.payload, err, m.GetUnknown())
			}
			text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			got = strings.ReplaceAll(string(text), " ", "")
		case len(out) != len("before"):
			t.Errorf("%s: no record, and %q", c.payload, out)
		}
		if text, ok := d.Operation(); ok && err == nil {
			got += " " + string(text)
		}
		if got != c.want {
			t.Errorf("%s: %.200s, want %.200s", c.payload, got, c.want)
		}
	}
}

// Only what the record is made of is in the row's descriptor, and what the envelope has stays.
func TestMessagesWithin(t *testing.T) {
	o := &decode.Options{Contract: "c", Payload: "payload"}
	for path, want := range map[string]string{
		"data.after": "headers payload: Address Row3 PayloadDataAfterAddress",
		"data":       "headers payload: Address Data Row3 PayloadDataAfterAddress Row4 PayloadDataListAddress",
	} {
		p, err := plan(t, o, path, "op")
		if err != nil {
			t.Fatal(err)
		}
		row := row(t, p)
		var names []string
		for _, f := range row.Field {
			names = append(names, f.GetName())
		}
		names[len(names)-1] += ":"
		for _, m := range row.NestedType {
			names = append(names, m.GetName())
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
		if f := row.Field[1]; f.GetNumber() != 16 || f.GetLabel() != descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL {
			t.Errorf("%s: %v", path, f)
		}
	}
}

// A path that leads to no record, and an operation that is no text, are refused with their place.
func TestNothingWithin(t *testing.T) {
	for _, c := range []struct{ path, operation, field, reason string }{
		{"no", "", "payload.no", "payload_path: wants a record"},
		{"data.no", "", "payload.data.no", "payload_path: wants a record"},
		{"op", "", "payload.op", "payload_path: wants a record"},
		{"data.list", "", "payload.data.list", "payload_path: wants a record"},
		{"data.list.id", "", "payload.data.list", "payload_path: wants a record"},
		{"span", "", "payload.span", "payload_path: wants a record"},
		{"data", "no", "payload.no", "operation: wants a text"},
		{"data", "n", "payload.n", "operation: wants a text"},
		{"data", "day", "payload.day", "operation: wants a text"},
		{"data", "ops", "payload.ops", "operation: wants a text"},
		{"data", "data", "payload.data", "operation: wants a text"},
	} {
		o := &decode.Options{
			Contract: "c", Payload: "payload", Columns: decode.Columns{"span": {Type: decode.Range}},
		}
		_, err := plan(t, o, c.path, c.operation)
		fault, ok := errors.AsType[*decode.SchemaError](err)
		if !ok || fault.Field != c.field || !strings.HasPrefix(fault.Reason, c.reason) {
			t.Errorf("%s, %s: %v, want %s: %s", c.path, c.operation, err, c.field, c.reason)
		}
	}
	o := &decode.Options{Contract: "c", Payload: "payload"}
	whole, err := raw.Compile(raw.Bytes, *o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := within.New(whole, o, "after", ""); err == nil ||
		!strings.Contains(err.Error(), "payload_path: the payload is no record") {
		t.Error(err)
	}
}

func file(t *testing.T, row *descriptorpb.DescriptorProto) protoreflect.MessageDescriptor {
	t.Helper()
	f, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("row.proto"), Syntax: proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{row},
	}, nil)
	if err != nil {
		t.Fatal(fmt.Errorf("%v: %w", row, err))
	}
	return f.Messages().Get(0).Fields().ByNumber(16).Message()
}
