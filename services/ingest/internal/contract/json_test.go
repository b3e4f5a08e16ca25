package contract_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// A record in JSON becomes the row that its schema says, whether that is a JSON Schema or an Avro schema, and how
// unknown fields, strictness and columns are set.
func TestJSON(t *testing.T) {
	const decimal = `"total":1234.56`
	for _, c := range []struct {
		change         func(*contract.Config)
		payload, order string
	}{
		{
			nil, `{"id":7,"placed":"1970-01-01T00:00:03Z",` + decimal + `,"customer":{"name":"a"}}`,
			`id:7 placed:3000000 total:1234.56 customer:{name:"a"}`,
		},
		{
			func(c *contract.Config) { c.Columns = map[string]contract.Column{"total": {Type: "NUMERIC"}} },
			`{"placed":"1970-01-01T00:00:03Z","id":7,` + decimal + `}`, `id:7 placed:3000000 total:"1234.56"`,
		},
		{
			func(c *contract.Config) { c.Schema = "order.avsc" },
			`{"id":7,"placed":3000,` + decimal + `,"customer":{"name":"a"}}`,
			`id:7 placed:3000000 total:"1234.56" customer:{name:"a"}`,
		},
		{
			func(c *contract.Config) { c.Mode, c.UnknownFields = "lenient", "keep" },
			`{"id":"7","x":[1],"placed":"1970-01-01T00:00:03"}`, `id:7 placed:3000000 _extra:"{\"x\":[1]}"`,
		},
		{
			func(c *contract.Config) { c.UnknownFields = "drop" }, `{"id":7,"placed":"1970-01-01T00:00:03Z","x":1}`,
			`id:7 placed:3000000`,
		},
		{nil, `{"id":7,"placed":"1970-01-01T00:00:03Z","x":1}`, `!payload.x 40`},
		{nil, `{"id":"7","placed":"1970-01-01T00:00:03Z"}`, `!payload.id 6`},
		{nil, ``, `!payload 0`},
	} {
		topic := load(t, order(func(entry *contract.Config) {
			entry.Format, entry.Schema = "json", "order.json"
			if c.change != nil {
				c.change(entry)
			}
		})).Topic("orders").Fork()
		file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
			Name: proto.String("row.proto"), Syntax: proto.String("proto2"),
			MessageType: []*descriptorpb.DescriptorProto{topic.Routes[0].GetDescriptor_()},
		}, &protoregistry.Files{})
		if err != nil {
			t.Fatal(err)
		}
		r := typed("shop.Order")
		r.Value = []byte(c.payload)
		if place, failing := strings.CutPrefix(c.order, "!"); failing {
			m := topic.Match(r)
			_, err := m.Contract.AppendRow(nil, r, m, now)
			if e, ok := errors.AsType[*decode.Error](err); !ok || e.Contract != "order" ||
				place != fmt.Sprint(e.Field, " ", e.Offset) {
				t.Errorf("%s: %v, want %s", c.payload, err, place)
			}
			continue
		}
		row := dynamicpb.NewMessage(file.Messages().Get(0))
		if err := proto.Unmarshal(appendRow(t, topic, r), row); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(row)), " ")
		if !strings.HasPrefix(text, `event_id:"7" `) || !strings.Contains(text, ` event_time:3000000 `) ||
			!strings.HasSuffix(text, ` payload:{`+c.order+`}`) {
			t.Errorf("%s: %s, want %s", c.payload, text, c.order)
		}
	}
}
