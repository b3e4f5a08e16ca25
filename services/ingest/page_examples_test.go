package ingest

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/pkg/config/configtest"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/protobuf"
)

// Every YAML example of the pages about contracts loads and compiles with schemas that have what it names: whole
// configurations, entries, and keys of an entry.
func TestExamplesOfThePages(t *testing.T) {
	const head = "kafka: {brokers: [127.0.0.1:1], group: g}\nwriter: {endpoints: 'w:7070'}\n"
	record := func(name, fields string) string {
		return `{"type": "record", "name": "` + name + `", "fields": [` + fields + `]}`
	}
	text := func(name string) string { return `{"name": "` + name + `", "type": "string"}` }
	row := record("Row", text("id")+`, {"name": "total", "type": ["null", "string"]}`)
	change := record("Envelope", `{"name": "after", "type": ["null", `+row+`]}, `+text("op")+
		`, {"name": "ts_ms", "type": "long"}`)
	order := record("Order", `{"name": "order", "type": `+record("Head", text("id")+
		`, {"name": "created", "type": "long"}, `+text("total"))+`}`)
	const orderProto = `syntax = "proto3"; package shop.v1; import "google/protobuf/timestamp.proto";
		message Day { string start = 1; string end = 2; }
		message Order { string id = 1; google.protobuf.Timestamp placed_at = 2; string total = 3; int64 placed = 4;
			Day valid = 5; }`
	files := map[string]string{
		"order.avsc": order, "parcel.avsc": row,
		"order.json": `{"type": "object", "properties": {"id": {"type": "string"},
			"placed": {"type": "string", "format": "date-time"}}}`,
		"counted.json": `{"type": "object", "properties": {"placed": {"type": "integer"},
			"items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}}}}`,
		"contracts.d/other.yaml": "topic: other\nformat: raw\ntable: other\ntypes: ['*']\n",
	}
	file, err := protobuf.ParseSource(map[string]string{"order.proto": orderProto}, "order.proto")
	if err != nil {
		t.Fatal(err)
	}
	set, err := proto.Marshal(&descriptorpb.FileDescriptorSet{
		File: []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(file)},
	})
	if err != nil {
		t.Fatal(err)
	}
	files["order.binpb"] = string(set)
	pages := configtest.New(t)
	for file, text := range files {
		pages.Write(t, file, text)
	}
	reg := srfake.New()
	defer reg.Close()
	for subject, schema := range map[string]string{
		"parcels-value": row, "db.shop.orders-value": change, "shop.Order": order,
		"shop.Refund": record("Refund", text("id")),
	} {
		schema = strings.Replace(schema, `"record", "name": "`, `"record", "namespace": "shop", "name": "`, 1)
		reg.SeedSchema(subject, 1, len(subject), sr.Schema{Schema: schema, Type: sr.TypeAvro})
	}
	// The entries around examples of keys alone, by the page and the place of the example on it.
	entry := func(lines string) string {
		return "  - topic: t\n    table: t\n    types: ['*']\n    " + lines + "\nKEYS"
	}
	entries := map[string]string{
		"contracts.md 2": entry("format: avro\n    schema: order.avsc"),
		"json.md 2":      entry("format: json\n    schema: counted.json"),
		"protobuf.md 2":  entry("format: protobuf\n    schema: order.binpb\n    message: shop.v1.Order"),
	}
	examples := 0
	for _, page := range []string{"contracts.md", "json.md", "protobuf.md", "registry.md"} {
		for i, config := range pages.Examples(t, filepath.Join("..", "..", "docs", page)) {
			examples++
			name := page + " " + string(rune('1'+i))
			switch {
			case strings.HasPrefix(config, "  - "):
				config = "contracts:\n" + config
			case strings.HasPrefix(config, "    "):
				config = "contracts:\n" + strings.Replace(entries[name], "KEYS", config, 1)
			}
			if !strings.Contains(config, "registry:") {
				config += "registry: {urls: [" + reg.URL() + "]}\n"
			}
			c, err := Load(pages.Write(t, "ingest.yaml", head+config))
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, config)
				continue
			}
			c.Registry.URLs, c.Registry.TLS.CA = []string{reg.URL()}, ""
			env := service.Env{Log: slog.New(slog.DiscardHandler)}
			env.Fill()
			s, err := c.schemas(env)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.contracts(t.Context(), s.env); err != nil {
				t.Errorf("%s: %v\n%s", name, err, config)
			}
			s.close()
		}
	}
	if examples < 7 {
		t.Errorf("%d examples on the pages", examples)
	}
}
