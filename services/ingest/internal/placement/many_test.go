package placement

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// Five hundred lanes are even over four writers within half a minute, though few are on the move at a time, each for up
// to three quarters of a second.
func TestManyLanesAreEvenSoon(t *testing.T) {
	w := newWorld("i")
	w.join("w0")
	w.observe()
	for i := range int32(500) {
		w.open("t", i, 1e5)
	}
	w.run(30 * time.Second)
	for i := range 3 {
		w.join(fmt.Sprintf("w%d", i+1))
	}
	began := w.now
	for w.spreadOut() {
		if w.run(w.tick); w.now.Sub(began) > 30*time.Second {
			t.Fatalf("after half a minute: %v", w.counts())
		}
	}
	t.Logf("even after %v, %d moves", w.now.Sub(began), len(w.moves))
	w.check(t)
}

// spreadOut says that some writer is off its share by more than a lane, or a lane is on the move.
func (w *world) spreadOut() bool {
	distance, heaviest := w.spread()
	return distance > heaviest*1.001 || w.core.moving > 0
}

// Lanes that carry the same are measured as if they did not while few records come: each lane's count of a few seconds
// is off by a third. Those that happen to look heavy are not picked for that, so that writers end alike in what lanes
// really carry.
func TestLanesThatLookHeavyByChanceAreNotPicked(t *testing.T) {
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 1))
		w := newWorld("i")
		const perSecond = 3
		w.noise = func() float64 { // records of a tick, which come whenever they like
			n, p := 0, random.Float64()
			for limit := math.Exp(-perSecond * w.tick.Seconds()); p > limit; p *= random.Float64() {
				n++
			}
			return float64(n) / (perSecond * w.tick.Seconds())
		}
		w.join("w0")
		w.observe()
		const lanes, writers = 500, 4
		for i := range int32(lanes) {
			w.open("t", i, 1e4)
		}
		w.run(20 * time.Second)
		for i := range writers - 1 {
			w.join(fmt.Sprintf("w%d", i+1))
		}
		w.run(time.Minute)
		for _, n := range w.counts() {
			if d := math.Abs(float64(n) - lanes/writers); d > lanes/writers/20 {
				t.Errorf("seed %d: more than a twentieth off: %v", seed, w.counts())
				break
			}
		}
		w.check(t)
	}
}
