package contract

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/waybill-data/waybill/pkg/config"
)

// loaded is a set of entries of a test.
func loaded(t *testing.T, env Env, entries ...Config) *Set {
	t.Helper()
	set, err := Load(t.Context(), entries, "testdata", env)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func orders(change func(*Config)) Config {
	c := Config{
		Topic: "orders", Format: "avro", Schema: "order.avsc", Table: "orders", Types: []string{"a", "b"},
		Evolution: "off",
	}
	if change != nil {
		change(&c)
	}
	return c
}

// What is loaded again is compared topic by topic: what is the same stays the very same, with all that it has learnt;
// what is not is named, with what it says otherwise; and what would count rows otherwise is no reload.
func TestLoadedAgain(t *testing.T) {
	stock := Config{Builtin: "stock.v1"}
	many := Config{TopicPattern: "eu_.*", Format: "raw", Table: "eu", Types: []string{"*"}}
	old := loaded(t, Env{}, orders(nil), stock, many)
	for name, tt := range map[string]struct {
		entries  []Config
		changed  []string
		rerouted string
		says     string
	}{
		"nothing": {entries: []Config{orders(nil), stock, many}},
		"a policy": {
			entries: []Config{orders(func(c *Config) { c.Evolution = "additive" }), stock, many},
			changed: []string{"topic orders"}, says: `evolution is "additive" in place of "off"`,
		},
		"other columns": {
			entries: []Config{orders(func(c *Config) { c.Payload = "order" }), stock, many},
			changed: []string{"topic orders"}, says: `payload is "order" in place of "payload"`,
		},
		"of a pattern": {
			entries: []Config{orders(nil), stock, func() Config { c := many; c.As = "json"; return c }()},
			changed: []string{"topics that match eu_.*"}, says: `as is "json" in place of nothing`,
		},
		"a goal": {
			entries: []Config{orders(func(c *Config) {
				c.Freshness.Goal, c.Freshness.Stale = config.Duration(40*time.Second), config.Duration(5*time.Minute)
			}), stock, many},
			changed: []string{"topic orders"},
			says:    `freshness.goal is 40s in place of nothing; freshness.stale is 5m in place of nothing`,
		},
		"a column": {
			entries: []Config{orders(func(c *Config) {
				c.Columns = map[string]Column{"id": {Name: "ident"}}
			}), stock, many},
			changed: []string{"topic orders"}, says: `columns.id.name is "ident" in place of nothing`,
		},
		"another table": {
			entries: []Config{orders(func(c *Config) { c.Table = "other" }), stock, many},
			changed: []string{"topic orders"}, rerouted: "the routing of topic orders is another one",
			says: `table is "other" in place of "orders"`,
		},
		"a type less": {
			entries: []Config{orders(func(c *Config) { c.Types = c.Types[:1] }), stock, many},
			changed: []string{"topic orders"}, rerouted: "the routing of topic orders is another one",
			says: `types is ["a"] in place of ["a","b"]`,
		},
		"a topic less": {
			entries: []Config{orders(nil), many}, rerouted: "topic " + old.named[1].Name + " has no contract any more",
		},
		"a topic more": {
			entries: []Config{orders(nil), stock, many, {Topic: "x", Format: "raw", Table: "x", Types: []string{"*"}}},
			changed: []string{"topic x"}, rerouted: "topic x is new",
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := loaded(t, Env{}, tt.entries...)
			merged, changed := set.After(old)
			if diff := cmp.Diff(tt.changed, changed); diff != "" {
				t.Error(diff)
			}
			if (set.Digest() == old.Digest()) != (len(changed) == 0 && tt.rerouted == "") ||
				merged.Digest() != set.Digest() {
				t.Errorf("digests %s, %s, %s", old.Digest(), set.Digest(), merged.Digest())
			}
			if why := strings.Join(set.Rerouted(old), "; "); why != tt.rerouted &&
				(tt.rerouted == "" || !strings.Contains(why, tt.rerouted)) {
				t.Errorf("rerouted: %s", why)
			}
			for _, topic := range merged.named {
				same := slices.Contains(old.named, topic)
				if same == slices.Contains(changed, merged.Of(topic.Name)) {
					t.Errorf("%s is the same: %v", topic.Name, same)
				}
			}
			says := ""
			for _, e := range set.Entries() {
				for _, o := range old.Entries() {
					if o.Name == e.Name || o.Topic == e.Topic && e.Topic != "" {
						says += strings.Join(Says(&o, &e), "; ")
					}
					if o.Name == e.Name && !o.SameSchema(&e) {
						t.Errorf("%s has another schema", e.Name)
					}
				}
			}
			if !strings.Contains(says, tt.says) || tt.says == "" && says != "" {
				t.Errorf("says %s", says)
			}
		})
	}
	if key := old.Of("eu_1"); key != "topics that match eu_.*" || old.Of("nobody") != "" {
		t.Errorf("contracts of eu_1 are %q, of nobody %q", key, old.Of("nobody"))
	}
}

// What entries say is told by the keys and in the words of the configuration file.
func TestSays(t *testing.T) {
	old := Entry{Config: Config{
		Types: []string{"a<b", "c"}, Columns: map[string]Column{"total": {Whole: true, Scale: 2}},
	}}
	old.Config.Freshness.Stale = config.Duration(90 * time.Second)
	e := Entry{Config: Config{Columns: map[string]Column{"total": {Scale: 3}}, EventTime: EventTime{Field: "at"}}}
	e.Config.Freshness.Stale = config.Duration(time.Hour)
	want := []string{
		"columns.total.scale is 3 in place of 2", "columns.total.whole is not set in place of true",
		`event_time.field is "at" in place of nothing`, "freshness.stale is 1h in place of 1m30s",
		`types is not set in place of ["a<b","c"]`,
	}
	if diff := cmp.Diff(want, Says(&old, &e)); diff != "" {
		t.Error(diff)
	}
}

// Sets of one Env share its metrics, and say again what they have counted.
func TestSharedMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	env := Env{Registerer: registry}.Shared()
	first := loaded(t, env, orders(func(c *Config) { c.Framing = "confluent" }))
	first.named[0].contracts[0].versions.env.metrics.versions.WithLabelValues("orders", "order").Set(7)
	loaded(t, env, orders(func(c *Config) { c.Framing = "confluent" })) // a second one would panic without
	first.Count()
	if n := testutil.ToFloat64(env.metrics.versions.WithLabelValues("orders", "order")); n != 1 {
		t.Errorf("%v versions", n)
	}
}

// Rows may be given other tables: those of unknown types too, and the routing is that of these tables.
func TestRetabled(t *testing.T) {
	entry := orders(func(c *Config) { c.Unknown, c.UnknownTable = "table", "others" })
	was := loaded(t, Env{}, entry)
	set := loaded(t, Env{Retable: func(table string) string { return table + "_2" }}, entry)
	if got := set.Topic("orders").Tables(); !slices.Equal(got, []string{"orders_2", "others_2"}) {
		t.Errorf("tables %v", got)
	}
	if set.named[0].Fingerprint == was.named[0].Fingerprint {
		t.Error("the routing is that of the other tables")
	}
}
