package lane

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
)

// gauges are what a partition is at, for as long as its claim lasts. They are read off the boards of the lanes when
// somebody asks, so a lane that does nothing, for whatever reason, is shown as truly as one at work.
type gauges Metrics

func gauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("waybill_ingest_"+name, help, []string{"topic", "partition"}, nil)
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

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	now := time.Now()
	for _, l := range (*Metrics)(g).list() {
		s := l.status(now)
		partition := strconv.Itoa(int(s.Partition))
		set := func(d *prometheus.Desc, v float64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.Topic, partition)
		}
		if s.Lag >= 0 {
			set(lagRecords, float64(s.Lag))
			set(lagSeconds, s.LagSeconds)
		}
		set(windowBatches, float64(s.WindowBatches))
		set(windowBytes, float64(s.WindowBytes))
		refused := 0.0
		if l.board.isRefused() {
			refused = 1
		}
		set(laneRefused, refused)
	}
	for topic, times := range (*Metrics)(g).times(now) {
		for c, t := range times {
			out <- prometheus.MustNewConstMetric(laneSeconds, prometheus.CounterValue, t.Seconds(), topic,
				causes.Cause(c).String())
		}
	}
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
