package lane

import (
	"slices"

	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// union is the set of ranges with more offsets in it. The argument stays as it is. Offsets are ascending.
func union(set []checkpoint.Range, offsets []int64) []checkpoint.Range {
	out := make([]checkpoint.Range, 0, len(set)+1)
	add := func(r checkpoint.Range) {
		if n := len(out); n > 0 && r.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, r.To)
			return
		}
		out = append(out, r)
	}
	for _, o := range offsets {
		for len(set) > 0 && set[0].From <= o {
			add(set[0])
			set = set[1:]
		}
		add(checkpoint.Range{From: o, To: o + 1})
	}
	for _, r := range set {
		add(r)
	}
	return out
}

// after is the part of the set at or after a position. It works in place.
func after(set []checkpoint.Range, position int64) []checkpoint.Range {
	n := 0
	for n < len(set) && set[n].To <= position {
		n++
	}
	set = slices.Delete(set, 0, n)
	if len(set) > 0 {
		set[0].From = max(set[0].From, position)
	}
	return set
}

// within counts the offsets from <= o < to of the set.
func within(set []checkpoint.Range, from, to int64) int64 {
	n := int64(0)
	for _, r := range set {
		n += max(0, min(r.To, to)-max(r.From, from))
	}
	return n
}

// ascending reports whether offsets rise strictly inside from <= o < to.
func ascending(offsets []int64, from, to int64) bool {
	for _, o := range offsets {
		if o < from || o >= to {
			return false
		}
		from = o + 1
	}
	return true
}
