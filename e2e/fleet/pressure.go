package fleet

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// busy is the share of the time in which something waited for a processor from which what takes long says nothing.
const busy = 0.5

// pressure is for how long something on this machine has waited for a processor since it started, as Linux counts it;
// ok is false where nobody does.
func pressure() (waited time.Duration, ok bool) {
	text, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		at := strings.Index(line, "total=")
		if !strings.HasPrefix(line, "some ") || at < 0 {
			continue
		}
		var micros int64
		if _, err := fmt.Sscanf(line[at:], "total=%d", &micros); err != nil {
			return 0, false
		}
		return time.Duration(micros) * time.Microsecond, true
	}
	return 0, false
}

// stress is how much of some time that is.
type stress struct {
	began  time.Time
	waited time.Duration
	known  bool
}

func newStress() stress {
	s := stress{began: time.Now()}
	s.waited, s.known = pressure()
	return s
}

// share is 0 where it is not known.
func (s stress) share() float64 {
	now, ok := pressure()
	elapsed := time.Since(s.began)
	if !ok || !s.known || elapsed <= 0 {
		return 0
	}
	return min(1, float64(now-s.waited)/float64(elapsed))
}
