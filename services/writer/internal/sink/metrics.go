package sink

import (
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

// metrics are the sink's numbers. Labels are bounded: codes are BigQuery's own.
type metrics struct {
	appends    prometheus.Counter
	rows       prometheus.Counter
	bytes      prometheus.Counter
	inFlight   prometheus.Gauge
	open       prometheus.Gauge
	latency    prometheus.Histogram
	faults     *prometheus.CounterVec
	reconnects prometheus.Counter
	created    prometheus.Counter
	finalized  prometheus.Counter
	tables     prometheus.Counter
	columns    *prometheus.CounterVec
	waits      prometheus.Histogram
	calls      prometheus.Gauge
	troubles   *prometheus.GaugeVec
}

// alertedCodes are the faults that alert rules select: they are there from the beginning as well.
var alertedCodes = []string{codeName(codes.ResourceExhausted), codeExtraFields}

func newMetrics(registry prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "waybill", Subsystem: "writer", Name: name, Help: help,
		})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "waybill", Subsystem: "writer", Name: name,
			Help: help,
		})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "waybill", Subsystem: "writer", Name: name, Help: help, Buckets: buckets,
		})
	}
	m := &metrics{
		appends:  counter("appends_total", "Append requests sent to BigQuery, those sent again included."),
		rows:     counter("appended_rows_total", "Rows that BigQuery confirmed."),
		bytes:    counter("append_bytes_total", "Bytes of rows sent to BigQuery, those sent again included."),
		inFlight: gauge("append_in_flight_bytes", "Bytes of rows queued or under way to BigQuery."),
		open:     gauge("append_streams", "Write streams open for appending."),
		latency: histogram("append_seconds", "Time from sending an append request to its confirmation.",
			prometheus.ExponentialBuckets(0.001, 2, 17)),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "waybill", Subsystem: "writer", Name: "faults_total",
			Help: "What BigQuery said no to, by its code. Most are tried again; a rising rate is worth a look.",
		}, []string{"code"}),
		reconnects: counter("append_reconnects_total", "Append connections opened in place of another."),
		created:    counter("streams_created_total", "Write streams created."),
		finalized:  counter("streams_finalized_total", "Write streams finalized."),
		tables:     counter("tables_created_total", "Tables created."),
		columns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "waybill", Subsystem: "writer", Name: "columns_changed_total",
			Help: "Columns that additive evolution changed, by what it did: added, or relaxed from REQUIRED to " +
				"NULLABLE.",
		}, []string{"change"}),
		waits: histogram("stream_create_wait_seconds", "Time that creating a write stream waited for the rate limit.",
			prometheus.ExponentialBuckets(0.001, 4, 9)),
	}
	m.calls = gauge("append_calls",
		"AppendRows calls open: one a write stream, one for up to 16 lanes of a default stream.")
	m.troubles = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "waybill", Subsystem: "writer", Name: "troubled_tables",
		Help: "Tables that take nothing now, by state: quota, unavailable or schema (tried again until it works), " +
			"refused (needs an operator).",
	}, []string{"state"})
	for _, state := range []string{stateQuota, stateUnavailable, stateSchema, stateRefused} {
		m.troubles.WithLabelValues(state)
	}
	for _, change := range []string{added, relaxed} {
		m.columns.WithLabelValues(change) // There from the beginning, so that a rate sees the first.
	}
	for _, code := range alertedCodes {
		m.faults.WithLabelValues(code)
	}
	registry.MustRegister(m.appends, m.rows, m.bytes, m.inFlight, m.open, m.latency, m.faults, m.reconnects, m.created,
		m.finalized,
		m.tables, m.columns, m.waits, m.calls, m.troubles)
	return m
}
