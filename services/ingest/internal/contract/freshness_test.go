package contract

import (
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/pkg/config"
)

// A contract says how old its table may be, and neither the routing nor the rows depend on it.
func TestFreshnessOfTables(t *testing.T) {
	plain := Config{Topic: "orders", Format: "raw", Table: "orders", Types: []string{"*"}}
	timed := plain
	timed.Freshness = Freshness{
		Goal: config.Duration(30 * time.Second), Stale: config.Duration(5 * time.Minute),
	}
	set, err := Load(t.Context(), []Config{timed}, ".", Env{})
	if err != nil {
		t.Fatal(err)
	}
	topic := set.Topic("orders")
	if goal, stale := topic.Freshness("orders"); goal != 30*time.Second || stale != 5*time.Minute {
		t.Errorf("goal %v, stale %v", goal, stale)
	}
	if goal, stale := topic.Freshness("other"); goal != 0 || stale != 0 {
		t.Errorf("of another table: goal %v, stale %v", goal, stale)
	}
	without, err := Load(t.Context(), []Config{plain}, ".", Env{})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := topic.Fingerprint, without.Topic("orders").Fingerprint; a != b {
		t.Errorf("the goal is part of the routing: %x and %x", a, b)
	}
}

func TestFreshnessOutOfBounds(t *testing.T) {
	for _, c := range []struct {
		goal, stale time.Duration
		key         string
	}{
		{time.Millisecond, 0, "goal"},
		{0, time.Millisecond, "stale"},
		{time.Minute, time.Second, "stale"},
		{-time.Second, 0, "goal"},
		{0, 1000 * time.Hour, "stale"},
	} {
		var keys []string
		Freshness{Goal: config.Duration(c.goal), Stale: config.Duration(c.stale)}.Check(
			func(key, _, _ string) { keys = append(keys, key) })
		if got := strings.Join(keys, " "); got != c.key {
			t.Errorf("goal %v, stale %v: problems at %q, want %q", c.goal, c.stale, got, c.key)
		}
	}
}
