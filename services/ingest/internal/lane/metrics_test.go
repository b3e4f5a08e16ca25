package lane

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A series that begins with its first dead letter has no increase by it: all reasons are there when a lane begins.
func TestDeadLettersAreCountedFromTheBeginning(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics := NewMetrics(registry, nil)
	metrics.lane("orders")
	want := "# HELP waybill_ingest_dead_letters_total Records produced to the dead-letter topic.\n" +
		"# TYPE waybill_ingest_dead_letters_total counter\n"
	for _, reason := range []string{"refused", "skipped", "undecodable", "unknown_type"} {
		want += `waybill_ingest_dead_letters_total{reason="` + reason + `",topic="orders"} 0` + "\n"
	}
	const name = "waybill_ingest_dead_letters_total"
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), name); err != nil {
		t.Error(err)
	}
	one := metrics.lane("orders") // as when a lane opens anew
	one.letters([]DeadLetter{{Reason: reasonRefused}})
	metrics.lane("orders")
	if n := testutil.ToFloat64(metrics.deadLetters.WithLabelValues("orders", reasonRefused)); n != 1 {
		t.Errorf("%v dead letters after the lane has opened anew, want 1", n)
	}
}
