package fleet

import (
	"math"
	"testing"
)

// However it walks, all partitions together bring the same, and each no more than a consumer carries.
func TestWalksStayWithinWhatConsumersCarry(t *testing.T) {
	for seed := range uint64(20) {
		for _, delta := range []float64{0.05, 0.15, 0.25} {
			w := newWalk(seed, 32, delta, 5)
			var before []float64
			for range 100 {
				sum := 0.0
				for i, s := range w.speeds {
					if sum += s; s < slowest || s > fastest {
						t.Fatalf("seed %d: partition %d has %v", seed, i, s)
					}
				}
				if math.Abs(sum-5) > 0.01 {
					t.Fatalf("seed %d: they come to %v", seed, sum)
				}
				before = append(before[:0], w.speeds...)
				w.step()
			}
			moved := 0
			for i := range before {
				if before[i] != w.speeds[i] {
					moved++
				}
			}
			if moved < 16 {
				t.Errorf("seed %d: %d of 32 speeds walk", seed, moved)
			}
		}
	}
}
