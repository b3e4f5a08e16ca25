package contract_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-data/waybill/pkg/config"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

func TestTopicPatterns(t *testing.T) {
	set := load(
		t,
		order(func(c *contract.Config) { c.Topic = "orders_v1_special" }),
		order(func(c *contract.Config) { c.Topic, c.TopicPattern = "", `orders_.*` }),
		order(func(c *contract.Config) {
			c.Topic, c.TopicPattern, c.Table, c.Types = "", `orders_.*`, "returns", []string{"shop.Return"}
		}),
		order(func(c *contract.Config) { c.Topic, c.TopicPattern, c.TypeHeader = "", `.*_eu|x`, "type" }),
		contract.Config{Builtin: "stock.v1", TopicPattern: "stock[0-9]+"},
	)
	if got := set.Topics(); !slices.Equal(got, []string{"orders_v1_special"}) {
		t.Errorf("topics %v", got)
	}
	for name, want := range map[string]string{
		"orders_v1_special": "true 1", "orders_v7_us": "true 2", "returns_eu": "true 1", "x": "true 1",
		"stock12": "true 1", "orders": "false", "my_orders_x": "false", "xy": "false", "stock": "false",
	} {
		ok, err := set.Match(name)
		got := fmt.Sprint(ok)
		if topic := set.Topic(name); topic != nil {
			got += fmt.Sprintf(" %d", len(topic.Routes))
			if topic.Name != name {
				t.Errorf("%s is called %s", name, topic.Name)
			}
		}
		if got != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
	ok, err := set.Match("orders_eu")
	if ok || err == nil || !strings.Contains(err.Error(),
		`topic_pattern orders_.* and topic_pattern .*_eu|x both match the topic orders_eu`) ||
		set.Topic("orders_eu") != nil {
		t.Errorf("%v, %v", ok, err)
	}
	// A topic found by a pattern is as one that is named: its routing has the same fingerprint, its name tells the
	// version.
	if a, b := set.Topic("orders_v7_us"), set.Topic("orders_v8"); a.Fingerprint != b.Fingerprint {
		t.Error("the topic's name changes the fingerprint")
	}
	named := load(t, order(func(c *contract.Config) { c.Topic = "anything"; c.TypeHeader = "type" })).Topic("anything")
	if set.Topic("x").Fingerprint != named.Fingerprint {
		t.Error("a pattern changes the fingerprint")
	}
	r := typed("shop.Order")
	r.Value = []byte("\x0e\x06\x00\x02a")
	for _, version := range []string{"v7", "v8"} {
		if row := appendRow(t, set.Topic("orders_"+version+"_us").Fork(), r); !strings.Contains(string(row), version) {
			t.Errorf("no %s in %q", version, row)
		}
	}
}

func TestUnknownTypes(t *testing.T) {
	policy := func(unknown, table string) *contract.Topic {
		return load(t, order(nil), order(func(c *contract.Config) {
			c.Table, c.Types, c.Unknown, c.UnknownTable, c.Delivery = "returns", []string{"shop.Return"}, unknown,
				table, "at_least_once"
		})).Topic("orders").Fork()
	}
	for _, c := range []struct{ policy, table, want string }{
		{"", "", "unknown 0"},
		{"dead_letter", "", "unknown 0"},
		{"ignore", "", "ignore 0"},
		{"table", "lost.others", "row 2"},
	} {
		topic := policy(c.policy, c.table)
		for itemType, want := range map[string]string{
			"shop.Order": "row 0", "shop.Return": "row 1", "shop.X": c.want, "": c.want,
		} {
			m := topic.Match(typed(itemType))
			if got := fmt.Sprintf("%v %d", m.Action, m.Route); got != want || m.Unmatched != (want == c.want) {
				t.Errorf("%s %q: %s unmatched %v, want %s", c.policy, itemType, got, m.Unmatched, want)
			}
		}
		r := typed("shop.X")
		if n := testing.AllocsPerRun(100, func() { topic.Match(r) }); n != 0 && c.want != "unknown 0" {
			t.Errorf("%s: %v allocations a match", c.policy, n)
		}
	}
	topic := policy("table", "lost.others")
	route := topic.Routes[2]
	if route.Table != "lost.others" || route.Delivery != lanev1.Delivery_DELIVERY_AT_LEAST_ONCE ||
		route.Layout.PartitionField != "ingest_time" {
		t.Errorf("%v", route)
	}
	r := typed("shop.X")
	r.Value = []byte("any\xffthing")
	row := appendRow(t, topic, r)
	if !strings.HasSuffix(string(row), "\x82\x01\x09any\xffthing") || !strings.Contains(string(row), "shop.X") {
		t.Errorf("%q", row)
	}
}

// What a topic is called, and what becomes of unknown types and tombstones, decides where a record counts.
func TestFingerprintOfPolicies(t *testing.T) {
	seen := map[uint64]string{pinned: "the defaults"}
	for name, change := range map[string]func(*contract.Config){
		"unknown ignore":  func(c *contract.Config) { c.Unknown = "ignore" },
		"unknown table":   func(c *contract.Config) { c.Unknown, c.UnknownTable = "table", "a" },
		"unknown table b": func(c *contract.Config) { c.Unknown, c.UnknownTable = "table", "b" },
		"tombstones row":  func(c *contract.Config) { c.Tombstones = "row" },
		"tombstones dead": func(c *contract.Config) { c.Tombstones = "dead_letter" },
	} {
		f := load(t, order(change)).Topic("orders").Fingerprint
		if seen[f] != "" {
			t.Errorf("%s: the fingerprint of %s", name, seen[f])
		}
		seen[f] = name
	}
	for name, change := range map[string]func(*contract.Config){
		"unknown":   func(c *contract.Config) { c.Unknown = "dead_letter" },
		"key":       func(c *contract.Config) { c.Key, c.EventID = "event_id", "" },
		"delivery":  func(c *contract.Config) { c.Delivery = "at_least_once" },
		"evolution": func(c *contract.Config) { c.Evolution = "additive" },
		"ingestion": func(c *contract.Config) { c.PartitionBy = "ingestion" },
	} {
		if f := load(t, order(change)).Topic("orders").Fingerprint; f != pinned {
			t.Errorf("%s changes the fingerprint", name)
		}
	}
}

func TestRouteOfConfig(t *testing.T) {
	for _, c := range []struct {
		change func(*contract.Config)
		want   string
	}{
		{nil, `event_time PARTITION_UNIT_DAY DELIVERY_EXACTLY_ONCE EVOLUTION_OFF`},
		{
			func(c *contract.Config) { c.PartitionBy, c.PartitionUnit = "ingestion", "hour" },
			` PARTITION_UNIT_HOUR DELIVERY_EXACTLY_ONCE EVOLUTION_OFF`,
		},
		{func(c *contract.Config) {
			c.Format, c.Schema, c.EventID, c.EventTime = "raw", "", "", contract.EventTime{}
		}, `ingest_time PARTITION_UNIT_DAY DELIVERY_EXACTLY_ONCE EVOLUTION_OFF`},
		{
			func(c *contract.Config) { c.PartitionBy = "none" },
			` PARTITION_UNIT_UNSPECIFIED DELIVERY_EXACTLY_ONCE EVOLUTION_OFF`,
		},
		{
			func(c *contract.Config) { c.Delivery, c.Evolution = "at_least_once", "additive" },
			`event_time PARTITION_UNIT_DAY DELIVERY_AT_LEAST_ONCE EVOLUTION_ADDITIVE`,
		},
	} {
		r := load(t, order(c.change)).Topic("orders").Routes[0]
		if got := fmt.Sprintf("%s %v %v %v", r.Layout.PartitionField, r.Layout.PartitionUnit, r.Delivery,
			r.Evolution); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// A key may be the identity of the event, or be nobody's business.
func TestKeys(t *testing.T) {
	const place = "\x0a\x0aorders/1/2"
	for _, c := range []struct {
		policy, key  string
		null         bool
		id, kafkaKey string
	}{
		{"keep", "k1", false, "\x0a\x017", "k1"},
		{"omit", "k1", false, "\x0a\x017", ""},
		{"event_id", "k1", false, "\x0a\x02k1", "k1"},
		{"event_id", "", false, place, ""},
		{"event_id", "", true, place, ""},
		{"event_id", "k\xff", false, "", "k\xff"},
	} {
		topic := load(t, order(func(o *contract.Config) {
			if o.Key = c.policy; c.policy == "event_id" {
				o.EventID = ""
			}
		})).Topic("orders").Fork()
		r := typed("shop.Order")
		r.Value = []byte("\x0e\x06\x00\x02a")
		if r.Key = []byte(c.key); c.null {
			r.Key = nil
		}
		if c.id == "" {
			m := topic.Match(r)
			_, err := m.Contract.AppendRow(nil, r, m, now)
			var e *decode.Error
			if !errors.As(err, &e) || e.Field != "event_id" {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		row := string(appendRow(t, topic, r))
		if !strings.HasPrefix(row, c.id) || c.kafkaKey != "" != strings.Contains(row, "\x5a\x02"+c.kafkaKey) {
			t.Errorf("%+v: %q", c, row)
		}
	}
}

// A tombstone that becomes a row goes where its header says, with an envelope of its own and no payload.
func TestTombstoneRows(t *testing.T) {
	topic := load(t,
		order(func(c *contract.Config) { c.Tombstones, c.Unknown, c.UnknownTable = "row", "table", "others" }),
		order(func(c *contract.Config) {
			c.Table, c.Types, c.Key, c.EventID = "returns", []string{"shop.Return"}, "event_id", ""
		}),
	).Topic("orders").Fork()
	before := typed("shop.Order")
	before.Value = []byte("\x0e\x06\x00\x02a")
	appendRow(t, topic, before)
	for itemType, route := range map[string]int{"shop.Order": 0, "shop.Return": 1, "shop.X": 2} {
		r := typed(itemType)
		r.Value, r.Key = nil, []byte("key")
		m := topic.Match(r)
		if m.Action != contract.Row || m.Route != route {
			t.Errorf("%s: %+v", itemType, m)
			continue
		}
		row := appendRow(t, topic, r)
		id := "orders/1/2"
		if route == 1 {
			id = "key"
		}
		got := rowOf(t, topic.Routes[route], row)
		want := fmt.Sprintf(`event_id:%q event_type:%q item_type:%q ingest_time:1800000001000001 kafka_topic:"orders" `+
			`kafka_partition:1 kafka_offset:2 `+
			`kafka_key:"key" kafka_headers:{key:"item_type_name" value:%q}`, id, strings.TrimPrefix(itemType, "shop."),
			itemType, itemType)
		if got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func TestContractsDir(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := os.ReadFile("testdata/order.avsc")
	if err != nil {
		t.Fatal(err)
	}
	write("order.avsc", string(schema))
	write("b.yaml", "topic: b\nformat: avro\nschema: order.avsc\ntable: b\ntypes: ['*']\n")
	write("a.yaml", "- {topic: a, format: raw, table: a, types: ['*'], as: json}\n- {topic: c, format: avro, schema: "+
		"order.avsc, table: c, types: ['*']}\n")
	write("notes.txt", "not a contract")
	configs, err := contract.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := load(t, configs...).Topics(); !slices.Equal(got, []string{"a", "c", "b"}) {
		t.Errorf("topics %v", got)
	}
	// Every problem says in which file and line, whether reading or compiling finds it.
	write("a.yaml", "- topic: a\n  format: raw\n  table: a\n  types: ['*']\n  as: yaml\n- topic: b\n  format: avro\n  "+
		"schema: order.avsc\n  table: b\n  types: [x]\n  event_id: no\n")
	write("c.yaml", "topic: b\nformat: raw\ntable: b\ntypes: [x]\n")
	configs, first := contract.LoadDir(dir)
	_, second := contract.Load(t.Context(), configs, "elsewhere", contract.Env{})
	var problems config.Problems
	if !errors.As(config.Merge("", first, second), &problems) {
		t.Fatal("no problem")
	}
	var got []string
	for _, p := range problems {
		file, err := filepath.Rel(dir, p.File)
		if err != nil || p.Remedy == "" {
			t.Errorf("%+v", p)
		}
		got = append(got, fmt.Sprintf("%s:%d %s", file, p.Line, p.Key))
	}
	if diff := cmp.Diff([]string{"a.yaml:5 [0].as", "a.yaml:11 [1].event_id", "c.yaml:3 table"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, dir := range []string{dir + "/none", dir + "/notes.txt", t.TempDir()} {
		if _, err := contract.LoadDir(dir); !errors.As(err, &problems) || problems[0].Key != "contracts_dir" ||
			problems[0].Remedy == "" {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestCountOfUnknownTypes(t *testing.T) {
	registry := prometheus.NewRegistry()
	unknowns := contract.NewUnknowns(registry)
	a, b := unknowns.Topic("orders"), unknowns.Topic("orders")
	for i := range 60 {
		a.Count([]byte(fmt.Sprintf("t%d", i)))
		b.Count([]byte(fmt.Sprintf("t%d", 59-i)))
	}
	a.Count(nil)
	a.Count([]byte("\xff"))
	a.Count([]byte(strings.Repeat("x", 201)))
	unknowns.Topic("others").Count([]byte("t1"))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(families[0].Metric); n != 50+1+1+1 {
		t.Errorf("%d series", n)
	}
	got := map[string]float64{}
	for _, m := range families[0].Metric {
		got[m.Label[0].GetValue()+" "+m.Label[1].GetValue()] = m.Counter.GetValue()
	}
	for series, want := range map[string]float64{
		"orders t1": 2, "orders other": 22, "orders (none)": 1,
		"others t1": 1,
	} {
		if got[series] != want {
			t.Errorf("%s: %v, want %v", series, got[series], want)
		}
	}
	known := []byte("t1")
	if n := testing.AllocsPerRun(100, func() { a.Count(known) }); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}
