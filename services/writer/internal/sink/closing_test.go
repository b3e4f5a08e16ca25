package sink

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// still is an appender without a goroutine, one request of which is under way.
func still(t *testing.T, s *Sink, repeats bool, results func(lane.Result)) (*appender, *seat) {
	t.Helper()
	found, err := s.Table(t.Context(), stockRoute)
	if err != nil {
		t.Fatal(err)
	}
	to := found.(*table)
	a := &appender{
		sink: s, table: to, preamble: preamble{repeats: repeats}, results: results, log: s.log,
		wake: make(chan struct{}, 1), delivering: make(chan struct{}, 1),
		traveller: to.weather.traveller(wayAppend), queue: newQueue(0, 1000, 0, func() float64 { return 0 }),
	}
	a.queue.repeats = repeats
	a.ctx, a.cancel = context.WithCancel(t.Context())
	a.current = &seat{appender: a}
	a.queue.append(1, 2, numbered(0, 2))
	a.queue.up()
	if step := a.queue.next(time.Now()); step.do != doSend {
		t.Fatalf("%+v", step)
	}
	t.Cleanup(a.queue.close)
	return a, a.current
}

// What comes after Close counts for nothing, and nothing is reported: the lane has gone on without it.
func TestNothingCountsAfterClose(t *testing.T) {
	over := &fault{kind: finalized, code: "X"}
	for name, happens := range map[string]func(a *appender, s *seat){
		"a response":             func(a *appender, s *seat) { a.received(s, &reply{offset: 0}) },
		"a refusal":              func(a *appender, s *seat) { a.received(s, &reply{offset: -1, fault: over}) },
		"the end of its call":    func(a *appender, s *seat) { a.lost(s, over) },
		"a result from before":   func(a *appender, _ *seat) { a.queue.results = []lane.Result{{ID: 1}}; a.deliver() },
		"a response to nobody":   func(a *appender, _ *seat) { a.received(&seat{appender: a}, &reply{offset: 0}) },
		"the end of another one": func(a *appender, _ *seat) { a.lost(&seat{appender: a}, over) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, s, _ := bubble(t, nil)
				a, seat := still(t, s, false, func(r lane.Result) { t.Errorf("got %+v", r) })
				a.cancel()
				happens(a, seat)
				if a.queue.end != 0 || a.queue.err != nil || kindsOfFaults(s) != 0 {
					t.Errorf("%d rows count, %v", a.queue.end, a.queue.err)
				}
			})
		})
	}
}

// An appender that is closed while it connects does not try again, and its failure is none.
func TestCloseWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s, _ := bubble(t, nil)
		b := launch(t, s, false)
		dials, let := 0, make(chan struct{})
		s.pool.dial = func() (*storage.BigQueryWriteClient, error) {
			dials++
			<-let
			return nil, errors.New("no route to host")
		}
		send(b, 0, "a")
		synctest.Wait()
		closed := make(chan struct{})
		go func() { defer close(closed); b.Close() }()
		time.Sleep(2 * blockedFor) // there is no connection yet that could be blocked
		close(let)
		<-closed
		if n := kindsOfFaults(s); dials != 1 || n != 0 {
			t.Errorf("%d attempts, %d kinds of faults", dials, n)
		}
	})
}

// Close waits for the lane to have taken the result that is being handed over, however long that takes.
func TestCloseWaitsForTheLastResult(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			_, s, _ := bubble(t, nil)
			found, err := s.Table(t.Context(), stockRoute)
			if err != nil {
				t.Fatal(err)
			}
			ended := false
			slow := func(lane.Result) {
				time.Sleep(5 * blockedFor)
				ended = true
			}
			var a lane.Appender
			if shared { // with a lane that keeps the call up
				other := launch(t, s, true)
				defer other.Close()
				send(other, 0, "b")
				a = found.Default(slow)
			} else {
				stream, err := found.Create(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				a = found.Open(stream, 0, slow)
			}
			send(a, 0, "a")
			time.Sleep(blockedFor)
			if a.Close(); !ended {
				t.Errorf("shared %v: closed in the middle of a result", shared)
			}
		})
	}
}

// A shared call may end between the moment that a lane gets a seat on it and the moment that it sits down: then nobody
// tells the lane, and it finds out.
func TestACallEndsBeforeALaneSitsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s, _ := bubble(t, nil)
		found, err := s.Table(t.Context(), stockRoute)
		if err != nil {
			t.Fatal(err)
		}
		other, _ := still(t, s, true, func(lane.Result) {})
		c, _ := newConnection(s.ctx, other)
		c.watch = time.NewTimer(time.Hour)
		to := found.(*table)
		to.calls.open = append(to.calls.open, c)
		b := launch(t, s, true)
		defer b.Close()
		send(b, 0, "a")
		synctest.Wait() // it has a seat, and waits for the call
		c.lost(errors.New("gone"))
		close(c.done)
		close(c.dialled)
		time.Sleep(time.Minute)
		select {
		case r := <-b.results:
			if r.Written != 1 || r.Err != nil {
				t.Errorf("%+v", r)
			}
		default:
			t.Error("the lane waits for a response on a call that has ended")
		}
	})
}

// A stream that is gone before anything was written to it expired, which is no trouble of its table: the lane makes
// another one. A default stream does not expire, so that its table is gone.
func TestWhatAnExpiredStreamTells(t *testing.T) {
	for name, test := range map[string]struct {
		repeats bool
		wrote   int64
		refused bool
	}{
		"expired":                {false, 0, false},
		"with rows in it":        {false, 1, true},
		"default":                {true, 0, true},
		"default, after it took": {true, 1, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, s, _ := bubble(t, nil)
			a, _ := still(t, s, test.repeats, func(lane.Result) {})
			a.queue.end += test.wrote
			a.conclude(fmt.Errorf("%w: no such stream", lane.ErrStreamGone))
			if _, refused := s.Troubles()[a.table.name]; refused != test.refused {
				t.Errorf("%s: refused %v", name, refused)
			}
			if s.tables[a.table.key] == a.table {
				t.Errorf("%s: the next lane does not look at the table", name)
			}
			a.cancel()
			s.weatherOf(a.table.name).stop()
		})
	}
}
