package assignment

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// fleet draws members of one or two topics, and rates.
func fleet(t *rapid.T, topics int) ([]Member, map[Partition]float64) {
	names := []string{"a", "b"}[:topics]
	members := make([]Member, rapid.IntRange(1, 8).Draw(t, "members"))
	rates := map[Partition]float64{}
	for _, topic := range names {
		for p := range int32(rapid.IntRange(1, 20).Draw(t, "partitions")) {
			rates[Partition{topic, p}] = float64(rapid.IntRange(0, 60).Draw(t, "rate"))
		}
	}
	for i := range members {
		capacity := rapid.IntRange(50, 200).Draw(t, "capacity")
		members[i] = Member{ID: fmt.Sprint("m", i), Capacity: float64(capacity), Topics: names}
		if topics == 2 {
			members[i].Topics = names[:rapid.IntRange(1, 2).Draw(t, "topics")]
		}
	}
	return members, rates
}

// held gives members what a plan gives them.
func held(members []Member, p Plan) []Member {
	out := slices.Clone(members)
	for i := range out {
		out[i].Holds = p.Of[out[i].ID]
	}
	return out
}

// scattered gives each partition to somebody.
func scattered(t *rapid.T, members []Member, rates map[Partition]float64) []Member {
	out := slices.Clone(members)
	keys := slices.SortedFunc(maps.Keys(rates), Partition.compare)
	for _, p := range keys {
		i := rapid.IntRange(-1, len(members)-1).Draw(t, "holder")
		if i >= 0 {
			out[i].Holds = append(out[i].Holds, p)
		}
	}
	return out
}

// Each partition that somebody reads has one member, who reads it, whatever was before.
func TestEachPartitionHasOneMember(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, rates := fleet(t, 2)
		members = scattered(t, members, rates)
		plan := Make(members, rates)
		seen := map[Partition]int{}
		for _, m := range members {
			for _, p := range plan.Of[m.ID] {
				seen[p]++
				if !slices.Contains(m.Topics, p.Topic) {
					t.Fatalf("%s does not read %v", m.ID, p)
				}
			}
		}
		for p := range rates {
			want := 0
			for _, m := range members {
				if slices.Contains(m.Topics, p.Topic) {
					want = 1
				}
			}
			if seen[p] != want {
				t.Fatalf("%v has %d members, want %d", p, seen[p], want)
			}
		}
	})
}

// Where there is room for the largest partition beside everything, nobody is overloaded.
func TestNobodyIsOverloadedWhereThereIsRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, rates := fleet(t, 1)
		members = scattered(t, members, rates)
		var sum, largest, room float64
		for _, r := range rates {
			sum, largest = sum+r, max(largest, r)
		}
		for _, m := range members {
			room += max(0, Fill*m.Capacity-largest)
		}
		if plan := Make(members, rates); sum <= room && plan.Overload > 0 {
			t.Fatalf("%v of %v bytes/s, and %v too many: %+v", sum, room, plan.Overload, plan)
		}
	})
}

// Planned again with nothing changed, everything rests, at the latest after a few plans that each were better.
func TestPlansComeToRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, rates := fleet(t, 2)
		members = scattered(t, members, rates)
		for range 12 {
			next := held(members, Make(members, rates))
			if cmp.Equal(next, members) {
				return
			}
			members = next
		}
		if plan := Make(members, rates); plan.Moved > 0 {
			t.Fatalf("still moves %v", plan.Moved)
		}
	})
}

// Rates that go up and down by a fifth move nothing to and fro: the number of members that carry something only falls.
func TestNoiseMovesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, rates := fleet(t, 1)
		var sum, largest, room float64
		for _, r := range rates {
			sum, largest = sum+r, max(largest, r)
		}
		for _, m := range members {
			room += max(0, Spare*m.Capacity-1.2*largest)
		}
		if 1.2*sum > room {
			t.Skip("it has to fit")
		}
		noise := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		members = held(members, Make(members, rates))
		used, moves := len(members)+1, 0
		for range 40 {
			noisy := map[Partition]float64{}
			for _, p := range slices.SortedFunc(maps.Keys(rates), Partition.compare) {
				noisy[p] = rates[p] * (0.8 + 0.4*noise.Float64())
			}
			plan := Make(members, noisy)
			if plan.Used > used {
				t.Fatalf("%d members carry something, before %d", plan.Used, used)
			}
			if plan.Moved > 0 {
				moves++
			}
			used, members = plan.Used, held(members, plan)
		}
		if moves > len(members) {
			t.Fatalf("something moved %d times", moves)
		}
	})
}

// When a member goes, what the others have stays with them, as long as they have room for what is left behind.
func TestOthersKeepTheirs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, rates := fleet(t, 1)
		members = held(members, Make(members, rates))
		rest := members[1:]
		kept := newWorld(rest, rates).keep().plan()
		if len(rest) == 0 || kept.Overload > 0 {
			t.Skip("there is no room")
		}
		if plan := Make(rest, rates); plan.Used == kept.Used && plan.Moved > 0 {
			t.Fatalf("%v moved between those that stay", plan.Moved)
		}
	})
}

// A member that joins gets nothing while the others manage, and what they cannot carry once they do not.
func TestFewAsNeededCarryTheLoad(t *testing.T) {
	topics := []string{"a"}
	rates := map[Partition]float64{}
	for p := range int32(16) {
		rates[Partition{"a", p}] = 4
	}
	one := Member{ID: "one", Capacity: 100, Topics: topics}
	members := held([]Member{one}, Make([]Member{one}, rates))
	members = append(members, Member{ID: "two", Capacity: 100, Topics: topics})
	if plan := Make(members, rates); plan.Used != 1 || plan.Moved != 0 {
		t.Errorf("at 64 %% of one: %+v", plan)
	}
	for p := range rates {
		rates[p] = 6
	}
	plan := Make(members, rates)
	if plan.Used != 2 || plan.Overload != 0 || plan.Moved > 0.3 {
		t.Errorf("at 96 %% of one: used %d, overload %v, moved %v", plan.Used, plan.Overload, plan.Moved)
	}
	members = held(members, plan)
	for p := range rates {
		rates[p] = 3
	}
	if plan = Make(members, rates); plan.Used != 1 || plan.Moved > Price {
		t.Errorf("back at 48 %%: used %d, moved %v", plan.Used, plan.Moved)
	}
}

// A thousand partitions and fifty members are planned in no time: a rebalance waits for it.
func BenchmarkMake(b *testing.B) {
	members, rates := large()
	for b.Loop() {
		Make(members, rates)
	}
}

func large() ([]Member, map[Partition]float64) {
	random := rand.New(rand.NewPCG(1, 2))
	rates := map[Partition]float64{}
	for p := range int32(1000) {
		rates[Partition{"a", p}] = float64(random.IntN(1000))
	}
	members := make([]Member, 50)
	for i := range members {
		members[i] = Member{ID: fmt.Sprint(i), Capacity: 14_000, Topics: []string{"a"}}
	}
	for p := range rates {
		i := random.IntN(len(members))
		members[i].Holds = append(members[i].Holds, p)
	}
	return members, rates
}
