package lane

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A lane that cannot open tells how far it is behind, in records and in time, and what it waits for; and it is back at
// once.
func TestStatusWhileNoWriterServes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.model.setAway(true)
		w.produceRows("a", 2000)
		p := w.start(nil)
		time.Sleep(time.Second)
		p.lane.Look()
		for range 20 {
			time.Sleep(3 * time.Second)
			p.lane.Look()
		}
		synctest.Wait()
		s := p.lane.Status()
		if s.State != Waiting || !strings.Contains(s.WaitingFor, "no writer serves at pipe") ||
			!strings.Contains(s.WaitingFor, "nobody is here") {
			t.Errorf("status %+v", s)
		}
		if since := time.Since(s.WaitingSince); since < time.Minute || since > 62*time.Second {
			t.Errorf("waits for %v", since)
		}
		if s.Lag != 2000 || s.LagSeconds < 59 || s.LagSeconds > 61 {
			t.Errorf("lag %d, %v s", s.Lag, s.LagSeconds)
		}
		if why := p.lane.Stuck(); !strings.Contains(why, "no writer serves") {
			t.Errorf("stuck by %q", why)
		}
		if n := w.model.tries; n < 50 || n > 130 {
			t.Errorf("%d attempts within a minute", n)
		}
		w.model.setAway(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if s := p.lane.Status(); s.State != Open || s.Lag != 0 || s.LagSeconds != 0 || s.WaitingFor != "" ||
			p.lane.Stuck() != "" {
			t.Errorf("3 s after: %+v, stuck by %q", s, p.lane.Stuck())
		}
		w.settle()
		w.verify()
	})
}

// A writer that settles nothing: the lag is that of what is sent and not settled, and of what comes in, aged by the
// oldest record.
func TestLagWhileNothingSettles(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.start(nil)
		w.log.produce("a", "settled")
		w.settle()
		w.model.mu.Lock()
		w.model.latency = time.Hour
		w.model.mu.Unlock()
		time.Sleep(10 * time.Second)
		if s := p.lane.Status(); s.Lag != 0 || s.LagSeconds != 0 {
			t.Fatalf("at rest: lag %d, %v s", s.Lag, s.LagSeconds)
		}
		w.produceRows("a", 10)
		time.Sleep(5 * time.Second)
		w.produceRows("b", 5)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := p.lane.Status(); s.State != Open || s.Position != 1 || s.Lag != 15 || math.Abs(s.LagSeconds-10) > 0.01 {
			t.Errorf("status %+v", s)
		}
		p.kill()
		<-p.done
	})
}

// What is known of the first record not settled outlives the call, while the position stays.
func TestLagSecondsOutliveTheCall(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.model.latency = time.Hour
		p := w.start(nil)
		w.log.produce("a", "waits")
		time.Sleep(10 * time.Second)
		w.model.setAway(true)
		p.cut()
		time.Sleep(50 * time.Second)
		if s := p.lane.Status(); s.State != Waiting || s.Lag != 1 || math.Abs(s.LagSeconds-60) > 0.01 {
			t.Errorf("status %+v", s)
		}
		p.kill()
		<-p.done
	})
}

// A lane that is refused lags behind as well, says why, and stays refused for whoever asks until it has opened, however
// often it is tried again.
func TestStatusWhileRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.produceRows("a", 5)
		p := w.start(func(p *process) { p.lane.Config.Reset = None })
		w.log.mu.Lock()
		w.log.committed = Pair{2, "{"} // the writer refuses such a checkpoint
		w.log.mu.Unlock()
		for range 100 {
			time.Sleep(7 * time.Second)
			if !p.lane.board.isRefused() || p.lane.Stuck() == "" {
				t.Fatalf("not refused: %+v", p.lane.Status())
			}
		}
		if s := p.lane.Status(); s.Lag != 3 || s.Position != 2 {
			t.Errorf("status %+v", s)
		}
		w.log.mu.Lock()
		w.log.committed = Pair{2, ""}
		w.log.mu.Unlock()
		time.Sleep(5 * time.Minute)
		if s := p.lane.Status(); p.lane.board.isRefused() || s.State != Open || p.lane.Stuck() != "" {
			t.Errorf("status %+v", s)
		}
	})
}

// Dead letters that cannot be written are the state of the lane, and after a while it counts as stuck.
func TestStatusWhileDeadLettersWait(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.log.produce("a", "bad")
		w.produceRows("a", 3)
		p := w.start(func(p *process) {
			p.member.slow = time.Minute
			p.member.denied = make(chan struct{})
		})
		time.Sleep(time.Second)
		if s := p.lane.Status(); s.State != Opening { // its first commit takes a minute
			t.Fatalf("status %+v", s)
		}
		time.Sleep(70 * time.Second)
		p.lane.Look()
		if s := p.lane.Status(); s.State != Stalled || s.WaitingFor != "the right to write" || s.Lag != 4 {
			t.Errorf("status %+v", s)
		}
		close(p.member.denied)
		time.Sleep(61 * time.Second) // it is slow
		p.lane.Look()
		if s := p.lane.Status(); s.State != Open || s.WaitingFor != "" || !s.WaitingSince.IsZero() {
			t.Errorf("status %+v", s)
		}
	})
}

// Trouble makes a lane stuck once it has lasted; waiting for BigQuery does not: the writer does what can be done.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b board
		b.enter(Open)
		for w, stuck := range map[wait]bool{
			forWriter: true, forBigQuery: false, forLetters: true, forRecords: true, forSchema: true,
		} {
			b.waitsFor(w, "something", time.Time{})
			time.Sleep(time.Minute - time.Nanosecond)
			b.waitsFor(w, "something else", time.Time{}) // it is the same wait, told anew
			if why := b.stuck(time.Now(), time.Minute); why != "" {
				t.Errorf("%d: stuck too early by %q", w, why)
			}
			time.Sleep(time.Nanosecond)
			if why := b.stuck(time.Now(), time.Minute); (why == "something else") != stuck {
				t.Errorf("%d: stuck by %q", w, why)
			}
			b.waitsFor(w, "", time.Time{})
		}
		// Calls that break one after the other, or never open.
		b.update(func(s *Status) { s.LastError = "broken" })
		b.enter(Waiting)
		time.Sleep(30 * time.Second)
		b.enter(Opening)
		time.Sleep(30 * time.Second)
		if why := b.stuck(time.Now(), time.Minute); why != "broken" {
			t.Errorf("stuck by %q", why)
		}
		b.enter(Open)
		b.enter(Draining)
		time.Sleep(time.Hour)
		if why := b.stuck(time.Now(), time.Minute); why != "" {
			t.Errorf("stuck by %q", why)
		}
		b.update(func(s *Status) { s.LastError = "" })
		b.enter(Refused)
		if why := b.stuck(time.Now(), time.Minute); why != "refused" {
			t.Errorf("stuck by %q", why)
		}
	})
}

// How long a lane lags behind: by the first record where it is known, else since the end was seen past the position,
// from which each move starts anew.
func TestLagSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b board
		b.moved(5, -1)
		at := func(records int64) time.Duration { return b.lag(records, time.Now()) }
		if d := at(0); d != 0 {
			t.Errorf("%v without a lag", d)
		}
		time.Sleep(time.Minute)
		if d := at(3); d != 0 {
			t.Errorf("%v when the lag is seen first", d)
		}
		time.Sleep(10 * time.Second)
		if d := at(9); d != 10*time.Second {
			t.Errorf("%v after ten seconds", d)
		}
		b.starts(time.Now().Add(-time.Hour).UnixMicro())
		if d := at(9); d != time.Hour {
			t.Errorf("%v with a record of an hour ago", d)
		}
		b.at(5)
		if d := at(9); d != time.Hour {
			t.Errorf("%v after an opening at the same position", d)
		}
		b.at(6)
		if d := at(9); d != 0 {
			t.Errorf("%v after an opening elsewhere", d)
		}
		b.moved(7, time.Now().Add(time.Hour).UnixMicro())
		if d := at(1); d != 0 {
			t.Errorf("%v by a clock that is ahead", d)
		}
		b.moved(8, -1)
		at(1)
		time.Sleep(time.Second)
		if d := at(1); d != time.Second {
			t.Errorf("%v a second after the move", d)
		}
		at(0)
		time.Sleep(time.Second)
		if d := at(1); d != 0 {
			t.Errorf("%v when it lags behind again", d)
		}
	})
}

// The gauges are those of the lanes whose claims last, in whatever state, and nothing is said that is not known.
func TestGauges(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.model.setAway(true)
		w.produceRows("a", 7)
		registry := prometheus.NewRegistry()
		p := w.start(func(p *process) {
			p.lane.Metrics = NewMetrics(registry, p.lane.Budget)
			p.member.unread = true
		})
		time.Sleep(time.Second)
		gauges := func() map[string]float64 {
			out := map[string]float64{}
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				for _, m := range f.GetMetric() {
					for _, l := range m.GetLabel() {
						if l.GetName() == "partition" {
							out[strings.TrimPrefix(f.GetName(), "waybill_ingest_")] = m.GetGauge().GetValue()
						}
					}
				}
			}
			return out
		}
		got := gauges()
		if _, shown := got["lag_records"]; shown || len(got) != 3 {
			t.Errorf("nobody knows the end: %v", got)
		}
		p.member.mu.Lock()
		p.member.unread = false
		p.member.mu.Unlock()
		p.lane.Look()
		time.Sleep(5 * time.Second)
		got = gauges()
		if got["lag_records"] != 7 || got["lag_seconds"] != 5 || got["lane_refused"] != 0 || len(got) != 5 {
			t.Errorf("gauges %v", got)
		}
		p.lane.board.enter(Refused)
		if got = gauges(); got["lane_refused"] != 1 {
			t.Errorf("gauges %v", got)
		}
		w.model.setAway(false)
		w.model.mu.Lock()
		w.model.latency = time.Hour
		w.model.mu.Unlock()
		time.Sleep(5 * time.Second)
		if got = gauges(); got["lane_refused"] != 0 || got["window_batches"] != 1 || got["window_bytes"] == 0 {
			t.Errorf("gauges %v", got)
		}
		p.end()
		if got = gauges(); len(got) != 0 {
			t.Errorf("gauges of no lane: %v", got)
		}
	})
}

// A lane that waits for several things has waited since the first of them.
func TestWaitsSinceTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, order := range [][2]wait{{forLetters, forRecords}, {forRecords, forLetters}} {
			var b board
			b.enter(Open)
			began := time.Now()
			b.waitsFor(order[0], "one thing", time.Time{})
			time.Sleep(time.Minute)
			b.waitsFor(order[1], "another", time.Time{})
			if s := b.snapshot(); !s.WaitingSince.Equal(began) || !strings.Contains(s.WaitingFor, "; ") {
				t.Errorf("%v: %q since %v, began %v", order, s.WaitingFor, s.WaitingSince, began)
			}
		}
	})
}

// A record may be as old as the clock: its age is known.
func TestLagOfTheOldestRecord(t *testing.T) {
	var b board
	b.moved(8, 0)
	now := time.Now()
	if d := b.lag(1, now); d != now.Sub(time.UnixMicro(0)) {
		t.Errorf("%v", d)
	}
}

// Before a lane knows what is committed it lags behind nothing that could be shown.
func TestNoLagBeforeThePosition(t *testing.T) {
	l, _ := laneAt(&spot{newest: 9}, nil)
	if s := l.Status(); s.Position != -1 || s.Lag != -1 || s.LagSeconds != 0 {
		t.Errorf("%+v", s)
	}
	l.board.at(9)
	if s := l.Status(); s.Lag != 0 {
		t.Errorf("%+v", s)
	}
}

// A lane that does not lag behind is shown, and what the budget has where there is one; how long rows took where
// their records say when they were produced.
func TestWhatIsExported(t *testing.T) {
	registry, budget := prometheus.NewRegistry(), NewBudget(1000)
	l, _ := laneAt(&spot{newest: 9}, nil)
	l.Metrics = NewMetrics(registry, budget)
	l.begin()
	l.board.at(9)
	budget.Account("orders").add(7)
	for _, oldest := range []int64{-1, 0, time.Now().UnixMicro()} {
		l.metrics.settled(&batch{oldest: oldest})
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		samples := float64(m.GetHistogram().GetSampleCount())
		got[strings.TrimPrefix(f.GetName(), "waybill_ingest_")] = m.GetGauge().GetValue() + samples
	}
	want := map[string]float64{
		"lag_records": 0, "lag_seconds": 0, "budget_bytes": 1000, "budget_used_bytes": 7, "settle_seconds": 2,
	}
	for name, value := range want {
		if v, shown := got[name]; !shown || v != value {
			t.Errorf("%s is %v (shown %v), want %v", name, v, shown, value)
		}
	}
	NewMetrics(prometheus.NewRegistry(), nil) // and where there is none, none
}
