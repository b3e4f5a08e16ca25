package memory

import "testing"

// The limit follows the lanes, in steps, and stays within the container.
func TestLimitFollowsTheLanes(t *testing.T) {
	const mib = 1 << 20
	var sets []int64
	f := follower{
		budget: 64 * mib, limit: func() (int64, bool) { return 0, false },
		set: func(bytes int64) { sets = append(sets, bytes) },
	}
	for _, lanes := range []int{0, 1, 63, 64, 70, 5000, 4999, 0} {
		f.follow(lanes)
	}
	want := []int64{192 * mib, 196 * mib, 192*mib + 5000*perLane, 192 * mib}
	if len(sets) != len(want) {
		t.Fatalf("set to %d", sets)
	}
	for i, w := range want {
		if sets[i] != w {
			t.Errorf("set to %d, want %d", sets, want)
		}
	}
	f.limit = func() (int64, bool) { return 256 * mib, true }
	f.follow(5000)
	if last := sets[len(sets)-1]; last != 224*mib {
		t.Errorf("set to %d in a container of 256 MiB", last)
	}
}

// A container is too small for a budget and so many lanes, whatever it is for the budget alone.
func TestTooManyLanes(t *testing.T) {
	const mib = 1 << 20
	small := func() (int64, bool) { return 256 * mib, true }
	if _, _, much := tooMuch(64*mib, 1024, small); much {
		t.Error("1024 lanes take 64 MiB, which there are")
	}
	if need, limit, much := tooMuch(64*mib, 1040, small); !much || need != 257*mib || limit != 256*mib {
		t.Errorf("1040 lanes: %d of %d, %t", need, limit, much)
	}
}

// While little happens garbage is collected, and free memory given back; else the collector knows best when.
func TestRest(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		fresh, objects, live, free uint64
		want                       todo
	}{
		"nothing to gain":                {mib, 19 * mib, 15 * mib, mib, nothing},
		"garbage":                        {mib, 19*mib + 1, 15 * mib, mib, collect},
		"little garbage for what it has": {mib, 206 * mib, 200 * mib, mib, nothing},
		"garbage for what it has":        {mib, 207 * mib, 200 * mib, mib, collect},
		"little free for what it has":    {mib, 200 * mib, 200 * mib, 6 * mib, nothing},
		"free for what it has":           {mib, 200 * mib, 200 * mib, 7 * mib, giveBack},
		"free":                           {mib, 19 * mib, 15 * mib, 5 * mib, giveBack},
		"at work":                        {40 * mib, 50 * mib, 15 * mib, 100 * mib, nothing},
		"at rest, and large":             {40 * mib, 150 * mib, 100 * mib, mib, collect},
	} {
		r := rest{last: 5 * mib}
		if got := r.look(reading{5*mib + test.fresh, test.objects, test.live, test.free}); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
	var r rest
	if got := r.look(reading{mib, 100 * mib, mib, 100 * mib}); got != nothing {
		t.Errorf("the first look says %d: nobody knows whether the process rests", got)
	}
	if now := read(); now.allocated == 0 || now.objects == 0 {
		t.Errorf("Go's memory manager says %+v", now)
	}
}
