package placement

import (
	"slices"
	"time"
)

const (
	// slowFactor and slowBy: a writer is slow that takes this many times as long as the others, and this much longer.
	slowFactor = 3
	slowBy     = 300 * time.Millisecond
	// stuckFactor and stuckBy: so slow that it takes no lanes but a probe now and then.
	stuckFactor = 8
	stuckBy     = time.Second
	// busy is the share of its processors from which a writer counts as loaded, and busyFactor how much busier than the
	// others it must be.
	busy, busyFactor = 0.8, 1.5
	// least is the least capacity of a writer that is slow but takes lanes.
	least = 0.125
	// probe is the capacity of one that was stuck: a single lane tries whether it is better.
	probe = 0.02
	// cure is how long a writer must have been as quick as others to count as before, and how long a stuck one rests,
	// doubled each time up to cureMost.
	cure, cureMost = time.Minute, 16 * time.Minute
)

// capacity is what a writer can carry beside the others.
type capacity struct {
	// share is 1 for a writer like the others.
	share float64
	// why is for people; empty while share is 1.
	why string
	// ill and well are since when it has looked otherwise than share says; zero: it looks like that.
	ill, well time.Time
	rest      time.Duration
	stuck     bool
}

// judge looks at how quick the writers are. It reports whether a capacity has changed.
func (c *Core) judge(now time.Time) bool {
	changed := false
	var latencies []time.Duration
	var loads []float64
	for _, w := range c.writers {
		if w.State != Serving {
			continue
		}
		if w.Latency > 0 {
			latencies = append(latencies, w.Latency)
		}
		if w.Load.Known {
			loads = append(loads, w.Load.Processor)
		}
	}
	slices.Sort(latencies)
	slices.Sort(loads)
	for _, w := range c.writers {
		if w.State != Serving {
			continue
		}
		share, why := 1.0, ""
		usual, ok := without(latencies, w.Latency)
		if usual = max(usual, 50*time.Millisecond); ok && w.Latency > 0 {
			switch ratio := float64(usual) / float64(w.Latency); {
			case ratio*stuckFactor <= 1 && w.Latency-usual >= stuckBy:
				share, why = 0,
					"responds in "+w.Latency.Round(time.Millisecond).String()+", others in "+
						usual.Round(time.Millisecond).String()
			case ratio*slowFactor <= 1 && w.Latency-usual >= slowBy:
				share, why = max(least, ratio),
					"responds in "+w.Latency.Round(time.Millisecond).String()+", others in "+
						usual.Round(time.Millisecond).String()
			}
		}
		if others, ok := without(loads, w.Load.Processor); ok && w.Load.Known && w.Load.Processor >= busy &&
			w.Load.Processor > busyFactor*others {
			if s := max(2*least, others/w.Load.Processor); s < share {
				share, why = s, "has "+percent(w.Load.Processor)+" of its processors in use, others "+percent(others)
			}
		}
		if w.capacity.look(now, share, why, w.Latency > 0) {
			changed = true
		}
	}
	return changed
}

// without is the median of sorted values but one. ok: there are others.
func without[T time.Duration | float64](sorted []T, one T) (median T, ok bool) {
	at := slices.Index(sorted, one)
	n := len(sorted)
	if at >= 0 {
		n--
	}
	if n <= 0 {
		return 0, false
	}
	m := n / 2
	if at >= 0 && at <= m {
		m++
	}
	return sorted[m], true
}

// look takes what the capacity seems to be, and reports whether it is so for long enough to count.
func (c *capacity) look(now time.Time, share float64, why string, measured bool) bool {
	switch {
	case share < c.share/1.5 || share == 0 && c.share > 0:
		c.well = time.Time{}
		if c.ill.IsZero() {
			c.ill = now
		}
		if now.Sub(c.ill) < patience {
			return false
		}
		c.share, c.why, c.ill = share, why, time.Time{}
		if c.stuck = share == 0; c.stuck {
			c.rest = min(max(2*c.rest, cure), cureMost)
		}
		return true
	case share > c.share*1.5 || share > 0 && c.share == 0:
		c.ill = time.Time{}
		if c.well.IsZero() {
			c.well = now
		}
		need := cure
		switch {
		case c.stuck && c.share == 0:
			need = c.rest
		case c.stuck && measured:
			need = patience // the probe takes no longer as others are
		case c.stuck:
			return false // the probe has measured nothing yet
		}
		if now.Sub(c.well) < need {
			return false
		}
		c.well = time.Time{}
		if c.stuck && c.share == 0 {
			c.share, c.why = probe, "was slow; a lane tries it"
			return true
		}
		if c.share, c.why = share, why; share == 1 {
			c.stuck = false
		}
		return true
	}
	c.ill, c.well = time.Time{}, time.Time{}
	return false
}
