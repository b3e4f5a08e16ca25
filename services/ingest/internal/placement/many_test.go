package placement

import (
	"fmt"
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
