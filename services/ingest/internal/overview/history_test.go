package overview

import (
	"testing"
	"time"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/causes"
	"github.com/waybill-data/waybill/services/ingest/internal/freshness"
)

// The worst state of five minutes counts, what is alike is one interval, gaps are gaps, and a day is all there is.
func TestHistoryOfATable(t *testing.T) {
	var h history
	begin := time.Unix(1_800_000_000, 0).Truncate(cellTime)
	at := func(minutes int) time.Time { return begin.Add(time.Duration(minutes) * time.Minute) }
	h.note(at(0), freshness.Fresh, causes.Append)
	h.note(at(5), freshness.Fresh, causes.Idle)
	h.note(at(10), freshness.Late, causes.Quota)
	h.note(at(11), freshness.Stale, causes.Quota)
	h.note(at(12), freshness.Recovered, causes.Idle)
	h.note(at(15), freshness.Stale, causes.Quota)
	h.note(at(14), freshness.Late, causes.Fetch) // the clock goes back
	h.note(at(60), freshness.Fresh, causes.Idle)
	got := h.intervals()
	want := []struct {
		from, until int
		state       adminv1.State
		cause       string
	}{
		{0, 10, adminv1.State_STATE_FRESH, ""},
		{10, 20, adminv1.State_STATE_STALE, "quota"},
		{60, 65, adminv1.State_STATE_FRESH, ""},
	}
	if len(got) != len(want) {
		t.Fatalf("%d intervals: %v", len(got), got)
	}
	for i, w := range want {
		s := got[i]
		if !s.GetFrom().AsTime().Equal(at(w.from)) || !s.GetUntil().AsTime().Equal(at(w.until)) ||
			s.GetState() != w.state || s.GetCause() != w.cause {
			t.Errorf("interval %d: %v, want %+v", i, s, w)
		}
	}
	// Each state that there is has a place.
	var all history
	for state := range freshness.Paused + 1 {
		all.note(at(5*int(state)), state, causes.Paused)
	}
	if got := all.intervals(); len(got) != 6 || got[5].GetState() != adminv1.State_STATE_PAUSED ||
		got[5].GetCause() != "paused" {
		t.Errorf("all states: %v", got)
	}
	h.note(at(24*60), freshness.Late, causes.Append)
	got = h.intervals()
	if first := got[0]; !first.GetFrom().AsTime().Equal(at(5)) || len(got) != 4 {
		t.Errorf("a day later: %v", got)
	}
	h.note(at(10*24*60), freshness.Late, causes.Append)
	if got = h.intervals(); len(got) != 1 {
		t.Errorf("ten days later: %v", got)
	}
}
