package lane

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics of all lanes of a process. Labels are bounded: outcomes and gRPC codes are few, tables are configured.
type Metrics struct {
	lanes    prometheus.Gauge
	opens    *prometheus.CounterVec
	ends     *prometheus.CounterVec
	batches  prometheus.Counter
	bytes    prometheus.Counter
	rows     *prometheus.CounterVec
	dropped  prometheus.Counter
	settle   prometheus.Histogram
	barriers prometheus.Counter
	leftOut  prometheus.Counter
	refused  prometheus.Counter
	held     prometheus.Gauge
	relieved *prometheus.CounterVec
	foreign  *prometheus.CounterVec

	factory promauto.Factory
}

// NewMetrics registers the metrics; nil registers nowhere.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	const ns = "waybill_writer_"
	f := promauto.With(registry)
	m := &Metrics{
		lanes: f.NewGauge(prometheus.GaugeOpts{Name: ns + "lanes", Help: "Lanes whose call is open."}),
		opens: f.NewCounterVec(prometheus.CounterOpts{
			Name: ns + "lane_opens_total",
			Help: "Lanes opened, by outcome: new (no checkpoint), adopted (clean checkpoint), fenced (streams " +
				"finalized), refused.",
		}, []string{"outcome"}),
		ends: f.NewCounterVec(prometheus.CounterOpts{
			Name: ns + "lane_ends_total",
			Help: "Lanes ended, by gRPC code; OK is a clean close.",
		}, []string{"code"}),
		batches: f.NewCounter(prometheus.CounterOpts{Name: ns + "batches_total", Help: "Batches settled."}),
		bytes: f.NewCounter(prometheus.CounterOpts{
			Name: ns + "row_bytes_total", Help: "Encoded bytes of the rows settled.",
		}),
		rows: f.NewCounterVec(prometheus.CounterOpts{Name: ns + "rows_total", Help: "Rows settled, by table."},
			[]string{"table"}),
		dropped: f.NewCounter(prometheus.CounterOpts{
			Name: ns + "rows_dropped_total", Help: "Rows that ingest dropped on replay because a table held them.",
		}),
		settle: f.NewHistogram(prometheus.HistogramOpts{
			Name: ns + "settle_seconds", Help: "Time from receiving a batch to settling it.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 16),
		}),
		barriers: f.NewCounter(prometheus.CounterOpts{
			Name: ns + "barriers_total", Help: "Checkpoints sent that had to be durable before going on.",
		}),
		leftOut: f.NewCounter(prometheus.CounterOpts{
			Name: ns + "left_out_total", Help: "Records that ingest left out of the tables.",
		}),
		refused: f.NewCounter(prometheus.CounterOpts{
			Name: ns + "rows_refused_total",
			Help: "Rows that BigQuery refused.",
		}),
		held: f.NewGauge(prometheus.GaugeOpts{
			Name: ns + "held_bytes", Help: "Encoded bytes of rows received and not settled.",
		}),
		relieved: f.NewCounterVec(prometheus.CounterOpts{
			Name: ns + "lanes_relieved_total",
			Help: "Lanes ended to make room, by what was full: budget (the lane waited for its ingest), memory " +
				"(more was received than twice the budget).",
		}, []string{"full"}),
		foreign: f.NewCounterVec(prometheus.CounterOpts{
			Name: ns + "checkpoints_foreign_total",
			Help: "Checkpoints that no key of checkpoint.keys has sealed for the lane: unsigned and forged ones are " +
				"refused, accepted ones are unsigned and taken by checkpoint.accept_unsigned.",
		}, []string{"what"}),
		factory: f,
	}
	for _, what := range []string{"unsigned", "forged", "accepted"} {
		m.foreign.WithLabelValues(what)
	}
	for _, full := range []string{reliefOfBudget, reliefOfMemory} {
		m.relieved.WithLabelValues(full) // there from the start, so that a rate is known
	}
	return m
}

// What was full when a lane was ended to make room.
const (
	reliefOfBudget = "budget"
	reliefOfMemory = "memory"
)

// watch registers what the budget has.
func (m *Metrics) watch(b *Budget) {
	const ns = "waybill_writer_budget_"
	m.factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: ns + "bytes", Help: "Bytes of rows that the lanes may hold together (memory.budget).",
	},
		func() float64 { return float64(b.Limit()) })
	m.factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: ns + "used_bytes",
		Help: "Bytes of the budget that lanes hold: rows let in and not settled, and what was left out and waits.",
	},
		func() float64 { return float64(b.Used()) })
	m.factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: ns + "waiting", Help: "Messages received that wait for room in the budget.",
	},
		func() float64 { return float64(b.waiting()) })
}
