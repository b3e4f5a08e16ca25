package lane

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
)

// gauges are what a partition is at, for as long as its claim lasts. They are read off the boards of the lanes when
// somebody asks, so a lane that does nothing, for whatever reason, is shown as truly as one at work.
type gauges Metrics

func gauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("waybill_ingest_"+name, help, []string{topicLabel, partitionLabel}, nil)
}

var (
	lagRecords = gauge("lag_records",
		"Offsets between the settled position and the end of the partition; absent until both are known.")
	lagSeconds = gauge("lag_seconds", "Age of the first record that is not settled by its Kafka timestamp; "+
		"where that is not known, how long the position has not moved while the end was past it.")
	windowBatches = gauge("window_batches", "Batches sent and not settled.")
	windowBytes   = gauge("window_bytes", "Bytes of rows sent and not settled.")
	laneRefused   = gauge("lane_refused", "1 while the lane cannot go on without an operator.")
)

var _ prometheus.Collector = (*gauges)(nil)

// Describe implements prometheus.Collector.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lagRecords, lagSeconds, windowBatches, windowBytes, laneRefused, laneSeconds} {
		out <- d
	}
}

// Collect implements prometheus.Collector. What the gauges of a partition share is made once: there are thousands of
// partitions, and several gauges of each.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	now := time.Now()
	for _, l := range (*Metrics)(g).list() {
		s := l.status(now)
		labels := []*dto.LabelPair{
			{Name: &partitionLabel, Value: proto.String(strconv.Itoa(int(s.Partition)))},
			{Name: &topicLabel, Value: &s.Topic},
		}
		refused := 0.0
		if l.board.isRefused() {
			refused = 1
		}
		all := [...]partitionGauge{
			{windowBatches, float64(s.WindowBatches), labels},
			{windowBytes, float64(s.WindowBytes), labels},
			{laneRefused, refused, labels},
			{lagRecords, float64(s.Lag), labels},
			{lagSeconds, s.LagSeconds, labels},
		}
		known := all[:]
		if s.Lag < 0 {
			known = all[:3]
		}
		for i := range known {
			out <- &known[i]
		}
	}
	for topic, times := range (*Metrics)(g).times(now) {
		for c, t := range times {
			out <- prometheus.MustNewConstMetric(laneSeconds, prometheus.CounterValue, t.Seconds(), topic,
				causes.Cause(c).String())
		}
	}
}

// partitionGauge is a gauge of a partition. Its labels are by name, as prometheus wants them.
type partitionGauge struct {
	desc   *prometheus.Desc
	value  float64
	labels []*dto.LabelPair
}

var topicLabel, partitionLabel = "topic", "partition"

// Desc implements prometheus.Metric.
func (g *partitionGauge) Desc() *prometheus.Desc { return g.desc }

// Write implements prometheus.Metric.
func (g *partitionGauge) Write(out *dto.Metric) error {
	out.Label, out.Gauge = g.labels, &dto.Gauge{Value: &g.value}
	return nil
}

// list is the lanes whose claims last.
func (m *Metrics) list() []*Lane {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.lanes))
}

func (m *Metrics) add(l *Lane) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lanes[l] = struct{}{}
}

func (m *Metrics) remove(l *Lane) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lanes, l)
	topic := l.Partition.Topic()
	m.ended[topic] = m.ended[topic].Plus(l.board.time.Totals(time.Now()))
}
