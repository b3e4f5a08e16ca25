package fleet

import (
	"math/rand/v2"
)

// walk is the speeds of partitions, in shares of what one consumer can carry. They differ much, as those of topics do,
// and walk at random, each step uniform within plus or minus delta. What they come to together stays the same: with
// less there would be nothing to see, and more than all consumers carry nobody could assign.
type walk struct {
	r      *rand.Rand
	delta  float64
	sum    float64
	speeds []float64
}

// The least and the most that one partition brings.
const slowest, fastest = 0.01, 0.6

func newWalk(seed uint64, partitions int, delta, sum float64) *walk {
	w := &walk{r: rand.New(rand.NewPCG(seed, 0x77616c6b)), delta: delta, sum: sum, speeds: make([]float64, partitions)}
	for i := range w.speeds {
		w.speeds[i] = w.r.ExpFloat64()
	}
	w.level()
	return w
}

func (w *walk) step() {
	for i := range w.speeds {
		w.speeds[i] += w.delta * (2*w.r.Float64() - 1)
		if w.speeds[i] < 0 {
			w.speeds[i] = -w.speeds[i]
		}
	}
	w.level()
}

// level brings the sum back to what it is to be, within the bounds of each.
func (w *walk) level() {
	for range 50 {
		sum := 0.0
		for _, s := range w.speeds {
			sum += s
		}
		for i := range w.speeds {
			w.speeds[i] = min(fastest, max(slowest, w.speeds[i]*w.sum/sum))
		}
	}
}
