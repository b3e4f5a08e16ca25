package lane

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-data/waybill/pkg/saturation"
	"github.com/waybill-data/waybill/services/ingest/internal/causes"
)

// Metrics are those of all lanes of a process. Labels are topics and partitions of the process's claims, and fixed
// words.
type Metrics struct {
	rows, bytes, batches *prometheus.CounterVec
	settledRows, dropped *prometheus.CounterVec
	skipped              *prometheus.CounterVec
	deadLetters          *prometheus.CounterVec
	opens                *prometheus.CounterVec
	commitFailures       *prometheus.CounterVec
	offsetResets         *prometheus.CounterVec
	settleSeconds        *prometheus.HistogramVec
	// windowWaits is the time that lanes have waited for room in their windows.
	windowWaits saturation.Waits

	mu    sync.Mutex
	lanes map[*Lane]struct{} // those whose claims last
	// ended is the time of lanes that have ended, by topic.
	ended map[string]causes.Totals
}

// WindowWaited is the time that lanes have waited for room in their windows, added up.
func (m *Metrics) WindowWaited() time.Duration { return m.windowWaits.Sum() }

// NewMetrics registers the metrics of lanes, and the budget's when there is one. It panics when they are registered
// already, as prometheus does.
func NewMetrics(registerer prometheus.Registerer, budget *Budget) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waybill_ingest_" + name, Help: help}, labels)
		registerer.MustRegister(v)
		return v
	}
	m := &Metrics{
		rows:        counter("rows_total", "Rows sent to a writer.", "topic"),
		bytes:       counter("row_bytes_total", "Bytes of the rows sent to a writer.", "topic"),
		batches:     counter("batches_total", "Batches sent to a writer.", "topic"),
		settledRows: counter("settled_rows_total", "Rows that BigQuery holds or has refused.", "topic"),
		dropped: counter("dropped_rows_total", "Rows dropped on replay: they are in their tables already.",
			"topic"),
		skipped: counter("skipped_records_total",
			"Records without a row or a dead letter: ignored, or left out before.", "topic"),
		deadLetters: counter("dead_letters_total", "Records produced to the dead-letter topic.", "topic", "reason"),
		opens: counter("lane_calls_total", "Calls of the lane protocol, by how they ended.", "topic",
			"outcome"),
		commitFailures: counter("commit_failures_total", "Awaited commits that failed.", "topic"),
		offsetResets: counter("offset_resets_total",
			"Lanes that went on elsewhere because the records at their position are gone.", "topic"),
		lanes: make(map[*Lane]struct{}),
		ended: make(map[string]causes.Totals),
		settleSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "waybill_ingest_settle_seconds",
			Help: "From the Kafka timestamp of the oldest row of a batch to its settlement.",
			// From a fast append to an outage of an hour.
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600},
			// And within a tenth of any value, for those who ask for protobuf: `make bench`, or Prometheus with native
			// histograms.
			NativeHistogramBucketFactor: 1.1,
		}, []string{"topic"}),
	}
	registerer.MustRegister(m.settleSeconds, (*gauges)(m))
	if budget != nil {
		registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "waybill_ingest_budget_used_bytes",
			Help: "Bytes that records and batches of all lanes take of the budget of lanes; prefetch has one of " +
				"its own.",
		}, func() float64 { return float64(budget.Used()) }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "waybill_ingest_budget_bytes", Help: "The budget of lanes: three quarters of memory.budget.",
		}, func() float64 { return float64(budget.Size()) }))
	}
	return m
}

// laneMetrics are the metrics of one lane, looked up once.
type laneMetrics struct {
	all                           *Metrics
	topic                         string
	rows, bytes, batches          prometheus.Counter
	settledRows, dropped, skipped prometheus.Counter
	commitFailures, offsetResets  prometheus.Counter
	settleSeconds                 prometheus.Observer
}

func (m *Metrics) lane(topic string) laneMetrics {
	for _, reason := range []string{reasonUndecodable, reasonUnknown, reasonRefused, reasonSkipped} {
		m.deadLetters.WithLabelValues(topic, reason) // There from the beginning, so that an increase sees the first.
	}
	return laneMetrics{
		all: m, topic: topic,
		rows:           m.rows.WithLabelValues(topic),
		bytes:          m.bytes.WithLabelValues(topic),
		batches:        m.batches.WithLabelValues(topic),
		settledRows:    m.settledRows.WithLabelValues(topic),
		dropped:        m.dropped.WithLabelValues(topic),
		skipped:        m.skipped.WithLabelValues(topic),
		commitFailures: m.commitFailures.WithLabelValues(topic),
		offsetResets:   m.offsetResets.WithLabelValues(topic),
		settleSeconds:  m.settleSeconds.WithLabelValues(topic),
	}
}

func (m *laneMetrics) ended(o outcome) { m.all.opens.WithLabelValues(m.topic, string(o)).Inc() }

func (m *laneMetrics) letters(letters []DeadLetter) {
	for i := range letters {
		m.all.deadLetters.WithLabelValues(m.topic, letters[i].Reason).Inc()
	}
}

// settled observes a batch.
func (m *laneMetrics) settled(b *batch) {
	m.settledRows.Add(float64(b.rows))
	m.dropped.Add(float64(b.dropped))
	m.skipped.Add(float64(b.skipped))
	if b.oldest >= 0 {
		m.settleSeconds.Observe(max(0, time.Since(time.UnixMicro(b.oldest)).Seconds()))
	}
}
