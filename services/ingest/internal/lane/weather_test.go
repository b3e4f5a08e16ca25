package lane

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
)

var errNobody = errors.New("connection refused")

func testWeather() (*Weather, *logtest.Log) {
	log := new(logtest.Log)
	return NewWeather("dns:///writer:7070", log.Logger()), log
}

// While no writer serves one lane at a time tries, about once a second; the others are woken when it succeeds. It is
// said once, and once that it is over.
func TestOneLaneTriesForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lanes = 500
		w, log := testWeather()
		var (
			away          atomic.Bool
			tries, trying atomic.Int64
			wait          sync.WaitGroup
			back          = make(chan time.Time, lanes)
		)
		away.Store(true)
		for range lanes {
			wait.Go(func() {
				for {
					waited := false
					done := w.await(t.Context(), func(string, time.Time) { waited = true })
					if waited && away.Load() {
						tries.Add(1)
						if trying.Add(1) > 1 {
							t.Error("two lanes try at once")
						}
						time.Sleep(time.Millisecond)
						trying.Add(-1)
					}
					if !away.Load() {
						w.serves()
						done()
						back <- time.Now()
						return
					}
					w.away(errNobody)
					done()
				}
			})
		}
		time.Sleep(time.Minute)
		away.Store(false)
		ended := time.Now()
		wait.Wait()
		for range lanes {
			if late := (<-back).Sub(ended); late > 2*time.Second {
				t.Errorf("a lane came back after %v", late)
			}
		}
		if n := tries.Load(); n < 55 || n > 130 {
			t.Errorf("%d attempts in a minute", n)
		}
		logged := log.Take()
		if strings.Count(logged, "level=WARN") != 2 || strings.Count(logged, "\n") != 2 {
			t.Errorf("log:\n%s", logged)
		}
		for _, text := range []string{
			"no writer serves", "dns:///writer:7070", "connection refused", "a writer serves again", "lasted=1m",
			"tries=",
		} {
			if !strings.Contains(logged, text) {
				t.Errorf("the log lacks %q:\n%s", text, logged)
			}
		}
	})
}

// A writer that is just going, with another beside it, is no outage to tell of.
func TestShortOutageIsNotSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, log := testWeather()
		w.away(errNobody)
		began := time.Now()
		done := w.await(t.Context(), func(string, time.Time) {})
		w.serves()
		done()
		if took := time.Since(began); took > firstTry {
			t.Errorf("the first attempt came after %v", took)
		}
		w.await(t.Context(), func(string, time.Time) { t.Error("waits for a writer that serves") })()
		if logged := log.Take(); logged != "" {
			t.Errorf("log: %s", logged)
		}
	})
}

// A claim that ends while its lane waits, or while it is its turn, holds up nobody.
func TestLaneThatEndsInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := testWeather()
		w.away(errNobody)
		ended, end := context.WithCancel(t.Context())
		end()
		for range 3 {
			w.await(ended, func(string, time.Time) {})()
		}
		began := time.Now()
		w.await(t.Context(), func(string, time.Time) {})()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the turn came after %v", took)
		}
	})
}

// A back-off of a lane's own ends when the writers are back.
func TestBackoffEndsWithTheOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := testWeather()
		if w.back() != nil {
			t.Error("an outage without a fault")
		}
		w.away(errNobody)
		time.AfterFunc(time.Second, w.serves)
		b := backoff{min: time.Hour, max: time.Hour}
		began := time.Now()
		b.wait(t.Context(), w.back())
		if took := time.Since(began); took != time.Second {
			t.Errorf("waited %v", took)
		}
	})
}

// A storm is said once for all lanes that learn of it, and its end once the last of them is out of it.
func TestStormIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, log := testWeather()
		const cause = "RESOURCE_EXHAUSTED for t"
		for range 3 {
			w.stormy(cause, "quota", time.Now())
		}
		w.stormy("another", "", time.Now())
		if logged := log.Take(); strings.Count(logged, "level=WARN") != 2 || strings.Count(logged, cause) != 1 ||
			!strings.Contains(logged, "error=quota") {
			t.Errorf("log:\n%s", logged)
		}
		time.Sleep(90 * time.Second)
		w.calm(cause)
		w.calm(cause)
		if logged := log.Take(); logged != "" {
			t.Errorf("over too early: %s", logged)
		}
		w.calm(cause)
		if logged := log.Take(); !strings.Contains(logged, "lasted=1m30s lanes=3") {
			t.Errorf("log: %s", logged)
		}
		w.stormy(cause, "", time.Now())
		if logged := log.Take(); !strings.Contains(logged, cause) {
			t.Error("the next storm is not said")
		}
	})
}

// An outage is said once a second attempt has failed, and not when that is the one which succeeds.
func TestOutageIsSaidAfterASecondAttempt(t *testing.T) {
	for _, back := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w, log := testWeather()
			w.away(errNobody)
			w.await(t.Context(), func(string, time.Time) {})()
			if logged := log.Take(); logged != "" {
				t.Errorf("after one attempt: %s", logged)
			}
			done := w.await(t.Context(), func(string, time.Time) {})
			if back {
				w.serves()
			}
			done()
			if logged := log.Take(); (logged == "") != back {
				t.Errorf("back %v: %s", back, logged)
			}
		})
	}
}
