package bench

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/waybill-data/waybill/e2e/stack"
)

// histogram is a native one as the client library writes it.
func histogram(t *testing.T, values ...float64) stack.Metrics {
	t.Helper()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", NativeHistogramBucketFactor: 1.1})
	for _, v := range values {
		h.Observe(v)
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	return stack.Metrics{"waybill_ingest_settle_seconds": {Metric: []*dto.Metric{&m}}}
}

// A quantile is never less than the value it stands for, and at most a tenth more.
func TestQuantiles(t *testing.T) {
	var values []float64
	for i := 1; i <= 1000; i++ {
		values = append(values, float64(i)/1000)
	}
	got := settleTimes(histogram(t, values...))
	if got.count() != 1000 {
		t.Fatalf("%v observations", got.count())
	}
	for _, c := range []struct{ q, want float64 }{{0.5, 0.5}, {0.99, 0.99}, {1, 1}, {0.001, 0.001}} {
		if v := got.quantile(c.q); v < c.want || v > c.want*1.1 {
			t.Errorf("quantile %v is %v, want %v or a little more", c.q, v, c.want)
		}
	}
}

func TestQuantilesSince(t *testing.T) {
	before, after := settleTimes(histogram(t, 5, 5, 5, 0)), settleTimes(histogram(t, 5, 5, 5, 0, 0.1, 0.2, 0))
	since := after.minus(before)
	if since.count() != 3 {
		t.Fatalf("%v observations since, want 3: %v", since.count(), since)
	}
	if v := since.quantile(1); math.Abs(v-0.2) > 0.02 {
		t.Errorf("the longest is %v, want about 0.2", v)
	}
	if v := since.quantile(0.3); v > 1e-9 {
		t.Errorf("the shortest is %v, want nothing", v)
	}
	if v := (times{}).quantile(0.5); v != 0 {
		t.Errorf("a quantile of nothing is %v", v)
	}
}
