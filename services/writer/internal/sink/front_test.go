package sink

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
)

var errAway = &fault{kind: again, code: "UNAVAILABLE", status: codes.Unavailable}

// sky is the weather of some table, and what is logged of it.
func sky(t *testing.T) (*weather, *Sink, *logtest.Log) {
	t.Helper()
	_, s, logged := bubble(t, nil)
	w := s.weatherOf("projects/p/datasets/d/tables/t")
	return w, s, logged
}

// happened reports whether a channel is closed.
func happened(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestStates(t *testing.T) {
	for _, c := range []struct {
		fault fault
		want  string
	}{
		{fault{code: codeExtraFields, status: codes.InvalidArgument}, stateSchema},
		{fault{code: codeNotRelaxed, status: codes.InvalidArgument}, stateSchema},
		{fault{status: codes.ResourceExhausted}, stateQuota},
		{fault{kind: gone, status: codes.NotFound}, stateRefused},
		{fault{kind: denied, status: codes.PermissionDenied}, stateRefused},
		{fault{kind: renew, status: codes.Unavailable}, stateUnavailable},
		{fault{kind: again, status: codes.Internal}, stateUnavailable},
	} {
		if got := stateOf(&c.fault); got != c.want {
			t.Errorf("%+v: %s, want %s", c.fault, got, c.want)
		}
	}
}

// One probes, in a second from its last try; the others wait for their own time, and for the probe.
func TestWhoProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, _ := sky(t)
		a, b := w.traveller(wayAppend), w.traveller(wayAppend)
		now := time.Now()
		far, near := now.Add(time.Hour), now.Add(time.Millisecond)
		if until, changed := a.wait(far, now); until != far || changed != nil || w.fronts[wayAppend].prober != nil {
			t.Error("one that has not failed waits for others")
		}
		a.fault(errAway, now)
		b.fault(errAway, now)
		if until, _ := a.wait(far, now); until != now.Add(probeEvery) {
			t.Errorf("the first waits until %v", until)
		}
		if until, _ := a.wait(near, now); until != near {
			t.Errorf("with a time of its own, until %v", until)
		}
		until, changed := b.wait(far, now)
		if until != far || happened(changed) {
			t.Errorf("the second waits until %v", until)
		}
		// It does not matter when one leaves that does not probe.
		c := w.traveller(wayAppend)
		c.fault(errAway, now)
		if c.leave(now); happened(changed) || w.fronts[wayAppend].prober != a {
			t.Error("the probe was handed on")
		}
		if a.leave(now); !happened(changed) {
			t.Error("nobody was told that the probe has left")
		}
		if until, _ := b.wait(far, now); until != now.Add(probeEvery) {
			t.Errorf("the next to probe waits until %v", until)
		}
	})
}

// A success wakes those that wait if there has been a storm. Before that, their own time is short anyway.
func TestWhoIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, _ := sky(t)
		a, b, other := w.traveller(wayAppend), w.traveller(wayAppend), w.traveller(wayCreate)
		now := time.Now()
		a.fault(errAway, now)
		b.fault(errAway, now)
		a.wait(now, now)
		hold := now.Add(time.Hour)
		_, changed := b.wait(hold, now)
		a.success(now)
		if happened(changed) || w.fronts[wayAppend].cleared != 0 {
			t.Error("woken without a storm")
		}
		b.success(now)
		if n := w.fronts[wayAppend].failing; n != 0 || w.rough.Load() {
			t.Errorf("%d fail", n)
		}
		a.fault(errAway, now)
		b.fault(errAway, now)
		other.fault(errAway, now)
		now = now.Add(stormAfter)
		a.fault(errAway, now)
		a.wait(hold, now)
		_, changed = b.wait(hold, now)
		_, others := other.wait(hold, now)
		a.success(now)
		if !happened(changed) || happened(others) {
			t.Error("not those on the same way were woken")
		}
		if until, _ := b.wait(hold, now); until.Before(now) || until.After(now.Add(wakeWithin)) {
			t.Errorf("woken to go on at %v", until)
		}
		if until, _ := b.wait(hold, now); until.After(now.Add(probeEvery)) {
			t.Errorf("then one of them probes: %v", until)
		}
	})
}

// A storm on one way is over when that on the other is, and is said to be over once.
func TestTheEndIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s, logged := sky(t)
		a, b := w.traveller(wayAppend), w.traveller(wayFence)
		for range 3 {
			a.fault(errAway, time.Now())
			b.fault(errAway, time.Now())
			time.Sleep(stormAfter)
		}
		b.success(time.Now())
		for range 10 {
			time.Sleep(time.Second)
			a.fault(errAway, time.Now())
		}
		if n := logged.At(slog.LevelInfo, ""); len(n) != 0 || w.trouble().State != stateUnavailable {
			t.Errorf("said to be over: %v", n)
		}
		a.success(time.Now())
		time.Sleep(time.Second)
		a.leave(time.Now())
		b.leave(time.Now())
		time.Sleep(3 * calmAfter)
		synctest.Wait()
		if n := logged.At(slog.LevelInfo, worksAgain); len(n) != 1 || len(logged.At(slog.LevelInfo, "")) != 1 ||
			testutil.ToFloat64(s.metrics.troubles.WithLabelValues(stateUnavailable)) != 0 {
			t.Errorf("said: %v", n)
		}
		// What was no storm has no end.
		a.fault(errAway, time.Now())
		a.leave(time.Now())
		time.Sleep(3 * calmAfter)
		if n := logged.At(slog.LevelInfo, ""); len(n) != 1 || w.rough.Load() {
			t.Errorf("said: %v", n)
		}
	})
}

// A refusal stays through responses that take nothing, and through what happens on other ways.
func TestARefusalStaysUntilSomethingIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, _ := sky(t)
		a, look := w.traveller(wayAppend), w.traveller(wayTable)
		w.refuse(wayTable, "does not fit", time.Now())
		look.rejected(time.Now())
		a.fault(errAway, time.Now())
		a.success(time.Now())
		a.leave(time.Now())
		if w.trouble().State != stateRefused {
			t.Fatal("it is gone")
		}
		if look.success(time.Now()); w.trouble().State != "" || w.rough.Load() {
			t.Error("it stays")
		}
	})
}

// A stream that fails alone is said after ten seconds; a call that fails alone has a caller who learns of it.
func TestWhenAStreamFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, logged := sky(t)
		well, sick, call := w.traveller(wayAppend), w.traveller(wayAppend), w.traveller(wayAppend)
		sick.name = "s"
		for i := range 12 {
			sick.fault(errAway, time.Now())
			call.fault(errAway, time.Now())
			well.success(time.Now())
			want := 0
			if time.Duration(i)*time.Second >= aloneAfter {
				want = 1
			}
			if n := logged.At(slog.LevelWarn, ""); len(n) != want {
				t.Errorf("after %d s: %v", i, n)
			}
			time.Sleep(time.Second)
		}
		if got := sick.trouble(); got.State != stateUnavailable || well.trouble().State != "" ||
			call.trouble().State != "" {
			t.Errorf("seen %+v", got)
		}
		sick.success(time.Now())
		if n := logged.At(slog.LevelInfo, "this stream again"); len(n) != 1 || sick.trouble().State != "" {
			t.Errorf("said %v", n)
		}
	})
}
