package placement

import (
	"math"
	"time"
)

const (
	// smoothFor is how far back a lane's traffic is averaged, and knownAfter how much of it must have been seen before
	// it counts.
	smoothFor  = 10 * time.Second
	knownAfter = 5 * time.Second
	// jump is the factor that traffic must change by to change the weight at once: more than lies between 20 % too
	// little and 20 % too much.
	jump = 1.55
	// driftFor is how slowly the weight follows smaller changes.
	driftFor = 5 * time.Minute
)

// traffic is bytes a second of a lane: smooth as measured, rate as it counts.
type traffic struct {
	seen         time.Duration
	smooth, rate float64
}

func (t *traffic) known() bool { return t.seen >= knownAfter }

// observe takes the mean rate of some time.
func (t *traffic) observe(elapsed time.Duration, rate float64) {
	if elapsed <= 0 || rate < 0 || math.IsNaN(rate) || math.IsInf(rate, 0) {
		return
	}
	was := t.known()
	t.seen += elapsed
	// Over all that was seen at first: an average that begins with one sample would be that sample's for long.
	t.smooth += (rate - t.smooth) * fraction(elapsed, min(t.seen, smoothFor))
	switch {
	case !was, t.smooth > t.rate*jump, t.smooth*jump < t.rate:
		t.rate = t.smooth
	default:
		t.rate += (t.smooth - t.rate) * fraction(elapsed, driftFor)
	}
}

func fraction(elapsed, of time.Duration) float64 { return min(1, elapsed.Seconds()/of.Seconds()) }
