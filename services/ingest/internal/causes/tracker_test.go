package causes

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Unix(1_800_000_000, 0)

// TestSharesOfScript follows one lane by hand.
func TestSharesOfScript(t *testing.T) {
	tracker := New(epoch, Opening)
	now := epoch.Add(15 * time.Second)
	tracker.Enter(now, Decode)
	now = now.Add(15 * time.Second)
	tracker.Enter(now, Append)
	now = now.Add(30 * time.Second)
	minute, quarter := tracker.Shares(now)
	want := Shares{Opening: 0.25, Decode: 0.25, Append: 0.5}
	if minute != want || quarter != want {
		t.Errorf("shares of a minute are %v and %v, want %v", minute, quarter, want)
	}
	// A minute and a step later nothing but the last cause is in the short window.
	now = now.Add(75 * time.Second)
	minute, quarter = tracker.Shares(now)
	if minute != (Shares{Append: 1}) {
		t.Errorf("shares of the last minute are %v, want append alone", minute)
	}
	if want := (Shares{Opening: 15. / 135, Decode: 15. / 135, Append: 105. / 135}); quarter != want {
		t.Errorf("shares of the quarter are %v, want %v", quarter, want)
	}
	if cause, since := tracker.Now(); cause != Append || !since.Equal(epoch.Add(30*time.Second)) {
		t.Errorf("the cause is %v since %v", cause, since)
	}
}

// TestLawOfShares: whatever happens and whenever one looks, shares add to one, totals add to the time passed, and a
// cause that was not entered within the longer window has no share.
func TestLawOfShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := epoch.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "begin")))
		begin := now
		cause := Cause(rapid.IntRange(0, int(Count)-1).Draw(t, "cause"))
		tracker := New(now, cause)
		left := map[Cause]time.Time{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			limit := rapid.SampledFrom([]time.Duration{
				time.Millisecond, time.Second, fine, time.Minute, time.Hour,
			}).Draw(t, "scale")
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(limit)).Draw(t, "passed")))
			if next := Cause(rapid.IntRange(0, int(Count)-1).Draw(t, "next")); next != cause {
				left[cause] = now
				tracker.Enter(now, next)
				cause = next
			}
			minute, quarter := tracker.Shares(now)
			for _, s := range []Shares{minute, quarter} {
				sum := 0.
				for c, share := range s {
					sum += share
					if at, was := left[Cause(c)]; share > 0 && Cause(c) != cause &&
						(!was || now.Sub(at) > Quarter+coarse) {
						t.Fatalf("%v has a share of %v, but was left at %v, now %v", Cause(c), share, at, now)
					}
				}
				if math.Abs(sum-1) > 1e-9 {
					t.Fatalf("shares %v add to %v", s, sum)
				}
			}
			var total time.Duration
			for _, d := range tracker.Totals(now) {
				total += d
			}
			if total != now.Sub(begin) {
				t.Fatalf("totals add to %v, %v have passed", total, now.Sub(begin))
			}
		}
	})
}

// TestClockThatGoesBack changes nothing that was accounted for.
func TestClockThatGoesBack(t *testing.T) {
	tracker := New(epoch, Idle)
	tracker.Enter(epoch.Add(time.Second), Fetch)
	tracker.Enter(epoch, Idle)
	if totals := tracker.Totals(epoch.Add(3 * time.Second)); totals != (Totals{Idle: 3 * time.Second}) {
		t.Errorf("totals are %v", totals)
	}
}

func TestEnteringAllocatesNothing(t *testing.T) {
	tracker := New(epoch, Idle)
	now := epoch
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(7 * time.Second)
		tracker.Enter(now, Decode)
		tracker.Enter(now.Add(time.Second), Append)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEnter(b *testing.B) {
	tracker := New(epoch, Idle)
	now := epoch
	for i := 0; b.Loop(); i++ {
		now = now.Add(10 * time.Microsecond)
		tracker.Enter(now, Cause(i%2))
	}
}
