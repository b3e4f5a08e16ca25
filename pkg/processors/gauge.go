package processors

const (
	// busy is the share of the processors that is as good as all of them: the rest is what nobody can use in between.
	busy = 0.85
	// spare is what shrinking leaves, so that the same load does not make it grow again.
	spare = 0.7
	// patience is how many looks, five seconds of them, must have found less load before it shrinks by one: a change
	// costs pools what they hold.
	patience = 50
)

// gauge decides how many processors a load needs.
type gauge struct {
	now, most int
	// peak is the highest load of the last quiet looks, in processors. A look is quiet when one may shrink.
	peak  float64
	quiet int
}

func newGauge(most int) gauge { return gauge{now: 1, most: most} }

// look takes the load since the last look, in processors, and whether goroutines have waited for long.
func (g *gauge) look(load float64, waited bool) (n int, changed bool) {
	if waited || load >= busy*float64(g.now) {
		g.quiet, g.peak = 0, 0
		if g.now == g.most {
			return g.now, false
		}
		g.now = min(g.most, g.now+max(1, g.now/2))
		return g.now, true
	}
	g.peak = max(g.peak, load)
	if g.quiet++; g.quiet < patience {
		return g.now, false
	}
	shrinks := g.now > 1 && g.peak < spare*float64(g.now-1)
	g.quiet, g.peak = 0, 0
	if shrinks {
		g.now--
	}
	return g.now, shrinks
}
