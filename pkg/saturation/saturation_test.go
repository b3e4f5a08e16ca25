package saturation

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheLargestShareIsTheSaturation(t *testing.T) {
	for _, c := range []struct {
		shares Shares
		value  float64
		cause  Cause
	}{
		{Shares{}, 0, Processor},
		{Shares{Processor: 0.7, Budget: 0.2}, 0.7, Processor},
		{Shares{Processor: 0.2, Budget: 0.9}, 0.9, Budget},
		{Shares{Processor: 0.2, Budget: 0.3, Window: 0.5}, 0.5, Window},
		// All of the waiting is BigQuery's.
		{Shares{Processor: 0.1, Budget: 1, Window: 1, Responding: 1}, 0.1, Processor},
		// Half of it is.
		{Shares{Processor: 0.1, Budget: 0.8, Responding: 0.5}, 0.4, Budget},
	} {
		if value, cause := c.shares.Of(); value != c.value || cause != c.cause {
			t.Errorf("%+v: %v by %s, want %v by %s", c.shares, value, cause, c.value, c.cause)
		}
	}
}

func TestSaturationIsAShareWhateverIsCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := func(name string) time.Duration {
			return time.Duration(rapid.Int64Range(-1e12, 1e12).Draw(t, name))
		}
		counts := func(name string) Counts {
			return Counts{
				Processor: d(name), Processors: rapid.IntRange(-1, 8).Draw(t, "processors"), Budget: d(name),
				Window: d(name), Lanes: rapid.IntRange(0, 9).Draw(t, "lanes"), Settling: d(name), Responding: d(name),
			}
		}
		if v, _ := between(counts("was"), counts("now"), d("elapsed")).Of(); v < 0 || v > 1 {
			t.Fatal(v)
		}
	})
}

// A budget that is full for half of the time shows as 0.5 after a while, and BigQuery's part of it does not.
func TestAMeterFollowsWhatIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		began, responding := time.Now(), 0.0
		counts := func() Counts {
			mu.Lock()
			defer mu.Unlock()
			passed := time.Since(began)
			return Counts{
				Processor: passed / 5, Processors: 2, Budget: passed / 2, Lanes: 4,
				Settling: passed, Responding: time.Duration(responding * float64(passed)),
			}
		}
		registry := prometheus.NewRegistry()
		m := New(counts, registry)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); m.Run(ctx) }()
		time.Sleep(2 * time.Minute)
		if v, cause := m.Shares().Of(); cause != Budget || v < 0.49 || v > 0.51 {
			t.Errorf("%v by %s", v, cause)
		}
		families, err := registry.Gather()
		if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 ||
			families[0].GetMetric()[0].GetLabel()[0].GetValue() != "budget" {
			t.Errorf("%v, %v", families, err)
		}
		mu.Lock()
		began, responding = time.Now(), 1
		mu.Unlock()
		time.Sleep(3 * time.Minute)
		if v, cause := m.Shares().Of(); cause != Processor || v > 0.11 {
			t.Errorf("while BigQuery takes all of the time: %v by %s", v, cause)
		}
		cancel()
		<-done
	})
}

func TestWaitsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Waits
		w.Begin()
		time.Sleep(time.Second)
		w.Begin()
		time.Sleep(time.Second)
		w.End()
		time.Sleep(time.Second)
		w.End()
		time.Sleep(time.Hour)
		if sum := w.Sum(); sum != 4*time.Second {
			t.Errorf("%v", sum)
		}
	})
}
