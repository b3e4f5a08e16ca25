package assignment

import (
	"cmp"
	"math"
	"slices"
)

// How full members may be, as shares of their capacity.
const (
	// Limit is where a member counts as overloaded.
	Limit = 0.9
	// Fill is how far members are filled when they have to be packed anew.
	Fill = 0.75
	// Relief is how full a member that was overloaded may stay, and one may become that takes over from it.
	Relief = 0.8
	// Spare is how far they may be filled to do with fewer of them.
	Spare = 0.6
	// Price is how much of a member's capacity may move to do with one member less.
	Price = 0.75
	// Better is by what share the overload must shrink for anything to move.
	Better = 0.1
)

// Partition names a partition.
type Partition struct {
	Topic  string
	Number int32
}

func (p Partition) compare(q Partition) int {
	return cmp.Or(cmp.Compare(p.Topic, q.Topic), cmp.Compare(p.Number, q.Number))
}

// Member is one member of the group.
type Member struct {
	ID string
	// Capacity is how many bytes a second it can carry; more than 0.
	Capacity float64
	// Topics are those that it reads.
	Topics []string
	// Holds are the partitions that it has now. Nobody else has them.
	Holds []Partition
}

// Plan says who should carry what.
type Plan struct {
	// Of are the partitions of each member, by its id, in order. Those that nobody reads are nobody's.
	Of map[string][]Partition
	// Used is how many members carry something that brings bytes, Moved how much moves from one member to another, as a
	// sum of shares of the capacity of who gets it (the R-score), and Overload how much is above Limit, in bytes a
	// second.
	Used     int
	Moved    float64
	Overload float64
}

// Make plans for the rates of all partitions, in bytes a second. It is the same for the same input, in whatever order.
func Make(members []Member, rates map[Partition]float64) Plan {
	w := newWorld(members, rates)
	kept := w.keep().plan()
	if kept.Overload > 0 {
		best := w.relieve()
		if packed := w.pack(Fill); packed.Overload < best.Overload*(1-Better) {
			best = packed
		}
		if best.Overload < kept.Overload*(1-Better) {
			return best
		}
		return kept
	}
	fewer := w.pack(Spare)
	saved, price := kept.Used-fewer.Used, fewer.Moved-kept.Moved
	if fewer.Overload == 0 && saved > 0 && price <= Price*float64(saved) {
		return fewer
	}
	return kept
}

// world is the input in order, so that nothing depends on chance.
type world struct {
	members    []Member
	reads      []map[string]bool
	partitions []Partition // all, those that bring most first
	rate       map[Partition]float64
	holder     map[Partition]int
}

func newWorld(members []Member, rates map[Partition]float64) *world {
	w := &world{
		members: slices.Clone(members), rate: make(map[Partition]float64, len(rates)), holder: make(map[Partition]int),
	}
	slices.SortFunc(w.members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	for i := range w.members {
		m := &w.members[i]
		if !(m.Capacity > 0) || math.IsInf(m.Capacity, 0) {
			m.Capacity = 1
		}
		topics := make(map[string]bool, len(m.Topics))
		for _, t := range m.Topics {
			topics[t] = true
		}
		w.reads = append(w.reads, topics)
	}
	for p, r := range rates {
		if !(r >= 0) || math.IsInf(r, 0) {
			r = 0
		}
		w.rate[p] = r
		w.partitions = append(w.partitions, p)
	}
	slices.SortFunc(w.partitions, w.heavier)
	for i := range w.members {
		for _, p := range w.members[i].Holds {
			if _, known := w.rate[p]; known && w.reads[i][p.Topic] {
				if _, taken := w.holder[p]; !taken {
					w.holder[p] = i
				}
			}
		}
	}
	return w
}

// heavier orders partitions: what brings most comes first.
func (w *world) heavier(p, q Partition) int {
	return cmp.Or(cmp.Compare(w.rate[q], w.rate[p]), p.compare(q))
}

// bins are a plan in the making.
type bins struct {
	w     *world
	of    [][]Partition
	load  []float64
	moved float64
}

func (w *world) empty() *bins {
	return &bins{w: w, of: make([][]Partition, len(w.members)), load: make([]float64, len(w.members))}
}

// put gives a partition to a member.
func (b *bins) put(i int, p Partition) {
	b.of[i] = append(b.of[i], p)
	b.load[i] += b.w.rate[p]
	if j, held := b.w.holder[p]; held && j != i {
		b.moved += b.w.rate[p] / b.w.members[i].Capacity
	}
}

// fits says whether a member has room for a partition when it is filled so far.
func (b *bins) fits(i int, p Partition, fill float64) bool {
	return b.w.reads[i][p.Topic] && b.load[i]+b.w.rate[p] <= fill*b.w.members[i].Capacity
}

// share is how much of its capacity a member would have with a partition.
func (b *bins) share(i int, p Partition) float64 {
	return (b.load[i] + b.w.rate[p]) / b.w.members[i].Capacity
}

// place gives a partition to the member with the most room (worst fit) among those that have something already, to
// another one if it fits none of these, and to the least loaded one if it fits none at all. Where nothing is known to
// come, the number of partitions decides.
func (b *bins) place(p Partition, fill float64) {
	best, bestUsed, bestFits := -1, false, false
	for i := range b.w.members {
		if !b.w.reads[i][p.Topic] {
			continue
		}
		used, fits := len(b.of[i]) > 0, b.fits(i, p, fill)
		var better bool
		switch {
		case best < 0:
			better = true
		case fits != bestFits:
			better = fits
		case fits && used != bestUsed && b.w.rate[p] > 0:
			better = used
		case b.share(i, p) != b.share(best, p):
			better = b.share(i, p) < b.share(best, p)
		default:
			better = len(b.of[i]) < len(b.of[best])
		}
		if better {
			best, bestUsed, bestFits = i, used, fits
		}
	}
	if best >= 0 {
		b.put(best, p)
	}
}

// plan is what the bins say.
func (b *bins) plan() Plan {
	out := Plan{Of: make(map[string][]Partition, len(b.of)), Moved: b.moved}
	for i, list := range b.of {
		slices.SortFunc(list, Partition.compare)
		out.Of[b.w.members[i].ID] = list
		if b.load[i] > 0 {
			out.Used++
		}
		out.Overload += max(0, b.load[i]-Limit*b.w.members[i].Capacity)
	}
	return out
}
