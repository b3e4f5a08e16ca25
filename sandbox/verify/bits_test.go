package verify

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The set behaves as a map of numbers does, over near and absurdly far offsets.
func TestOffsets(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() int64 {
		if random.IntN(10) == 0 {
			return random.Int64()
		}
		return random.Int64N(3 * chunkBits)
	}
	set, other := offsets{}, offsets{}
	reference, otherReference := map[int64]bool{}, map[int64]bool{}
	for range 30_000 {
		offset := draw()
		if set.add(offset) == reference[offset] {
			t.Fatalf("add %d: was it there: %v", offset, reference[offset])
		}
		reference[offset] = true
		offset = draw()
		if random.IntN(2) == 0 {
			for offset = range reference {
				break // any member
			}
		}
		other.add(offset)
		otherReference[offset] = true
	}
	for range 30_000 {
		if offset := draw(); set.has(offset) != reference[offset] {
			t.Fatalf("has %d: %v", offset, set.has(offset))
		}
	}
	var want, got []int64
	for offset := range reference {
		if !otherReference[offset] {
			want = append(want, offset)
		}
	}
	slices.Sort(want)
	set.without(other, func(offset int64) { got = append(got, offset) })
	if !slices.Equal(got, want) {
		t.Errorf("without gives %d offsets, want %d", len(got), len(want))
	}
}
