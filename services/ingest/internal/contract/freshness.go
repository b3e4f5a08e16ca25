package contract

import (
	"slices"
	"time"

	"github.com/waybill-data/waybill/pkg/config"
)

// Freshness says how old a table may be: the age is the time since the Kafka timestamp up to which every record is
// settled. It is for people, and changes nothing about rows.
type Freshness struct {
	// Goal is the age up to which the table is fresh; beyond it, it is late. Default: none, or Stale when that is set.
	Goal config.Duration `yaml:"goal"`
	// Stale is the age beyond which it is stale. Default: none.
	Stale config.Duration `yaml:"stale"`
}

var (
	goalBounds = config.Bounds{
		Least: time.Second, Short: "batches and BigQuery's responses take as long",
		Most: 30 * 24 * time.Hour, Long: "nobody would learn of it", Right: 30 * time.Second,
	}
	staleBounds = config.Bounds{
		Least: time.Second, Short: "batches and BigQuery's responses take as long",
		Most: 30 * 24 * time.Hour, Long: "nobody would learn of it", Right: 5 * time.Minute,
	}
)

// Check reports values out of bounds.
func (f Freshness) Check(report func(key, message, remedy string)) {
	if f.Goal != 0 {
		goalBounds.Check(report, "goal", f.Goal)
	}
	if f.Stale != 0 {
		staleBounds.Check(report, "stale", f.Stale)
	}
	if f.Goal != 0 && f.Stale != 0 && f.Stale < f.Goal {
		report("stale", "a table would be stale before it is late", "write more than goal, or leave goal out")
	}
}

// Freshness is what the topic's contracts say of a table, as they write it: the strictest, where several do; 0 where
// none does.
func (t *Topic) Freshness(table string) (goal, stale time.Duration) {
	for _, e := range t.entries {
		if e.Table != table {
			continue
		}
		goal = stricter(goal, e.Config.Freshness.Goal.Std())
		stale = stricter(stale, e.Config.Freshness.Stale.Std())
	}
	return goal, stale
}

func stricter(a, b time.Duration) time.Duration {
	set := slices.DeleteFunc([]time.Duration{a, b}, func(d time.Duration) bool { return d == 0 })
	if len(set) == 0 {
		return 0
	}
	return slices.Min(set)
}

// Tables are the topic's tables, as its contracts write them.
func (t *Topic) Tables() []string {
	names := make([]string, len(t.Routes))
	for i, r := range t.Routes {
		names[i] = r.GetTable()
	}
	return names
}
