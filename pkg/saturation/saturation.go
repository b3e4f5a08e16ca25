// Package saturation says how much of a process's strength its load takes, as one number that an autoscaler can follow:
// waybill_saturation, between 0 and 1, with its cause as a label.
//
//	meter := saturation.New(sample, registry)
//	meter.Run(ctx)
//
// The number is the largest of three shares of the last seconds: of the processors that the process may use, of the
// time that lanes waited for the memory budget, and of the time that they waited for their window. More processes help
// against these. Waiting for BigQuery's responses is none of them: a full budget or window counts only so far as it is
// not BigQuery that it waits for, so that a slow BigQuery, or one out of quota, scales nobody up.
package saturation

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Cause is what takes most of a process's strength.
type Cause string

// The causes.
const (
	Processor Cause = "processor"
	Budget    Cause = "budget"
	Window    Cause = "window"
)

// Shares are what a process's strength goes to, each 0 to 1.
type Shares struct {
	// Processor is processor time used, of what the process may use.
	Processor float64 `json:"processor"`
	// Budget is the time in which a lane waited for memory, of all time. Window is the time that lanes waited for room
	// in their windows, of the time of the lanes that carried anything.
	Budget float64 `json:"budget"`
	Window float64 `json:"window"`
	// Responding is how much of the time that batches take is BigQuery's: that part of the other waiting is not the
	// process's own.
	Responding float64 `json:"answers"`
}

// Of is the saturation and its cause.
func (s Shares) Of() (float64, Cause) {
	own := 1 - share(s.Responding)
	value, cause := share(s.Processor), Processor
	if b := share(s.Budget) * own; b > value {
		value, cause = b, Budget
	}
	if w := share(s.Window) * own; w > value {
		value, cause = w, Window
	}
	return value, cause
}

func share(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return min(max(v, 0), 1)
}

// Counts are what has come together since the process began; a Meter takes differences.
type Counts struct {
	// Processor is processor time used, and Processors how many there are.
	Processor  time.Duration
	Processors int
	// Budget is the time in which at least one lane waited for memory.
	Budget time.Duration
	// Window is the time that lanes waited for room in their windows, added up, and Lanes how many carry something at
	// the moment.
	Window time.Duration
	Lanes  int
	// Settling is the time that batches took from being sent, or received, to being settled, added up; Responding is
	// how much of that was BigQuery's.
	Settling, Responding time.Duration
}

// between are the shares of the time between two counts.
func between(was, now Counts, elapsed time.Duration) Shares {
	if elapsed <= 0 {
		return Shares{}
	}
	return Shares{
		Processor:  ratio(now.Processor-was.Processor, elapsed*time.Duration(max(now.Processors, 1))),
		Budget:     ratio(now.Budget-was.Budget, elapsed),
		Window:     ratio(now.Window-was.Window, elapsed*time.Duration(max(now.Lanes, 1))),
		Responding: ratio(now.Responding-was.Responding, now.Settling-was.Settling),
	}
}

func ratio(part, of time.Duration) float64 {
	if of <= 0 {
		return 0
	}
	return share(float64(part) / float64(of))
}

const (
	// every is how often a Meter looks, and over how far back it averages: long enough for a scrape, short enough for
	// an autoscaler.
	every, over = time.Second, 15 * time.Second
)

// Meter measures the saturation of a process.
type Meter struct {
	counts func() Counts

	mu     sync.Mutex
	was    Counts
	at     time.Time
	shares Shares
}

// New makes a meter and registers its metric; a nil registerer takes none. counts is asked every second.
func New(counts func() Counts, registerer prometheus.Registerer) *Meter {
	m := &Meter{counts: counts}
	if registerer != nil {
		registerer.MustRegister(m)
	}
	return m
}

// Run measures until ctx ends.
func (m *Meter) Run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		m.look(time.Now())
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (m *Meter) look(now time.Time) {
	counts := m.counts()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.at.IsZero() {
		elapsed := now.Sub(m.at)
		last := between(m.was, counts, elapsed)
		weight := 1 - math.Exp(-elapsed.Seconds()/over.Seconds())
		for _, s := range []struct{ mean, last *float64 }{
			{&m.shares.Processor, &last.Processor},
			{&m.shares.Budget, &last.Budget},
			{&m.shares.Window, &last.Window},
			{&m.shares.Responding, &last.Responding},
		} {
			*s.mean += (*s.last - *s.mean) * weight
		}
	}
	m.was, m.at = counts, now
}

// Shares are those of the last seconds.
func (m *Meter) Shares() Shares {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shares
}

var description = prometheus.NewDesc("waybill_saturation",
	"Share of the process's strength that its load takes, 0 to 1, by what takes most: processor, budget, window. "+
		"Waiting for BigQuery is none of it.", []string{"cause"}, nil)

// Describe implements prometheus.Collector.
func (m *Meter) Describe(out chan<- *prometheus.Desc) { out <- description }

// Collect implements prometheus.Collector: one series, whose label says the cause.
func (m *Meter) Collect(out chan<- prometheus.Metric) {
	value, cause := m.Shares().Of()
	out <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, value, string(cause))
}
