package source

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what the source counts. Labels are bounded: results and states are names of this package, never topics or
// offsets.
type Metrics struct {
	commits       *prometheus.CounterVec
	commitSeconds prometheus.Histogram
	doubtful      prometheus.Counter
	generations   prometheus.Counter
	claims        prometheus.Gauge
	overdue       prometheus.Counter
	fetched       prometheus.Counter
	fetchErrors   prometheus.Counter
	pauses        prometheus.Counter
	topics        *prometheus.GaugeVec
	connected     prometheus.Gauge

	// budget is that of the generation under way.
	budget atomic.Pointer[prefetch]
}

// NewMetrics registers the source's metrics; nil registers nothing.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	const ns, sub = "waybill_ingest", "source"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	m := &Metrics{
		commits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "commits_total",
			Help: "Offset commits of one partition by result: ok, retried, fenced, failed, doubtful.",
		}, []string{"result"}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: sub, Name: "commit_seconds",
			Help:    "Round trip of one offset commit request, which may carry many partitions.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}),
		doubtful: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Name: "doubtful_commits_total",
			Help: "Offset commit requests that were sent and got no response; each makes this member join the group " +
				"again.",
		}),
		generations: counter("generations_total", "Group generations this member has been part of; each is one "+
			"rebalance."),
		claims:      gauge("claims", "Partitions this member owns now."),
		overdue:     counter("overdue_claims_total", "Revoked claims whose lane did not drain within the deadline."),
		fetched:     counter("fetched_bytes_total", "Bytes of records that brokers sent, as they came."),
		fetchErrors: counter("fetch_errors_total", "Fetches that failed and were tried again."),
		pauses:      counter("pauses_total", "Times a partition stopped fetching because its lane was slower."),
		topics: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: sub, Name: "topics",
			Help: "Configured topics by state: reading, missing, refused.",
		}, []string{"state"}),
		connected: gauge("connected", "1 when the brokers respond, 0 when they do not."),
	}
	prefetched := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: ns, Subsystem: sub, Name: "prefetched_bytes",
		Help: "Bytes fetched and not yet taken by a lane, overhead included.",
	}, func() float64 {
		if p := m.budget.Load(); p != nil {
			return float64(p.size())
		}
		return 0
	})
	if reg != nil {
		reg.MustRegister(prefetched, m.commits, m.commitSeconds, m.doubtful, m.generations, m.claims, m.overdue,
			m.fetched, m.fetchErrors, m.pauses, m.topics, m.connected)
	}
	return m
}
