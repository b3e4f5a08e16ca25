package freshness

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
)

var epoch = time.Unix(1_800_000_000, 0)

// TestLifeOfATable follows one table through all its states.
func TestLifeOfATable(t *testing.T) {
	now := epoch
	table := Table{Goal: Goal{Goal: 30 * time.Second, Stale: 5 * time.Minute}}
	behind := func(age time.Duration) func(now time.Time) []Lane {
		return func(now time.Time) []Lane {
			return []Lane{{Known: true, CaughtUp: true}, {Known: true, Through: now.Add(-age), Behind: 3}}
		}
	}
	for _, step := range []struct {
		name  string
		after time.Duration
		lanes func(now time.Time) []Lane
		state State
		age   time.Duration
		worst int
	}{
		{"no lane at all", 0, func(time.Time) []Lane { return nil }, Unknown, 0, -1},
		{"a lane that knows nothing", 0, func(time.Time) []Lane {
			return []Lane{{Known: true, CaughtUp: true}, {}}
		}, Unknown, 0, -1},
		{
			"an empty partition", 0, func(time.Time) []Lane { return []Lane{{Known: true, CaughtUp: true}} }, Fresh, 0,
			-1,
		},
		{"within the goal", time.Second, behind(30 * time.Second), Fresh, 30 * time.Second, 1},
		{"past the goal", time.Second, behind(31 * time.Second), Late, 31 * time.Second, 1},
		{"at the limit", time.Second, behind(5 * time.Minute), Late, 5 * time.Minute, 1},
		{"past it", time.Second, behind(5*time.Minute + 1), Stale, 5*time.Minute + 1, 1},
		{"late is not recovered", time.Second, behind(time.Minute), Late, time.Minute, 1},
		{"back", time.Second, behind(time.Second), Recovered, time.Second, 1},
		{"for a while", recoveredFor - 1, behind(time.Second), Recovered, time.Second, 1},
		{"and then fresh", 1, behind(time.Second), Fresh, time.Second, 1},
	} {
		now = now.Add(step.after)
		got := table.Judge(now, step.lanes(now))
		if got.State != step.state || got.Age != step.age || got.Worst != step.worst {
			t.Errorf("%s: %v, age %v, worst lane %d, want %v, %v, %d", step.name,
				got.State, got.Age, got.Worst, step.state, step.age, step.worst)
		}
		if (got.State == Unknown) != got.Through.IsZero() {
			t.Errorf("%s: complete through %v", step.name, got.Through)
		}
	}
}

// TestWithoutAGoal: a contract that asks for nothing is never late.
func TestWithoutAGoal(t *testing.T) {
	var table Table
	lanes := []Lane{{Known: true, Through: epoch.Add(-24 * time.Hour), Behind: 1}}
	if got := table.Judge(epoch, lanes); got.State != Fresh {
		t.Errorf("the table is %v", got.State)
	}
}

// TestLawOfShares: weighted shares add to one, and a lane that is not behind has no part in those of one that is.
func TestLawOfShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lanes := make([]Lane, rapid.IntRange(1, 6).Draw(t, "lanes"))
		behind := false
		for i := range lanes {
			cause := causes.Cause(rapid.IntRange(0, int(causes.Count)-1).Draw(t, "cause"))
			lanes[i] = Lane{Known: true, Behind: rapid.SampledFrom([]int64{0, 0, 1, 1000}).Draw(t, "behind")}
			lanes[i].Minute[cause], lanes[i].Quarter[cause] = 1, 1
			behind = behind || lanes[i].Behind > 0
		}
		v := new(Table).Judge(epoch, lanes)
		sum := 0.
		for c, share := range v.Minute {
			sum += share
			for i := range lanes {
				if behind && share > 0 && lanes[i].Minute[c] > 0 && lanes[i].Behind > 0 {
					share = 0
				}
			}
			if behind && share > 0 {
				t.Fatalf("%v has a share, but no lane with it is behind", causes.Cause(c))
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("shares add to %v", sum)
		}
	})
}
