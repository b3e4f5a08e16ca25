package contract

import (
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	// maxTypeLabels bounds the types of a topic that have a label of their own. Anybody may write a header.
	maxTypeLabels = 50
	// maxTypeLabelBytes bounds such a label, in bytes.
	maxTypeLabelBytes = 200

	typeMissing = "(none)"
	typeOther   = "other"
)

// Unknowns counts the records whose type no contract takes, by topic and type: the first fifty types of a topic have a
// label each, the others share one. Safe for concurrent use.
type Unknowns struct {
	records *prometheus.CounterVec

	mu    sync.Mutex
	types map[string]map[string]bool // by topic
}

// NewUnknowns registers the metric. It panics when it is registered already, as prometheus does.
func NewUnknowns(registerer prometheus.Registerer) *Unknowns {
	u := &Unknowns{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_ingest_unknown_type_records_total",
			Help: "Records whose type no contract takes, read again after a replay included. The first 50 types " +
				"of a topic have a label each.",
		}, []string{"topic", "type"}),
		types: map[string]map[string]bool{},
	}
	registerer.MustRegister(u.records)
	return u
}

// counted is what a counter is at.
func counted(c prometheus.Counter) uint64 {
	var d dto.Metric
	if c.Write(&d) != nil {
		return 0
	}
	return uint64(d.GetCounter().GetValue())
}

// Topic counts for one lane. Not safe for concurrent use.
func (u *Unknowns) Topic(name string) *UnknownTypes {
	return &UnknownTypes{all: u, topic: name, seen: map[string]prometheus.Counter{}}
}

// UnknownTypes counts for one lane.
type UnknownTypes struct {
	all   *Unknowns
	topic string
	seen  map[string]prometheus.Counter
}

// Count counts a record by its type; nil is a record without one.
func (t *UnknownTypes) Count(itemType []byte) {
	c, ok := t.seen[string(itemType)]
	if !ok || itemType == nil {
		var own bool
		if c, own = t.all.counter(t.topic, itemType); own {
			t.seen[string(itemType)] = c
		}
	}
	c.Inc()
}

// counter is that of a type; own is false when it is not the type's alone.
func (u *Unknowns) counter(topic string, itemType []byte) (c prometheus.Counter, own bool) {
	switch {
	case itemType == nil:
		return u.records.WithLabelValues(topic, typeMissing), false
	case len(itemType) > maxTypeLabelBytes || !utf8.Valid(itemType):
		return u.records.WithLabelValues(topic, typeOther), false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	known := u.types[topic]
	if known == nil {
		known = map[string]bool{}
		u.types[topic] = known
	}
	if !known[string(itemType)] {
		if len(known) == maxTypeLabels {
			return u.records.WithLabelValues(topic, typeOther), false
		}
		known[string(itemType)] = true
	}
	return u.records.WithLabelValues(topic, string(itemType)), true
}

// metrics are those of contracts. Labels are topics and contracts of the
// configuration.
type metrics struct {
	versions *prometheus.GaugeVec
	extra    *prometheus.CounterVec
	far      *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	labels := []string{"topic", "contract"}
	m := &metrics{
		versions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "waybill_ingest_contract_versions",
			Help: "Versions that a contract has had since the start; 1 until its schema has grown.",
		}, labels),
		extra: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_ingest_schemas_with_more_fields_total",
			Help: "Schemas with fields that the contract has not and does not gain: they are left out of the rows.",
		}, labels),
	}
	m.far = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waybill_ingest_far_dates_total",
		Help: "Dates and times that were far away by their contract and became null or a bound, those " +
			"of records read again included.",
	}, labels)
	if registerer != nil {
		registerer.MustRegister(m.versions, m.extra, m.far)
	}
	return m
}
