package placement

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawWorld opens lanes at one writer, or at several.
func drawWorld(t *rapid.T, writers int) *world {
	w := newWorld(rapid.StringMatching(`ingest-[0-9]{1,3}`).Draw(t, "ingest"))
	for i := range writers {
		w.join(fmt.Sprintf("w%d", i))
	}
	w.observe()
	kind := rapid.SampledFrom([]string{"none", "equal", "any", "one heavy"}).Draw(t, "rates")
	n := rapid.IntRange(1, 60).Draw(t, "lanes")
	for i := range n {
		rate := 0.0
		switch kind {
		case "equal":
			rate = 1e6
		case "any":
			rate = rapid.Float64Range(0, 1e6).Draw(t, "rate")
		case "one heavy":
			if rate = 1e3; i == n/2 {
				rate = 1e7
			}
		}
		w.open("t", int32(i), rate)
	}
	w.run(30 * time.Second)
	return w
}

// Once more writers have joined, each carries its share within one lane's weight, and what moved is what had to.
func TestJoiningWritersGetTheirShareAndNoMoreMovesThanThat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.IntRange(1, 4).Draw(t, "writers")
		w := drawWorld(t, before)
		w.moves = nil
		had := map[string]float64{}
		for _, c := range w.core.writers {
			had[c.Address] = c.weight
		}
		weights := map[LaneID]float64{}
		for id, l := range w.core.lanes {
			weights[id] = l.weight
		}
		after := before + rapid.IntRange(1, 12).Draw(t, "more")
		for i := before; i < after; i++ {
			w.join(fmt.Sprintf("w%d", i))
		}
		w.run(2 * time.Minute)
		distance, heaviest := w.spread()
		if distance > heaviest*1.001 {
			t.Fatalf("a writer is %.4f off its share, the heaviest lane weighs %.4f: %v", distance, heaviest,
				w.counts())
		}
		var needed, moved float64
		for _, had := range had {
			needed += max(0, had-1/float64(after))
		}
		for _, m := range w.moves {
			moved += weights[m.Lane]
		}
		if moved > 1.1*needed+heaviest {
			t.Fatalf("moved %.4f where %.4f is needed, the heaviest lane weighs %.4f", moved, needed, heaviest)
		}
		w.check(t)
	})
}

// Lanes that are alike end within one of each other, by the least number of moves.
func TestLanesThatAreAlikeMoveExactlyAsOftenAsNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld("i")
		w.join("w0")
		w.observe()
		lanes, writers := rapid.IntRange(1, 200).Draw(t, "lanes"), rapid.IntRange(2, 20).Draw(t, "writers")
		for i := range lanes {
			w.open("t", int32(i), 1000)
		}
		w.run(10 * time.Second)
		for i := 1; i < writers; i++ {
			w.join(fmt.Sprintf("w%d", i))
		}
		w.run(2 * time.Minute)
		least, most := lanes, 0
		for _, n := range w.counts() {
			least, most = min(least, n), max(most, n)
		}
		if most-least > 1 {
			t.Fatalf("counts %v", w.counts())
		}
		if needed := lanes - (lanes+writers-1)/writers; len(w.moves) != needed {
			t.Fatalf("%d moves, %d are needed", len(w.moves), needed)
		}
		w.check(t)
	})
}

// When a writer leaves, no lane of another one moves.
func TestALeavingWriterMovesItsOwnLanesOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "writers")
		w := drawWorld(t, n)
		w.run(time.Minute)
		w.moves = nil
		leaver := fmt.Sprintf("w%d", rapid.IntRange(0, n-1).Draw(t, "leaver"))
		was := map[LaneID]string{}
		for _, l := range w.lanes {
			was[l.LaneID] = l.at
		}
		w.leave(leaver)
		w.run(4 * time.Second)
		for _, l := range w.lanes {
			if was[l.LaneID] != leaver && l.at != was[l.LaneID] {
				t.Fatalf("%s moved from %s to %s though %s left", l.LaneID, was[l.LaneID], l.at, leaver)
			}
			if l.at == leaver || l.at == "" {
				t.Fatalf("%s is at %q", l.LaneID, l.at)
			}
		}
		w.check(t)
	})
}

// Traffic that is measured 20 % too high or too low, at random, moves no lane to and fro: the few that were on the edge
// of being worth it go, once.
func TestNoiseDoesNotMakeLanesOscillate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		random := rand.New(rand.NewPCG(seed, 0))
		w := newWorld("i")
		w.tick = time.Second
		w.noise = func() float64 { return 0.8 + 0.4*random.Float64() }
		writers := rapid.IntRange(2, 8).Draw(t, "writers")
		for i := range writers {
			w.join(fmt.Sprintf("w%d", i))
		}
		w.observe()
		for i := range rapid.IntRange(1, 80).Draw(t, "lanes") {
			w.open("t", int32(i), rapid.Float64Range(1e3, 1e6).Draw(t, "rate"))
		}
		w.run(3 * time.Minute)
		w.moves = nil
		w.run(5 * time.Minute)
		moved := map[LaneID]bool{}
		for _, m := range w.moves {
			if moved[m.Lane] {
				t.Fatalf("%s moves again: %s", m.Lane, m.Reason)
			}
			moved[m.Lane] = true
		}
		if len(moved) > 1+len(w.lanes)/10 {
			t.Fatalf("%d of %d lanes move, the first: %s", len(moved), len(w.lanes), w.moves[0].Reason)
		}
		w.check(t)
	})
}

// four are writers with 40 lanes of a rate.
func four(rate float64) *world {
	w := newWorld("i")
	for i := range 4 {
		w.join(fmt.Sprintf("w%d", i))
	}
	w.observe()
	for i := range 40 {
		w.open("t", int32(i), rate)
	}
	return w
}

// A bias of 20 % that lasts is not worth moves either.
func TestALastingBiasOfAFifthMovesNothing(t *testing.T) {
	w := four(1e6)
	w.run(time.Minute)
	w.moves = nil
	for _, l := range w.lanes {
		if l.rate = 0.8e6; l.at == "w0" {
			l.rate = 1.2e6
		}
	}
	w.run(10 * time.Minute)
	if len(w.moves) > 0 {
		t.Errorf("%d moves, the first: %s", len(w.moves), w.moves[0].Reason)
	}
}

// Whatever happens, a lane moves once a minute at most, few move at a time, and no lane is without a writer while one
// serves.
func TestStormsKeepTheBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, rapid.IntRange(1, 5).Draw(t, "writers"))
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			address := fmt.Sprintf("w%d", rapid.IntRange(0, 9).Draw(t, "writer"))
			switch rapid.SampledFrom([]string{"join", "leave", "slow", "rate", "forget"}).Draw(t, "event") {
			case "join":
				w.join(address)
			case "leave":
				if len(w.counts()) > 1 {
					w.leave(address)
				}
			case "slow":
				if o := w.writer(address); o != nil {
					o.Latency = time.Duration(rapid.IntRange(10, 5000).Draw(t, "latency")) * time.Millisecond
				}
			case "rate":
				w.lanes[rapid.IntRange(0, len(w.lanes)-1).Draw(t, "lane")].rate = rapid.Float64Range(0, 1e8).Draw(t,
					"rate")
			case "forget":
				if len(w.lanes) > 1 {
					w.lanes = w.lanes[1:]
				}
			}
			w.run(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
		}
		w.check(t)
		for _, l := range w.lanes {
			if o := w.writer(l.at); o == nil || o.State != Serving {
				t.Fatalf("%s is at %q", l.LaneID, l.at)
			}
		}
		moving := 0
		for _, l := range w.core.lanes {
			if l.moving {
				moving++
			}
		}
		if moving != w.core.moving {
			t.Fatalf("%d lanes move, %d are counted", moving, w.core.moving)
		}
	})
}

// fourAlike is four quick writers with 32 lanes that have found their places.
func fourAlike() *world {
	w := newWorld("i")
	for i := range 4 {
		w.join(fmt.Sprintf("w%d", i))
		w.writers[i].Latency = 60 * time.Millisecond
	}
	w.observe()
	for i := range 32 {
		w.open("t", int32(i), 1e5)
	}
	w.run(time.Minute)
	return w
}

// A writer whose lanes wait for seconds, while others' do not, loses them, is tried by one lane later, and gets its
// share when it is well.
func TestASlowWriterLosesItsLanesUntilItIsWell(t *testing.T) {
	w := fourAlike()
	w.writer("w1").Latency = 3 * time.Second
	w.run(15 * time.Second)
	if n := w.counts()["w1"]; n != 0 {
		t.Errorf("the slow writer keeps %d lanes", n)
	}
	// Without lanes nothing is measured; a probe finds it as slow as before.
	probed, measured := 0, w.writer("w1")
	for range 600 {
		measured.Latency = 0
		if w.counts()["w1"] > 0 {
			measured.Latency = 3 * time.Second
			probed++
		}
		w.run(time.Second)
		if n := w.counts()["w1"]; n > 1 {
			t.Fatalf("%d lanes try a slow writer", n)
		}
	}
	if probed == 0 || probed > 300 {
		t.Errorf("a lane was at the slow writer for %d of 600 s", probed)
	}
	for range 20 * 60 {
		measured.Latency = 0
		if w.counts()["w1"] > 0 {
			measured.Latency = 60 * time.Millisecond
		}
		w.run(time.Second)
	}
	if n := w.counts()["w1"]; n != 8 {
		t.Errorf("a writer that is well again has %d of 32 lanes", n)
	}
	w.check(t)
}

// When BigQuery is slow for all writers, nothing moves: it would not help.
func TestSlownessOfAllWritersMovesNothing(t *testing.T) {
	w := fourAlike()
	w.moves = nil
	for i := range w.writers {
		w.writers[i].Latency = time.Duration(3+i) * time.Second
	}
	w.run(5 * time.Minute)
	if len(w.moves) > 0 {
		t.Errorf("%d moves, the first: %s", len(w.moves), w.moves[0].Reason)
	}
}

// A writer that is half as strong, which shows by its processors, gets less.
func TestABusyWriterGetsLess(t *testing.T) {
	w := four(1e5)
	for range 10 {
		n := w.counts()
		for i := range w.writers {
			strength := 20.0
			if i == 0 {
				strength = 10
			}
			w.writers[i].Load = Load{
				Known: true, Lanes: float64(n[w.writers[i].Address]),
				Processor: min(1, float64(n[w.writers[i].Address])/strength),
			}
		}
		w.run(time.Minute)
	}
	if n := w.counts()["w0"]; n > 8 || n < 3 {
		t.Errorf("the weak writer has %d of 40 lanes: %v", n, w.counts())
	}
}

// Fifty ingests of three lanes each, which see the same reports or none, do not all choose the same writers, and a
// writer that joins gets its part.
func TestManySmallIngestsSpreadOverAllWriters(t *testing.T) {
	const ingests, writers = 50, 16
	all := make([]*world, ingests)
	total := func() map[string]int {
		n := map[string]int{}
		for _, w := range all {
			for address, lanes := range w.counts() {
				n[address] += lanes
			}
		}
		return n
	}
	report := func() {
		n := total()
		for _, w := range all {
			for i := range w.writers {
				w.writers[i].Load = Load{Known: true, Lanes: float64(n[w.writers[i].Address])}
			}
		}
	}
	for i := range all {
		all[i] = newWorld(fmt.Sprintf("ingest-%d", i))
		all[i].tick = time.Second
		for j := range writers {
			all[i].join(fmt.Sprintf("w%d", j))
		}
		all[i].observe()
		for p := range 3 {
			all[i].open(fmt.Sprintf("t%d", i), int32(p), 1e5)
		}
	}
	for address, n := range total() {
		if n > 24 { // 9.4 each; were they to follow one order, three writers would have all 150
			t.Errorf("%s has %d of 150 lanes", address, n)
		}
	}
	for _, w := range all {
		w.join("w-new")
	}
	for range 600 {
		report()
		for _, w := range all {
			w.run(time.Second)
		}
	}
	n := total()
	t.Logf("lanes: %v", n)
	if n["w-new"] < 4 || n["w-new"] > 15 {
		t.Errorf("the new writer has %d of 150 lanes, 8.8 are fair", n["w-new"])
	}
	for address, n := range n {
		if n > 18 {
			t.Errorf("%s has %d of 150 lanes after ten minutes of reports", address, n)
		}
	}
}
