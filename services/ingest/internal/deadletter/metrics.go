package deadletter

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	letters *prometheus.CounterVec
	retries prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	const ns, sub = "waybill_ingest", "source"
	m := &metrics{
		letters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "dead_letters_total",
			Help: "Dead letters acknowledged by all in-sync replicas, by reason.",
		}, []string{"reason"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "dead_letter_retries_total",
			Help: "Attempts to produce dead letters that failed and were tried again.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.letters, m.retries)
	}
	return m
}
