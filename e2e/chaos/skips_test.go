package chaos

import "testing"

// Each letter of a skipped record is one that an operator asked for, and what the operator was told is so.
func TestSkipsAreAccountedFor(t *testing.T) {
	requested := skips{
		{"orders", 0}: {1: "letter", 2: "", 3: "", 4: "row", 5: ""}, {"orders", 1}: {1: "letter"},
		{"clicks", 0}: {9: "letter"},
	}
	why := map[int32]map[int64]reasons{
		0: {1: forSkip, 2: forSkip | forItself, 5: forItself, 6: forRefusal}, 1: {1: forSkip},
	}
	got := requested.account("orders", why)
	if want := (skipping{Ordered: 6, Letters: 3}); got != want || !got.ok() {
		t.Errorf("%+v, want %+v", got, want)
	}
	why[0][7] = forSkip // nobody asked for it
	delete(why, 1)      // an operator was told otherwise
	got = requested.account("orders", why)
	if want := (skipping{Ordered: 6, Letters: 3, Unordered: 1, Unlike: 1}); got != want || got.ok() {
		t.Errorf("%+v, want %+v", got, want)
	}
	if sum := got.plus(got); sum != (skipping{Ordered: 12, Letters: 6, Unordered: 2, Unlike: 2}) {
		t.Errorf("twice that is %+v", sum)
	}
}
