package bench

import (
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/waybill-data/waybill/e2e/stack"
)

// times is a histogram of durations in seconds: how many fell into each bucket, by the bucket's bounds.
type times map[bounds]float64

type bounds struct{ low, high float64 }

// settleTimes is the histogram of waybill_ingest_settle_seconds, all topics together.
func settleTimes(m stack.Metrics) times {
	all := times{}
	for _, one := range m["waybill_ingest_settle_seconds"].GetMetric() {
		all.add(one.GetHistogram())
	}
	return all
}

// add counts what a native histogram holds. Its buckets grow by a constant factor; spans say which of them are there,
// deltas how each count differs from the one before (prometheus.client_model, message Histogram).
func (t times) add(h *dto.Histogram) {
	if n := h.GetZeroCount(); n > 0 {
		t[bounds{0, h.GetZeroThreshold()}] += float64(n)
	}
	base := math.Exp2(math.Exp2(-float64(h.GetSchema())))
	index, count, delta := int32(0), int64(0), 0
	deltas := h.GetPositiveDelta()
	for _, span := range h.GetPositiveSpan() {
		index += span.GetOffset()
		for range span.GetLength() {
			if delta == len(deltas) {
				return
			}
			count += deltas[delta]
			delta++
			if count > 0 {
				t[bounds{math.Pow(base, float64(index-1)), math.Pow(base, float64(index))}] += float64(count)
			}
			index++
		}
	}
}

// minus is what came since an earlier reading.
func (t times) minus(earlier times) times {
	since := times{}
	for b, n := range t {
		if more := n - earlier[b]; more > 0 {
			since[b] = more
		}
	}
	return since
}

func (t times) count() float64 {
	n := 0.0
	for _, c := range t {
		n += c
	}
	return n
}

// quantile is the upper bound of the bucket that holds the q-th part, in seconds: never less than the truth, and at
// most a tenth more. It is 0 when there is nothing.
func (t times) quantile(q float64) float64 {
	ordered := make([]bounds, 0, len(t))
	for b := range t {
		ordered = append(ordered, b)
	}
	slices.SortFunc(ordered, func(a, b bounds) int {
		if a.high < b.high {
			return -1
		}
		return 1
	})
	rank, seen := q*t.count(), 0.0
	for _, b := range ordered {
		if seen += t[b]; seen >= rank {
			return b.high
		}
	}
	return 0
}

// SettleQuantile is a quantile of the times that rows took to settle between two readings of an ingest, in seconds; 0
// when none did.
func SettleQuantile(from, to stack.Metrics, q float64) float64 {
	return settleTimes(to).minus(settleTimes(from)).quantile(q)
}

// Settles is how many batches settled between two readings of an ingest.
func Settles(from, to stack.Metrics) float64 { return settleTimes(to).minus(settleTimes(from)).count() }
