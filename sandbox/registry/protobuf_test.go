package registry_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/sandbox/registry"
)

// caller talks to a registry as clients that are not Go do.
type caller struct {
	t    *testing.T
	base string
}

func serve(t *testing.T) *caller {
	t.Helper()
	r, err := registry.Start("127.0.0.1:0", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := r.Close(context.WithoutCancel(t.Context())); err != nil { // which has ended by then
			t.Error(err)
		}
	})
	return &caller{t, r.URL()}
}

func (c *caller) call(method, path string, body any) (int, map[string]any) {
	c.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(string(text)))
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		c.t.Fatalf("%s %s: %s", method, path, b)
	}
	return response.StatusCode, out
}

func (c *caller) ok(method, path string, body any) map[string]any {
	c.t.Helper()
	status, out := c.call(method, path, body)
	if status != 200 {
		c.t.Fatalf("%s %s: %d %v", method, path, status, out)
	}
	return out
}

func field(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type,
	typeName string,
) *descriptorpb.FieldDescriptorProto {
	f := &descriptorpb.FieldDescriptorProto{
		Name: proto.String(name), Number: proto.Int32(number), Type: kind.Enum(),
		Label:    descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		JsonName: proto.String(name),
	}
	if typeName != "" {
		f.TypeName = proto.String(typeName)
	}
	return f
}

func base64Of(t *testing.T, m proto.Message) string {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func fileOf(t *testing.T, schema any) *descriptorpb.FileDescriptorProto {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(fmt.Sprint(schema))
	if err != nil {
		t.Fatalf("%v is no base64", schema)
	}
	file := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(b, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// A protobuf schema that is registered as a descriptor, as Python's serializer does, is kept as text, and comes back
// in the form that is asked for; so does one that was registered as text, as Java does.
func TestProtobufInEitherForm(t *testing.T) {
	c := serve(t)
	const str, msg, enum = descriptorpb.FieldDescriptorProto_TYPE_STRING,
		descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, descriptorpb.FieldDescriptorProto_TYPE_ENUM
	address := &descriptorpb.FileDescriptorProto{
		Name: proto.String("shop/address.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("Address"), Field: []*descriptorpb.FieldDescriptorProto{field("city", 1, str, "")}},
		},
	}
	many := field("lines", 4, msg, ".shop.Order.Line")
	many.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	order := &descriptorpb.FileDescriptorProto{
		Name: proto.String("shop/order.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"),
		Dependency: []string{"shop/address.proto", "google/protobuf/timestamp.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Order"),
			Field: []*descriptorpb.FieldDescriptorProto{
				field("id", 1, str, ""), field("to", 2, msg, ".shop.Address"),
				field("at", 3, msg, ".google.protobuf.Timestamp"),
				many, field("state", 5, enum, ".shop.State"),
			},
			NestedType: []*descriptorpb.DescriptorProto{
				{Name: proto.String("Line"), Field: []*descriptorpb.FieldDescriptorProto{field("sku", 1, str, "")}},
			},
			ReservedRange: []*descriptorpb.DescriptorProto_ReservedRange{{Start: proto.Int32(9), End: proto.Int32(10)}},
		}},
		EnumType: []*descriptorpb.EnumDescriptorProto{
			{
				Name: proto.String("State"), Value: []*descriptorpb.EnumValueDescriptorProto{
					{Name: proto.String("NEW"), Number: proto.Int32(0)},
				},
			},
		},
	}
	c.ok("POST", "/subjects/shop%2Faddress.proto/versions",
		map[string]any{"schemaType": "PROTOBUF", "schema": base64Of(t, address)})
	references := []any{map[string]any{"name": "shop/address.proto", "subject": "shop/address.proto", "version": 1}}
	body := map[string]any{"schemaType": "PROTOBUF", "schema": base64Of(t, order), "references": references}
	registered := c.ok("POST", "/subjects/orders-value/versions", body)
	id := fmt.Sprint(registered["id"])

	kept, _ := c.ok("GET", "/schemas/ids/"+id, nil)["schema"].(string)
	for _, want := range []string{
		`syntax = "proto3";`, "package shop;", `import "shop/address.proto";`, "message Order {", "Address to = 2;",
		"repeated Line lines = 4;", "reserved 9;",
	} {
		if !strings.Contains(kept, want) {
			t.Errorf("the text has no %q:\n%s", want, kept)
		}
	}
	for _, path := range []string{
		"/schemas/ids/" + id, "/subjects/orders-value/versions/1", "/subjects/orders-value/versions/latest",
		fmt.Sprintf("/schemas/guids/%v", registered["guid"]),
	} {
		got := fileOf(t, c.ok("GET", path+"?format=serialized", nil)["schema"])
		if diff := cmp.Diff(order, got, protocmp.Transform(),
			protocmp.IgnoreFields(&descriptorpb.FileDescriptorProto{}, "name")); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if again := c.ok("POST", "/subjects/orders-value/versions", body); again["id"] != registered["id"] {
		t.Errorf("registered again as %v, first %v", again["id"], registered["id"])
	}
	body["schema"] = kept
	if found := c.ok("POST", "/subjects/orders-value", body); found["id"] != registered["id"] ||
		found["schema"] != kept {
		t.Errorf("the text is found as %v", found)
	}

	asText := c.ok("POST", "/subjects/plain-value/versions", map[string]any{
		"schemaType": "PROTOBUF", "schema": "syntax = \"proto3\"; // by hand\nmessage P { int32 n = 1; }",
	})
	plain := c.ok("GET", fmt.Sprintf("/schemas/ids/%v", asText["id"]), nil)
	if !strings.Contains(fmt.Sprint(plain["schema"]), "// by hand") {
		t.Errorf("a text is not kept as it came: %v", plain)
	}
	if file := fileOf(t, c.ok("GET", fmt.Sprintf("/schemas/ids/%v?format=serialized", asText["id"]),
		nil)["schema"]); file.MessageType[0].GetName() != "P" {
		t.Errorf("serialized: %v", file)
	}

	body["schema"], body["references"] = base64Of(t, order), nil
	if status, out := c.call("POST", "/subjects/orders-value/versions", body); status != 422 ||
		!strings.Contains(fmt.Sprint(out["message"]), "address.proto") {
		t.Errorf("a schema without its reference: %d %v", status, out)
	}
}

// Every schema has a GUID, the same wherever it is met: a serializer that puts it into a header has it from the
// registration.
func TestGUIDs(t *testing.T) {
	c := serve(t)
	body := map[string]any{"schema": `{"type":"record","name":"G","fields":[{"name":"a","type":"int"}]}`}
	first, second := c.ok("POST", "/subjects/g-value/versions", body),
		c.ok("POST", "/subjects/other-value/versions", body)
	guid := fmt.Sprint(first["guid"])
	if len(guid) != 36 || second["guid"] != first["guid"] {
		t.Fatalf("registered: %v and %v", first, second)
	}
	for _, path := range []string{
		fmt.Sprintf("/schemas/ids/%v", first["id"]), "/subjects/g-value/versions/1", "/schemas/guids/" + guid,
	} {
		got := c.ok("GET", path, nil)
		if got["guid"] != guid || !strings.Contains(fmt.Sprint(got["schema"]), `"G"`) {
			t.Errorf("%s: %v", path, got)
		}
	}
}
