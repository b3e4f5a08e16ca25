package overview

import (
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// sent is the state of a lane that has sent so much.
func sent(rows, bytes uint64) *lane.Status { return &lane.Status{Rows: rows, Bytes: bytes} }

// A lane at rest is remembered by one sample, however long it rests: there are thousands of them.
func TestRestTakesOneSample(t *testing.T) {
	var r rates
	now := time.Now()
	for range 1000 {
		now = now.Add(3 * time.Second)
		r.take(now, sent(7, 700))
	}
	if len(r.runs) != 1 || cap(r.runs) != 1 {
		t.Fatalf("%d samples, room for %d", len(r.runs), cap(r.runs))
	}
	// What comes then came within the last minute, about: the rest before that does not count.
	rows, bytes, _ := r.over(now.Add(time.Second), sent(7+600, 700+6000))
	if rows < 9.4 || rows > 10 || bytes < 94 || bytes > 100 {
		t.Errorf("%v rows and %v bytes a second, want 10 and 100 about", rows, bytes)
	}
}

// What is sent now and then gives the rates that all samples of the last minute would give, and never more samples.
func TestRatesOfRuns(t *testing.T) {
	type moment struct {
		at          time.Time
		rows, bytes uint64
	}
	rapid.Check(t, func(t *rapid.T) {
		var r rates
		var all []moment
		now, rows := time.Unix(1_800_000_000, 0), uint64(0)
		for range rapid.IntRange(1, 200).Draw(t, "looks") {
			now = now.Add(3 * time.Second) // less often than samples are kept
			if rapid.Bool().Draw(t, "moves") {
				rows += rapid.Uint64Range(1, 1000).Draw(t, "rows")
			}
			r.take(now, sent(rows, 10*rows))
			all = append(all, moment{now, rows, 10 * rows})
		}
		now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "later")) * time.Second)
		var want float64
		for _, m := range all { // the oldest that counts
			if elapsed := now.Sub(m.at); elapsed <= oldest {
				if elapsed >= time.Second {
					want = float64(rows+5-m.rows) / elapsed.Seconds()
				}
				break
			}
		}
		got, bytes, _ := r.over(now, sent(rows+5, 10*rows+50))
		// A run may begin up to a look before the oldest of its moments that counts.
		if got > want || got < want*0.95 && want > 0 || len(r.runs) > samples+1 {
			t.Fatalf("%v rows a second, want %v; %d samples", got, want, len(r.runs))
		}
		if d := bytes - 10*got; d > 1e-6 || d < -1e-6 {
			t.Fatalf("%v bytes a second with %v rows", bytes, got)
		}
	})
}

// Counts that go back, of a lane that began anew, are no rate.
func TestRatesOfCountsThatGoBack(t *testing.T) {
	var r rates
	now := time.Now()
	r.take(now, sent(10, 100))
	for _, back := range [][2]uint64{{9, 100}, {10, 99}} {
		if rows, bytes, _ := r.over(now.Add(5*time.Second), sent(back[0], back[1])); rows != 0 || bytes != 0 {
			t.Errorf("%v: %v rows, %v bytes a second", back, rows, bytes)
		}
	}
	if rows, bytes, _ := r.over(now.Add(5*time.Second), sent(15, 110)); rows != 1 || bytes != 2 {
		t.Errorf("%v rows, %v bytes a second", rows, bytes)
	}
	if rows, _, _ := r.over(now.Add(999*time.Millisecond), sent(15, 110)); rows != 0 {
		t.Errorf("%v rows a second within the first", rows)
	}
}

// A look at lanes uses the memory of the one before: it comes every few seconds, for thousands of lanes.
func TestLooksUseTheirMemoryAgain(t *testing.T) {
	lanes := make([]Lane, 2000)
	for i := range lanes {
		lanes[i] = of("orders", int32(i), 0, 0, causes.Idle)
	}
	o := &Overview{Goals: fakeGoals{time.Minute, time.Hour}, Lanes: func() []Lane { return lanes }}
	now := time.Now()
	look := func() {
		now = now.Add(3 * time.Second)
		o.Look(now)
	}
	look()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const looks = 10
	for range looks {
		look()
	}
	runtime.ReadMemStats(&after)
	// A lane is 500 bytes in a look, and 300 in the judgement of each of its two tables.
	if each := (after.TotalAlloc - before.TotalAlloc) / looks / uint64(len(lanes)); each > 250 {
		t.Errorf("%d bytes a lane and look", each)
	}
}
