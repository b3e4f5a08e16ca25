package placement

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What is foreseen is what happens, and looking ahead changes nothing.
func TestWhatIsForeseenHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld("i")
		before := rapid.IntRange(1, 3).Draw(t, "writers")
		for i := range before {
			w.join(fmt.Sprintf("w%d", i))
		}
		w.observe()
		for i := range rapid.IntRange(1, foreseen).Draw(t, "lanes") {
			w.open("t", int32(i), 1e6)
		}
		w.run(10 * time.Second)
		w.moves = nil
		for i := range rapid.IntRange(1, 5).Draw(t, "more") {
			w.join(fmt.Sprintf("w%d", before+i))
		}
		if rapid.Bool().Draw(t, "one is leaving") {
			w.writer("w0").State = Leaving
		}
		w.observe()
		was := w.core.Picture()
		ahead := w.core.Ahead(w.now)
		if diff := cmp.Diff(was, w.core.Picture()); diff != "" {
			t.Fatalf("looking ahead changed something: %s", diff)
		}
		w.run(20 * time.Second)
		// Of lanes that are alike it may be others.
		if len(ahead) != len(w.moves) {
			t.Fatalf("%d are foreseen, %d move: %+v, %+v", len(ahead), len(w.moves), ahead, w.moves)
		}
	})
}

// Each lane that is to move says why, and what it waits for.
func TestWhatIsForeseenSaysWhy(t *testing.T) {
	w := newWorld("i")
	w.join("w1")
	w.observe()
	for i := range int32(8) {
		w.open("t", i, 1e6)
	}
	w.run(10 * time.Second)
	said := func(want int, waits string) {
		t.Helper()
		ahead := w.core.Ahead(w.now)
		if len(ahead) != want {
			t.Fatalf("%d lanes are to move, want %d: %+v", len(ahead), want, ahead)
		}
		for _, n := range ahead {
			if n.Waits != waits || n.From == n.To || !strings.Contains(n.Reason, "fair") {
				t.Errorf("%+v", n)
			}
		}
	}
	said(0, "")
	w.join("w2")
	w.observe()
	said(4, "")
	w.run(30 * time.Second)
	said(0, "")
	w.join("w3") // the four that came to w2 must rest
	w.join("w4")
	w.observe()
	for _, n := range w.core.Ahead(w.now) {
		if want := "just joined"; n.From == "w1" && !strings.Contains(n.Waits, want) {
			t.Errorf("%+v, want %q", n, want)
		}
	}
	rested := 0
	for _, n := range w.core.Ahead(w.now) {
		if strings.Contains(n.Waits, "rests") {
			rested++
		}
	}
	if rested == 0 {
		t.Errorf("no lane rests: %+v", w.core.Ahead(w.now))
	}
	w.writers = nil
	w.observe()
	said(0, "")
}
