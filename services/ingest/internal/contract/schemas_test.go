package contract_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
)

// schemaCase is a schema of BigQuery, and whether it takes it. The sandbox's BigQuery is held to the same cases.
type schemaCase struct {
	Case                  string
	Takes                 bool
	Row                   *bool // false: rows have no descriptor for it, whatever BigQuery takes
	Columns               []schemaColumn
	Letters, Nested, Wide int
}

type schemaColumn struct {
	Name, Type       string
	Precision, Scale string
	Fields           []schemaColumn
}

// columns are those of a case, spelled out. envelope is how many the row has beside them.
func (c *schemaCase) columns(envelope int) []schemaColumn {
	text := schemaColumn{Name: "leaf", Type: "STRING"}
	switch {
	case c.Letters > 0:
		return []schemaColumn{{Name: strings.Repeat("x", c.Letters), Type: "STRING"}}
	case c.Nested > 0:
		for i := range c.Nested {
			text = schemaColumn{Name: fmt.Sprint("r", i), Type: "RECORD", Fields: []schemaColumn{text}}
		}
		return []schemaColumn{text}
	}
	all := c.Columns
	for i := range c.Wide - envelope {
		all = append(all, schemaColumn{Name: fmt.Sprint("c", i), Type: "STRING"})
	}
	return all
}

// avsc is a record of columns in Avro; decimals are texts, and asked for.
func avsc(path string, columns []schemaColumn, requested map[string]contract.Column) string {
	var fields []string
	for i, c := range columns {
		typ := `"string"`
		switch c.Type {
		case "RECORD":
			typ = avsc(fmt.Sprintf("%s_%d", path, i), c.Fields, requested)
		case "NUMERIC", "BIGNUMERIC":
			column := contract.Column{Type: c.Type}
			_, _ = fmt.Sscan(c.Precision, &column.Precision)
			_, _ = fmt.Sscan(c.Scale, &column.Scale)
			requested[c.Name] = column
		}
		name, _ := json.Marshal(c.Name)
		fields = append(fields, fmt.Sprintf(`{"name":%s,"type":%s}`, name, typ))
	}
	return `{"type":"record","name":"` + path + `","fields":[` + strings.Join(fields, ",") + `]}`
}

// What BigQuery refuses of a table is found before a row is written, and nothing else is refused.
func TestSchemasThatBigQueryTakes(t *testing.T) {
	text, err := os.ReadFile("../../../../proto/column/v1/testdata/bigquery_schemas.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []schemaCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	compile := func(columns []schemaColumn) (*contract.Set, error) {
		requested := map[string]contract.Column{}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "s.avsc"), []byte(avsc("R", columns, requested)), 0o600); err != nil {
			t.Fatal(err)
		}
		return contract.Load(t.Context(), []contract.Config{
			{Topic: "t", Format: "avro", Schema: "s.avsc", Table: "t", Types: []string{"*"}, Columns: requested},
		}, dir, contract.Env{})
	}
	set, err := compile([]schemaColumn{{Name: "a", Type: "STRING"}})
	if err != nil {
		t.Fatal(err)
	}
	envelope := count(set.Topic("t").Routes[0].GetDescriptor_(),
		set.Topic("t").Routes[0].GetDescriptor_().NestedType) - 1
	for _, c := range cases {
		want := c.Takes && (c.Row == nil || *c.Row)
		if _, err := compile(c.columns(envelope)); (err == nil) != want {
			t.Errorf("%s: %.300v, want it taken: %v", c.Case, err, want)
		}
	}
}

// count is how many columns a message of a row has.
func count(m *descriptorpb.DescriptorProto, types []*descriptorpb.DescriptorProto) int {
	n := len(m.Field)
	for _, f := range m.Field {
		for _, t := range types {
			if f.GetTypeName() == t.GetName() {
				n += count(t, types)
			}
		}
	}
	return n
}
