package contract_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
)

func TestNames(t *testing.T) {
	of := func(topic, table, itemType, name string) contract.Config {
		return order(func(c *contract.Config) {
			c.Topic, c.Table, c.Types, c.Name = topic, table, []string{itemType},
				name
		})
	}
	raw := func(topic string) contract.Config {
		return contract.Config{Topic: topic, Format: "raw", Table: "p.d.bytes", Types: []string{"*"}}
	}
	for name, c := range map[string]struct {
		configs []contract.Config
		want    string
	}{
		"of one schema": {
			[]contract.Config{
				of("orders", "orders", "a", ""), of("orders", "d.returns", "b", ""), of("eu", "orders", "a", ""),
				of("us", "orders", "a", ""), of("uk", "returns", "a", ""),
			}, "order order_returns order_eu order_us order_uk",
		},
		"a name that is said is kept for it": {
			[]contract.Config{of("orders", "orders", "a", ""), of("orders", "returns", "b", "order")},
			"order_orders order",
		},
		"even the one made of schema and table": {
			[]contract.Config{
				of("orders", "orders", "a", ""), of("orders", "b", "b", ""),
				of("x", "c", "b", "order_b"),
			},
			"order order_orders order_b",
		},
		"of one table, without a schema": {
			[]contract.Config{raw("a"), raw("b"), {
				TopicPattern: "x.*", Format: "raw", Table: "p.d.bytes", Types: []string{"*"},
			}}, "p.d.bytes p.d.bytes_b p.d.bytes_2",
		},
		"built in": {
			[]contract.Config{{Builtin: "stock.v1"}, {Builtin: "stock.v1", Topic: "other"}}, "stock.v1 stock.v1_other",
		},
		"like that of unknown types": {
			[]contract.Config{{Topic: "a", Format: "raw", Table: "unknown", Types: []string{"*"}}}, "unknown_a",
		},
	} {
		set, err := contract.Load(t.Context(), c.configs, "testdata", contract.Env{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var names []string
		for _, e := range set.Entries() {
			names = append(names, e.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Two entries that say one name are reported with both places.
func TestNameTwice(t *testing.T) {
	dir := t.TempDir()
	schema, err := os.ReadFile("testdata/order.avsc")
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"order.avsc": string(schema),
		"a.yaml":     "topic: a\nname: all\nformat: avro\nschema: order.avsc\ntable: a\ntypes: ['*']\n",
		"b.yaml": "- topic: b\n  format: avro\n  schema: order.avsc\n  table: b\n  types: ['*']\n  name: all\n- " +
			"topic: c\n  name: unknown\n  format: raw\n  table: c\n  types: ['*']\n",
		"d.yaml": "topic: d\nname: no name\nformat: raw\ntable: d\ntypes: ['*']\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entries, dirErr := contract.LoadDir(dir)
	_, err = contract.Load(t.Context(), entries, dir, contract.Env{})
	err = config.Merge(dir, dirErr, err)
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"b.yaml:6: [0].name: a.yaml:2 is called all too\n    choose another name for one of the two, or leave it out",
		"b.yaml:8: [1].name: the contract of records whose type no other takes is called unknown\n    choose " +
			"another name",
		`d.yaml:2: name: "no name" is no name of a contract` +
			"\n    use letters, digits, dots, underscores and hyphens",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}
