package registry

import "github.com/prometheus/client_golang/prometheus"

// metrics are those of a client. Labels are words of this package.
type metrics struct {
	requests *prometheus.CounterVec
	up       prometheus.Gauge
	waiting  prometheus.Gauge
	cached   prometheus.Gauge
}

// The results of requests.
const (
	resultOK      = "ok"
	resultMissing = "missing"
	resultFailed  = "failed"
)

func newMetrics(registerer prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "waybill_ingest_registry_" + name, Help: help})
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_ingest_registry_requests_total",
			Help: "Requests to the schema registry by result: ok, missing, failed.",
		}, []string{"result"}),
		up:      gauge("up", "1 when the schema registry has responded last, 0 when it has not."),
		waiting: gauge("waiting", "Calls that wait for the schema registry to come back."),
		cached:  gauge("cached_schemas", "Schemas that are kept."),
	}
	for _, result := range []string{resultOK, resultMissing, resultFailed} {
		m.requests.WithLabelValues(result)
	}
	m.up.Set(1)
	if registerer != nil {
		registerer.MustRegister(m.requests, m.up, m.waiting, m.cached)
	}
	return m
}
