package assignment

import (
	"math"
	"slices"
)

// relieve leaves everything where it is but what members have too much: each that is overloaded gives away until it has
// Relief of its capacity, to whoever is least loaded and has room for it. What packing moves beside that would stand
// still for two rebalances and gain nothing.
func (w *world) relieve() Plan {
	b := w.keep()
	for i := range w.members {
		capacity := w.members[i].Capacity
		if b.load[i] <= Limit*capacity {
			continue
		}
		for b.load[i] > Relief*capacity {
			p, to := b.excess(i, b.load[i]-Relief*capacity)
			if to < 0 {
				break
			}
			b.of[i] = slices.DeleteFunc(b.of[i], func(q Partition) bool { return q == p })
			b.load[i] -= w.rate[p]
			b.put(to, p)
		}
	}
	return b.plan()
}

// excess is what a member gives away that has so much too much, and to whom; -1 when nobody has room for any of it. It
// is what comes closest, the larger of two.
func (b *bins) excess(i int, much float64) (p Partition, to int) {
	to = -1
	for _, q := range slices.SortedFunc(slices.Values(b.of[i]), b.w.heavier) {
		if b.w.rate[q] == 0 || to >= 0 && math.Abs(b.w.rate[q]-much) >= math.Abs(b.w.rate[p]-much) {
			continue
		}
		if j := b.relief(i, q); j >= 0 {
			p, to = q, j
		}
	}
	return p, to
}

// relief is the least loaded member, other than the one that has it, with room for a partition. One that has nothing
// yet is the last resort. It is -1 when it fits nowhere.
func (b *bins) relief(from int, p Partition) int {
	best, bestUsed := -1, false
	for j := range b.of {
		if j == from || !b.fits(j, p, Relief) {
			continue
		}
		used := b.load[j] > 0
		if best < 0 || used && !bestUsed || used == bestUsed && b.share(j, p) < b.share(best, p) {
			best, bestUsed = j, used
		}
	}
	return best
}
