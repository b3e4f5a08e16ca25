package contract_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
)

func columns(path string, column contract.Column) contract.Config {
	return order(func(c *contract.Config) { c.Columns = map[string]contract.Column{path: column} })
}

// A column of the payload may be another than the type map's.
func TestColumnsOfContract(t *testing.T) {
	topic := load(t, columns("customer[].name", contract.Column{
		Type: "NUMERIC", Precision: 5, Scale: 2,
	})).Topic("orders").Fork()
	r := typed("shop.Order")
	r.Value = []byte("\x0e\x06\x00\x0a01.50")
	if row := rowOf(t, topic.Routes[0], appendRow(t, topic, r)); !strings.HasSuffix(row, `customer:{name:"1.5"}}`) {
		t.Error(row)
	}
}

func TestProblemsOfPolicies(t *testing.T) {
	for _, c := range []struct {
		key, message string
		configs      []contract.Config
	}{
		{
			"contracts[0].topic_pattern", "a topic too", []contract.Config{
				order(func(c *contract.Config) { c.TopicPattern = "a.*" }),
			},
		},
		{
			"contracts[0].topic_pattern", "missing closing", []contract.Config{
				order(func(c *contract.Config) { c.Topic, c.TopicPattern = "", "a(" }),
			},
		},
		{
			"contracts[0].topic_pattern", "any name", []contract.Config{
				order(func(c *contract.Config) { c.Topic, c.TopicPattern = "", ".*" }),
			},
		},
		{"contracts[0].unknown", "choices", []contract.Config{order(func(c *contract.Config) { c.Unknown = "drop" })}},
		{"contracts[0].unknown_table", "missing", []contract.Config{order(
			func(c *contract.Config) { c.Unknown = "table" })}},
		{
			"contracts[0].unknown_table", "nothing goes", []contract.Config{
				order(func(c *contract.Config) { c.UnknownTable = "x" }),
			},
		},
		{
			"contracts[0].unknown_table", "no name", []contract.Config{
				order(func(c *contract.Config) { c.Unknown, c.UnknownTable = "table", "a.b.c.d" }),
			},
		},
		{
			"contracts[0].unknown_table", "of its own", []contract.Config{
				order(func(c *contract.Config) { c.Unknown, c.UnknownTable = "table", "orders" }),
			},
		},
		{
			"contracts[0].unknown", "no unknown type", []contract.Config{
				order(func(c *contract.Config) { c.Types, c.Unknown, c.UnknownTable = []string{"*"}, "table", "x" }),
			},
		},
		{"contracts[1].unknown", "says", []contract.Config{
			order(func(c *contract.Config) { c.Unknown = "ignore" }),
			order(func(c *contract.Config) { c.Table, c.Types, c.Unknown = "b", []string{"b"}, "dead_letter" }),
		}},
		{"contracts[1].unknown_table", "says", []contract.Config{
			order(func(c *contract.Config) { c.Unknown, c.UnknownTable = "table", "x" }),
			order(func(c *contract.Config) {
				c.Table, c.Types, c.Unknown, c.UnknownTable = "b", []string{"b"}, "table", "y"
			}),
		}},
		{"contracts[0].key", "choices", []contract.Config{order(func(c *contract.Config) { c.Key = "drop" })}},
		{"contracts[0].event_id", "the key is", []contract.Config{order(
			func(c *contract.Config) { c.Key = "event_id" })}},
		{"contracts[0].delivery", "choices", []contract.Config{order(
			func(c *contract.Config) { c.Delivery = "once" })}},
		{"contracts[0].evolution", "choices", []contract.Config{order(
			func(c *contract.Config) { c.Evolution = "on" })}},
		{
			"contracts[0].partition_unit", "no partitions", []contract.Config{
				order(func(c *contract.Config) { c.PartitionBy, c.PartitionUnit = "none", "day" }),
			},
		},
		{"contracts[0].as", "only format: raw", []contract.Config{order(func(c *contract.Config) { c.As = "json" })}},
		{
			"contracts[0].as", "choices", []contract.Config{
				order(func(c *contract.Config) { c.Format, c.Schema, c.As = "raw", "", "xml" }),
			},
		},
		{
			"contracts[0].schema", "has none", []contract.Config{
				order(func(c *contract.Config) { c.Format, c.EventID, c.EventTime = "raw", "", contract.EventTime{} }),
			},
		},
		{
			"contracts[0].event_id", "no fields", []contract.Config{
				order(func(c *contract.Config) { c.Format, c.Schema, c.EventTime = "raw", "", contract.EventTime{} }),
			},
		},
		{
			"contracts[0].columns.total.type", "choices",
			[]contract.Config{columns("total", contract.Column{Type: "json"})},
		},
		{
			"contracts[0].columns.total.unit", "choices", []contract.Config{
				columns("total", contract.Column{Type: "DATE", Unit: "h"}),
			},
		},
		{
			"contracts[0].columns.total.unit", "has none", []contract.Config{
				columns("total", contract.Column{Type: "JSON", Unit: "s"}),
			},
		},
		{
			"contracts[0].columns.total.precision", "neither", []contract.Config{
				columns("total", contract.Column{Type: "JSON", Precision: 3}),
			},
		},
		{
			"contracts[0].columns.total.precision", "behind the point", []contract.Config{
				columns("total", contract.Column{Type: "NUMERIC", Scale: 3}),
			},
		},
		{
			"contracts[0].columns.total.precision", "at most", []contract.Config{
				columns("total", contract.Column{Type: "NUMERIC", Precision: 50}),
			},
		},
		{"contracts[0].columns", "no field no", []contract.Config{columns("no", contract.Column{Type: "JSON"})}},
		{
			"contracts[0].columns.x", "settles", []contract.Config{
				{Builtin: "stock.v1", Columns: map[string]contract.Column{"x": {Type: "JSON"}}},
			},
		},
		{"contracts[0].columns.x", "format: raw settles", []contract.Config{order(func(c *contract.Config) {
			c.Format, c.Schema, c.EventID, c.EventTime, c.Columns = "raw", "", "", contract.EventTime{},
				map[string]contract.Column{"x": {Type: "JSON"}}
		})}},
	} {
		_, err := contract.Load(t.Context(), c.configs, "testdata", contract.Env{})
		var problems config.Problems
		if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Key != c.key ||
			!strings.Contains(problems[0].Message, c.message) || problems[0].Remedy == "" {
			t.Errorf("%s …%s…: %v", c.key, c.message, err)
		}
	}
}
