package assignment

import (
	"cmp"
	"slices"
)

// keep leaves everything where it is, and places what nobody has.
func (w *world) keep() *bins {
	b := w.empty()
	var free []Partition
	for _, p := range w.partitions {
		if i, held := w.holder[p]; held {
			b.put(i, p)
		} else {
			free = append(free, p)
		}
	}
	for _, p := range free {
		b.place(p, Fill)
	}
	return b
}

// pack is the modified worst fit of arXiv 2402.06085: members in the order of what they carry, the fullest first. The
// smallest partitions of each are offered to those before it, as long as they fit there, which is how a member becomes
// superfluous; what is left it keeps, the largest first, as far as it has room. The rest is placed, the largest first.
//
// What brings nothing stays where it is: moving it gains nothing.
func (w *world) pack(fill float64) Plan {
	b := w.empty()
	held := make([][]Partition, len(w.members)) // the heaviest first, as w.partitions
	var free, idle []Partition
	for _, p := range w.partitions {
		i, ok := w.holder[p]
		switch {
		case w.rate[p] == 0:
			idle = append(idle, p)
		case ok:
			held[i] = append(held[i], p)
		default:
			free = append(free, p)
		}
	}
	order := make([]int, len(w.members))
	carried := make([]float64, len(w.members))
	for i := range order {
		order[i] = i
		for _, p := range held[i] {
			carried[i] += w.rate[p]
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(carried[j], carried[i]) })
	for k, i := range order {
		own := held[i]
		for len(own) > 0 {
			least := own[len(own)-1]
			to := b.roomiest(order[:k], least, fill)
			if to < 0 {
				break
			}
			b.put(to, least)
			own = own[:len(own)-1]
		}
		for _, p := range own {
			if b.fits(i, p, fill) {
				b.put(i, p)
			} else {
				free = append(free, p)
			}
		}
	}
	slices.SortFunc(free, w.heavier)
	for _, p := range free {
		b.place(p, fill)
	}
	for _, p := range idle {
		if i, ok := w.holder[p]; ok {
			b.put(i, p)
		} else {
			b.place(p, fill)
		}
	}
	return b.plan()
}

// roomiest is the member among some that has the most room for a partition, of those that have something already; -1
// when it fits none.
func (b *bins) roomiest(among []int, p Partition, fill float64) int {
	best := -1
	for _, i := range among {
		if len(b.of[i]) > 0 && b.fits(i, p, fill) && (best < 0 || b.share(i, p) < b.share(best, p)) {
			best = i
		}
	}
	return best
}
