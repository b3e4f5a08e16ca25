package source

import (
	"testing"
	"time"
)

func TestLongPoll(t *testing.T) {
	for _, test := range []struct {
		readers, full int
		want          time.Duration
	}{
		{1, 0, 100 * time.Millisecond},
		{83, 0, 100 * time.Millisecond},
		{250, 0, 300 * time.Millisecond},
		{800, 0, 960 * time.Millisecond},
		{5000, 0, time.Second},
		{5000, 1, 100 * time.Millisecond},
	} {
		if got := longPoll(test.readers, test.full); got != test.want {
			t.Errorf("%d readers, %d full: %v, want %v", test.readers, test.full, got, test.want)
		}
	}
}
