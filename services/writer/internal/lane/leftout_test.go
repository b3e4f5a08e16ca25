package lane

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// Sets of left-out offsets against the obvious way to keep them.
func TestSetsOfOffsets(t *testing.T) {
	drawn := rapid.Custom(func(t *rapid.T) []int64 {
		list := rapid.SliceOfN(rapid.Int64Range(0, 40), 0, 20).Draw(t, "offsets")
		slices.Sort(list)
		return slices.Compact(list)
	})
	rapid.Check(t, func(t *rapid.T) {
		first, second := drawn.Draw(t, "first"), drawn.Draw(t, "second")
		set := union(union(nil, first), second)
		all := append(slices.Clone(first), second...)
		slices.Sort(all)
		all = slices.Compact(all)
		want := func(all []int64) []int64 { return append([]int64{}, all...) }
		got := func(set []checkpoint.Range) []int64 {
			return append([]int64{}, (&checkpoint.Checkpoint{LeftOut: set}).Offsets()...)
		}
		if diff := cmp.Diff(want(all), got(set)); diff != "" {
			t.Fatalf("union (-want +got):\n%s", diff)
		}
		for i := 1; i < len(set); i++ {
			if set[i].From <= set[i-1].To {
				t.Fatalf("%v touches or is out of order", set)
			}
		}
		from, to := rapid.Int64Range(0, 41).Draw(t, "from"), rapid.Int64Range(0, 41).Draw(t, "to")
		n := int64(0)
		for _, o := range all {
			if from <= o && o < to {
				n++
			}
		}
		if got := within(set, from, to); got != n {
			t.Fatalf("%d within %d..%d of %v, want %d", got, from, to, all, n)
		}
		rest := slices.DeleteFunc(slices.Clone(all), func(o int64) bool { return o < from })
		if diff := cmp.Diff(want(rest), got(after(slices.Clone(set), from))); diff != "" {
			t.Fatalf("after %d (-want +got):\n%s", from, diff)
		}
		if got, want := ascending(first, from, to), len(first) == 0 ||
			first[0] >= from && first[len(first)-1] < to; got != want {
			t.Fatalf("%v ascends within %d..%d: %v", first, from, to, got)
		}
	})
	if ascending([]int64{1, 1}, 0, 9) || ascending([]int64{2, 1}, 0, 9) {
		t.Error("what does not rise ascends")
	}
}
