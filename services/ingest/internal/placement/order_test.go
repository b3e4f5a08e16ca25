package placement

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A lane moves because somebody says so, however even the writers are, and the picture shows why; what cannot move says
// why not.
func TestOrder(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	c := New("i")
	writers := []Writer{
		{Address: "a", Name: "w1", State: Serving},
		{Address: "b", Name: "w2", State: Serving},
		{Address: "c", Name: "w3", State: Leaving, Why: "it goes"},
	}
	lanes := []Lane{
		{LaneID: LaneID{"t", 0}, Writer: "a", Open: true},
		{LaneID: LaneID{"t", 1}, Writer: "b", Open: true},
		{LaneID: LaneID{"t", 2}, Writer: "a"},
	}
	c.Observe(now, writers, lanes)
	for want, o := range map[string]struct {
		lane int32
		to   string
	}{
		"lane t/9: not known here": {9, "a"},
		"writer d: not known here": {0, "d"},
		"it is leaving (it goes)":  {0, "c"},
		"lane t/2 is not open":     {2, "b"},
	} {
		_, moves, err := c.Order(now, LaneID{"t", o.lane}, o.to, "x", false)
		if err == nil || moves || !strings.Contains(err.Error(), want) ||
			errors.Is(err, ErrUnknown) != strings.Contains(want, "not known") {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if m, moves, err := c.Order(now, LaneID{"t", 0}, "a", "x", false); err != nil || moves || m.To != "a" {
		t.Errorf("where it is: %v, %v, %v", m, moves, err)
	}
	if m, moves, err := c.Order(now, LaneID{"t", 0}, "b", "x", true); err != nil || !moves || m.From != "a" ||
		c.moving != 0 {
		t.Errorf("tried: %v, %v, %v", m, moves, err)
	}
	m, moves, err := c.Order(now, LaneID{"t", 0}, "b", "asked for by alice", false)
	if err != nil || !moves || m.To != "b" || c.moving != 1 {
		t.Errorf("%v, %v, %v", m, moves, err)
	}
	if _, _, err := c.Order(now, LaneID{"t", 0}, "a", "x", false); err == nil ||
		!strings.Contains(err.Error(), "on its way from w1 to w2") {
		t.Errorf("on its way: %v", err)
	}
	lanes[0].Writer = "b"
	c.Observe(now.Add(time.Second), writers, lanes)
	if done := c.Picture().Moves; len(done) != 1 || done[0].Reason != "asked for by alice" ||
		done[0].Outcome != "moved" {
		t.Errorf("%+v", done)
	}
}

// Settle has even small differences moved away, once lanes have rested.
func TestSettle(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	c := New("i")
	writers := []Writer{{Address: "a", State: Serving}, {Address: "b", State: Serving}}
	var lanes []Lane
	for p := range int32(20) { // 11 and 9
		at := "a"
		if p >= 11 {
			at = "b"
		}
		lanes = append(lanes, Lane{LaneID: LaneID{"t", p}, Writer: at, Open: true})
	}
	moved := func(from time.Time) (n int) {
		for s := range 60 {
			now = from.Add(time.Duration(s) * time.Second)
			c.Observe(now, writers, lanes)
			for _, m := range c.Plan(now) {
				lanes[m.Lane.Partition].Writer = m.To
				n++
			}
		}
		return n
	}
	c.Observe(now, writers, lanes)
	c.settling = false // as if they had come to be uneven by and by
	if n := moved(now); n != 0 {
		t.Fatalf("%d lanes moved by themselves", n)
	}
	c.Settle(now)
	if n := moved(now.Add(time.Second)); n != 1 {
		t.Errorf("%d lanes moved", n)
	}
}
