package contract

import "github.com/prometheus/client_golang/prometheus"

// metrics are those of contracts whose schemas come from a registry. Labels are topics and contracts of the configuration.
type metrics struct {
	versions *prometheus.GaugeVec
	extra    *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	labels := []string{"topic", "contract"}
	m := &metrics{
		versions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "waybill_ingest_contract_versions", Help: "Versions that a contract has had since the start; 1 until its schema has grown.",
		}, labels),
		extra: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_ingest_schemas_with_more_fields_total",
			Help: "Schemas with fields that the contract has not and does not gain: they are left out of the rows.",
		}, labels),
	}
	if registerer != nil {
		registerer.MustRegister(m.versions, m.extra)
	}
	return m
}
