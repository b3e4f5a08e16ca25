package writers

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

// Metrics are those of the writers as one ingest sees them. Labels are states.
type Metrics struct {
	writers *prometheus.GaugeVec
	moves   prometheus.Counter
}

// NewMetrics registers the metrics; nil registers nowhere.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	f := promauto.With(registry)
	return &Metrics{
		writers: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "waybill_ingest_writers", Help: "Writers known, by state: serving, draining, leaving, away, " +
				"silent, unfit.",
		}, []string{"state"}),
		moves: f.NewCounter(prometheus.CounterOpts{
			Name: "waybill_ingest_lane_moves_total", Help: "Lanes that were told to go to another writer.",
		}),
	}
}

// state counts a writer whose state changes; the empty state is none.
func (m *Metrics) state(from, to placement.State) {
	if from != "" {
		m.writers.WithLabelValues(string(from)).Dec()
	}
	if to != "" {
		m.writers.WithLabelValues(string(to)).Inc()
	}
}
