package assignment

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Who has too much gives away what that is, the others keep theirs, and nobody gets too much by it.
func TestWhoHasTooMuchGivesThatAway(t *testing.T) {
	topics := []string{"a"}
	rates := map[Partition]float64{}
	members := make([]Member, 4)
	for i, of := range [][]float64{{50, 30, 15, 5}, {30, 20}, {20, 20, 20}, {40, 25}} {
		members[i] = Member{ID: fmt.Sprint(i), Capacity: 100, Topics: topics}
		for _, r := range of {
			p := Partition{"a", int32(len(rates))}
			rates[p] = r
			members[i].Holds = append(members[i].Holds, p)
		}
	}
	plan := Make(members, rates)
	if plan.Overload != 0 || plan.Moved != 0.2 {
		t.Errorf("%+v: want 15 and 5 of the first one's 100 to move", plan)
	}
	if packed := newWorld(members, rates).pack(Fill); packed.Moved <= plan.Moved {
		t.Errorf("packed anew no more would move: %v", packed.Moved)
	}
	for p, to := range map[Partition]string{{"a", 2}: "1", {"a", 3}: "2"} {
		found := ""
		for id, list := range plan.Of {
			for _, q := range list {
				if q == p {
					found = id
				}
			}
		}
		if found != to {
			t.Errorf("%v goes to %q, want %q, the least loaded", p, found, to)
		}
	}
}

// A plan that relieves moves nothing away from who does not have too much, and fills nobody above Relief.
func TestOnlyTheOverloadedGiveAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, rates := fleet(t, 2)
		members = scattered(t, members, rates)
		w := newWorld(members, rates)
		kept, after := w.keep(), w.relieve()
		for i, m := range w.members {
			load := 0.0
			for _, p := range after.Of[m.ID] {
				load += rates[p]
			}
			switch had := kept.load[i]; {
			case had > Limit*m.Capacity && load > had:
				t.Fatalf("%s has %v, before %v, which was too much", m.ID, load, had)
			case had <= Limit*m.Capacity && load < had:
				t.Fatalf("%s gave away: %v, before %v of %v", m.ID, load, had, m.Capacity)
			case load > had && load > Relief*m.Capacity:
				t.Fatalf("%s is filled to %v of %v", m.ID, load, m.Capacity)
			}
		}
	})
}
