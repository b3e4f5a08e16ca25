package events

import "sync"

// measure is all that the sizes of events depend on.
type measure struct {
	seed  uint64
	size  int
	start int64
}

// calibrated keeps what generators have found out, so that a program which makes many of a kind pays once. It forgets
// all when it holds too many.
var calibrated = struct {
	sync.Mutex
	by map[measure]float64
}{by: map[measure]float64{}}

const maxCalibrated = 256

// richness is that at which the mean of the events is config.Size.
func richness(config Config) float64 {
	key := measure{config.Seed, config.Size, config.Start}
	calibrated.Lock()
	defer calibrated.Unlock()
	found, ok := calibrated.by[key]
	if !ok {
		probe := Generator{config: config}
		probe.calibrate()
		if len(calibrated.by) >= maxCalibrated {
			clear(calibrated.by)
		}
		found = probe.richness
		calibrated.by[key] = found
	}
	return found
}

// calibrate finds the richness at which the mean of the events is Size: a line through two points, drawn twice, the
// second time between the means of several samples about the target, since those of single ones are some percent off.
func (g *Generator) calibrate() {
	target := float64(g.config.Size)
	const far, near, samples = 1.5, 0.15, 4
	low := g.mean(0, 0, 1)
	slope := (g.mean(far, 0, 1) - low) / far
	guess := max(0, (target-low)/slope)
	below := g.mean(guess*(1-near), 0, samples)
	above := g.mean(guess*(1+near), samples, samples)
	g.richness = guess
	if above > below && guess > 0 {
		g.richness = max(0, guess*(1-near)+2*near*guess*(target-below)/(above-below))
	}
}

// mean sets the richness and returns the mean size in bytes of the events of some lives, from the first one on.
func (g *Generator) mean(richness float64, first, lives uint64) float64 {
	const life = interleaved * steps
	g.richness = richness
	total := 0
	var scratch []byte
	for i := first * life; i < (first+lives)*life; i++ {
		scratch, _, _ = g.encode(scratch[:0], i)
		total += len(scratch)
	}
	return float64(total) / float64(lives*life)
}
