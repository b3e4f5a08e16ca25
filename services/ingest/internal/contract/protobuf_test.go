package contract_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/pkg/config"
	stockv1 "github.com/waybill-data/waybill/proto/stock/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// A contract of format protobuf needs a descriptor set and the name of a message.
func TestProtobufContract(t *testing.T) {
	dir := t.TempDir()
	files := &descriptorpb.FileDescriptorSet{
		File: []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(stockv1.File_stock_v1_stock_proto)},
	}
	for i := range stockv1.File_stock_v1_stock_proto.Imports().Len() {
		files.File = append(files.File, protodesc.ToFileDescriptorProto(
			stockv1.File_stock_v1_stock_proto.Imports().Get(i)))
	}
	set, err := proto.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "stock.binpb"), set, 0o600); err != nil {
		t.Fatal(err)
	}
	entry := func(change func(*contract.Config)) []contract.Config {
		c := contract.Config{
			Topic: "stock", Format: "protobuf", Schema: "stock.binpb", Message: "stock.v1.PhysicalStock",
			Table: "stock", Types: []string{"*"},
		}
		change(&c)
		return []contract.Config{c}
	}
	for _, c := range []struct {
		key, message string
		configs      []contract.Config
	}{
		{"contracts[0].message", "missing", entry(func(c *contract.Config) { c.Message = "" })},
		{
			"contracts[0].message", "the schema has no stock.v1.Nope, but ",
			entry(func(c *contract.Config) { c.Message = "stock.v1.Nope" }),
		},
		{"contracts[0].message", "only format: protobuf", entry(
			func(c *contract.Config) { c.Format, c.Schema = "raw", "" })},
		{"contracts[0].unknown_fields", "choices", entry(func(c *contract.Config) { c.UnknownFields = "hide" })},
		{
			"contracts[0].unknown_fields", "format json or protobuf",
			entry(func(c *contract.Config) { c.Format, c.Schema, c.Message, c.UnknownFields = "raw", "", "", "drop" }),
		},
		{"contracts[0].schema", "no such file", entry(func(c *contract.Config) { c.Schema = "none.binpb" })},
		{
			"contracts[0].columns", "the schema has no field nope there",
			entry(func(c *contract.Config) { c.Columns = map[string]contract.Column{"nope": {Type: "JSON"}} }),
		},
		{"contracts[0].event_id", "has no field nope", entry(func(c *contract.Config) { c.EventID = "nope" })},
	} {
		_, err := contract.Load(t.Context(), c.configs, dir, contract.Env{})
		var problems config.Problems
		if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Key != c.key ||
			!strings.Contains(problems[0].Message, c.message) || problems[0].Remedy == "" {
			t.Errorf("want %s: %s, got %v", c.key, c.message, err)
		}
	}
	loaded, err := contract.Load(t.Context(), entry(func(*contract.Config) {}), dir, contract.Env{})
	if err != nil {
		t.Fatal(err)
	}
	r := &record.Record{Topic: "stock", Offset: 3, Value: []byte{}}
	m := loaded.Topic("stock").Match(r)
	if m.Contract == nil {
		t.Fatalf("got %+v", m)
	}
	row, err := m.Contract.AppendRow(nil, r, m, 5)
	if err != nil || !strings.Contains(string(row), "stock/0/3") {
		t.Errorf("got %q, %v", row, err)
	}
}
