package source

import (
	"testing"
	"time"
)

// A member asks for a plan when its load has changed much, but not too often; soon when it has more than it can carry
// and than it reported; and again and again while it has, since another one may have room by now.
func TestWhenAPlanIsOutdated(t *testing.T) {
	m, _ := alone(t, waits)
	defer m.close()
	const capacity = 100.0
	for _, tt := range []struct {
		name           string
		reported, load float64
		ago            time.Duration
		want           bool
	}{
		{"nothing has changed", 50, 50, time.Hour, false},
		{"by less than a fifth", 50, 69, time.Hour, false},
		{"by more", 50, 71, replanEvery + 1, true},
		{"by more, downwards", 50, 29, replanEvery + 1, true},
		{"by more, just now", 50, 71, replanEvery, false},
		{"too much", 70, 91, urgentEvery + 1, true},
		{"too much, just now", 70, 91, urgentEvery, false},
		{"too much, hardly more than reported", 90, 91, urgentEvery + 1, false},
		{"too much, a little more than reported", 90, 93, urgentEvery + 1, true},
		{"too much since it was reported", 95, 95, replanEvery, false},
		{"too much since it was reported, for long", 95, 95, replanEvery + 1, true},
	} {
		m.reportedLoad = tt.reported
		if got := m.outdated(tt.load, capacity, tt.ago); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
