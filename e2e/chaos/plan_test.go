package chaos

import (
	"slices"
	"testing"
	"time"
)

// The same seed disturbs in the same way, another one does not.
func TestPlanIsAFunctionOfTheSeed(t *testing.T) {
	one, again, other := Plan(7, time.Minute), Plan(7, time.Minute), Plan(8, time.Minute)
	if !slices.Equal(one, again) {
		t.Error("the same seed gave two plans")
	}
	if slices.Equal(one, other) {
		t.Error("two seeds gave the same plan")
	}
}

// Every kind happens, and every promise is measured, within the default duration, whatever the seed.
func TestPlanCoversEverything(t *testing.T) {
	for seed := range uint64(200) {
		happens, measured := map[Kind]bool{}, map[Kind]bool{}
		for _, d := range Plan(seed, 5*time.Minute) {
			happens[d.Kind] = true
			measured[d.Kind] = measured[d.Kind] || d.Calm
		}
		for _, k := range Kinds {
			if !happens[k] {
				t.Errorf("seed %d: no %s in five minutes", seed, k)
			}
		}
		for _, p := range promises {
			if !measured[p.kind] {
				t.Errorf("seed %d: %s is not measured in five minutes", seed, p.kind)
			}
		}
	}
}

// The schema changes once, in the middle of the run or in the storm closest to it.
func TestPlanChangesTheSchema(t *testing.T) {
	for seed := range uint64(10) {
		for length := 10 * time.Second; length < 6*time.Minute; length += 7 * time.Second {
			changes := 0
			for _, d := range Plan(seed, length) {
				if d.Kind == ChangeSchema {
					changes++
					if off := (d.At - length/2).Abs(); off > 36*time.Second || d.At >= length {
						t.Errorf("seed %d: the schema changes at %v of %v", seed, d.At, length)
					}
				}
			}
			if changes != 1 {
				t.Errorf("seed %d: the schema changes %d times in %v", seed, changes, length)
			}
		}
	}
}

// A process is not disturbed while it is down, one of each tier is always left alone, a measured death is alone, and
// the clock does not jump by the life of a stream within the time that a lane may stand still.
func TestPlanKeepsItsRules(t *testing.T) {
	for seed := range uint64(200) {
		plan := Plan(seed, 5*time.Minute)
		for i, d := range plan {
			var jumped time.Duration
			for _, later := range plan[i+1:] {
				overlap := later.At < d.At+d.For
				if d.Calm && overlap || later.Calm && later.At < d.At+d.For+time.Second {
					t.Errorf("seed %d: %s at %v meets %s at %v", seed, d, d.At, later, later.At)
				}
				if overlap && tier(d) != "" && tier(d) == tier(later) && d.Target == later.Target {
					t.Errorf("seed %d: %s at %v hits what %s took down at %v", seed, later, later.At, d, d.At)
				}
			}
			if d.Kind == ChangeSchema {
				for _, other := range plan {
					if target := tier(other); target == "ingest" && other.At >= d.At && other.At < d.At+d.For {
						t.Errorf("seed %d: %s at %v meets the change of schema at %v", seed, other, other.At, d.At)
					}
				}
			}
			down := 0
			for _, other := range plan {
				if other.At <= d.At && d.At < other.At+other.For && tier(other) == tier(d) {
					down++
				}
			}
			if all, ok := map[string]int{"writer": writers, "ingest": ingests}[tier(d)]; ok && down >= all {
				t.Errorf("seed %d: all %ss are down at %v", seed, tier(d), d.At)
			}
			for _, near := range plan {
				if near.Kind == ClockJump && near.At >= d.At && near.At < d.At+time.Minute {
					jumped += near.Jump
				}
			}
			if jumped >= 70*time.Hour {
				t.Errorf("seed %d: the clock jumps by %v in the minute from %v", seed, jumped, d.At)
			}
		}
	}
}

// tier is what a disturbance takes away one of.
func tier(d Disturbance) string {
	switch d.Kind {
	case KillWriter, StopWriter, PauseWriter:
		return "writer"
	case KillIngest, StopIngest, PauseIngest:
		return "ingest"
	default:
		return ""
	}
}
