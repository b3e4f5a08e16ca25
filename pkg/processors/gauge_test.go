package processors

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// carry looks at a demand for so many looks, of which there is never more load than processors, and returns how often
// the number changed.
func carry(g *gauge, demand float64, looks int) (changes int) {
	for range looks {
		if _, changed := g.look(min(demand, float64(g.now)), false); changed {
			changes++
		}
	}
	return changes
}

func TestGauge(t *testing.T) {
	g := newGauge(8)
	for _, step := range []struct {
		demand float64
		looks  int
		want   int
	}{
		{0.2, 1000, 1},        // one is enough
		{100, 1, 2},           // it grows at once,
		{100, 1, 3},           //
		{100, 3, 8},           // to all within half a second,
		{100, 1000, 8},        // and not beyond
		{3, patience - 1, 8},  // less load is waited for,
		{3, 1, 7},             // and then it shrinks by one
		{3, 10 * patience, 5}, // to what leaves some to spare
		{3, 10 * patience, 5}, //
		{0, 10 * patience, 1}, // and never below one
	} {
		carry(&g, step.demand, step.looks)
		if g.now != step.want {
			t.Errorf("%d processors after %d looks at a load of %v, want %d", g.now, step.looks, step.demand, step.want)
		}
	}
}

// Goroutines that wait get more, whatever the load.
func TestGaugeHelpsWhoWaits(t *testing.T) {
	g := newGauge(3)
	for _, want := range []int{2, 3, 3} {
		if n, _ := g.look(0, true); n != want {
			t.Errorf("%d processors, want %d", n, want)
		}
	}
	for range 10 {
		carry(&g, 0, patience-1)
		g.look(0, true)
	}
	if g.now != 3 {
		t.Errorf("%d processors while goroutines wait now and then", g.now)
	}
}

// A single busy moment within the time that shrinking takes keeps what there is.
func TestGaugeKeepsWhatPeaksNeed(t *testing.T) {
	g := newGauge(4)
	carry(&g, 100, 10)
	for range 20 {
		carry(&g, 0.5, patience-1)
		carry(&g, 3, 1)
	}
	if g.now != 4 {
		t.Errorf("%d processors", g.now)
	}
}

// A steady load gets what carries it, and then nothing changes any more.
func TestGaugeSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGauge(rapid.IntRange(1, 64).Draw(t, "most"))
		for range rapid.IntRange(1, 5).Draw(t, "loads") {
			demand := rapid.Float64Range(0, 70).Draw(t, "demand")
			carry(&g, demand, 100*patience)
			if g.now < 1 || g.now > g.most || float64(g.now) < min(demand, float64(g.most)) {
				t.Fatalf("%d of %d processors for a load of %v", g.now, g.most, demand)
			}
			if wasted := float64(g.now) - math.Ceil(demand/spare); wasted > 1 {
				t.Fatalf("%d processors for a load of %v", g.now, demand)
			}
			if n := carry(&g, demand, 100*patience); n != 0 {
				t.Fatalf("%d changes under a steady load of %v", n, demand)
			}
		}
	})
}
