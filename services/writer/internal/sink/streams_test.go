package sink

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Five hundred lanes open at once, and BigQuery turns a fifth of the calls away: every lane gets its stream, and at no
// time are there more calls than the rate and its burst allow, repeated calls included.
func TestCreationsStayUnderTheRate(t *testing.T) {
	t.Parallel()
	const lanes, rate, burst, turnedAway = 500, 250, 5, 100
	fake, s := world(t, func(c *Config) { c.CreateRate = rate })
	ctx := deadline(t)
	table, err := s.Table(ctx, stockRoute)
	if err != nil {
		t.Fatal(err)
	}
	for range turnedAway {
		fake.creates = append(fake.creates, storageError(codes.ResourceExhausted, 0, "quota"))
	}
	start := time.Now()
	var all sync.WaitGroup
	for range lanes {
		all.Go(func() {
			if _, err := table.Create(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(fake.created); n != lanes+turnedAway {
		t.Fatalf("%d calls for %d lanes with %d turned away", n, lanes, turnedAway)
	}
	// A slow machine makes calls later and bunches them, but never makes more than the rate allows since the beginning.
	// The slack is for the limiter's clock: a caller that is interrupted between reading it and its turn sets it back,
	// for as long as a busy machine lets it wait (x/time/rate, reserveN). Calls that escaped the rate would be a
	// hundred.
	for i, at := range fake.created {
		if allowed := burst + int(rate*at.Sub(start).Seconds()) + 40; i+1 > allowed {
			t.Fatalf("%d calls within %v, at most %d are allowed", i+1, at.Sub(start), allowed)
		}
	}
}

// What is tried until it works ends with its context, wherever that finds it: without another call, and without a fault
// that would be BigQuery's.
func TestPersistEndsWithItsContext(t *testing.T) {
	denied := status.Error(codes.PermissionDenied, "no")
	away := status.Error(codes.Unavailable, "away")
	after := func(err error) func(context.CancelFunc) error {
		return func(end context.CancelFunc) error { end(); return err }
	}
	for name, test := range map[string]struct {
		turn, call func(end context.CancelFunc) error
		calls      int
		faults     int
		want       error
	}{
		"works":           {calls: 1},
		"before its turn": {turn: after(context.Canceled), want: context.Canceled},
		"no turn to come": {
			turn: func(context.CancelFunc) error { return errors.New("never") },
			want: errors.New("never"),
		},
		"in a call":        {call: after(away), calls: 1, want: context.Canceled},
		"in one it denies": {call: after(denied), calls: 1, want: context.Canceled},
		"between two calls": {call: func(end context.CancelFunc) error {
			time.AfterFunc(time.Millisecond, end)
			return away
		}, calls: 1, faults: 1, want: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, s, _ := bubble(t, nil)
				ctx, end := context.WithCancel(t.Context())
				defer end()
				calls := 0
				turn := func(context.Context) error {
					if test.turn == nil {
						return nil
					}
					return test.turn(end)
				}
				err := s.persist(ctx, s.weatherOf("t").traveller(wayCreate), turn, func(context.Context) error {
					calls++
					if test.call == nil {
						return nil
					}
					return test.call(end)
				}, func(*fault) bool { return false })
				if (err == nil) != (test.want == nil) || err != nil && err.Error() != test.want.Error() {
					t.Errorf("%v, want %v", err, test.want)
				}
				if n := kindsOfFaults(s); calls != test.calls || n != test.faults {
					t.Errorf("%d calls, %d kinds of faults", calls, n)
				}
			})
		})
	}
}

// How long a creation waited for its turn is observed; one whose lane has gone waits no more, and is not made.
func TestTurnsOfCreations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s, _ := bubble(t, nil)
		ctx, end := context.WithCancel(t.Context())
		if err := s.awaitCreation(ctx); err != nil {
			t.Error(err)
		}
		end()
		if err := s.awaitCreation(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(s.metrics.waits)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if n := families[0].GetMetric()[0].GetHistogram().GetSampleCount(); n != 1 {
			t.Errorf("%d waits were observed", n)
		}
	})
}

// A table that cannot be looked at within the time of a call is looked at again: that is no fault of the table's, which
// would stop the lane.
func TestCreateWhileTheTableCannotBeSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back time.Time
		fake, s, _ := bubble(t, func() int {
			if time.Now().Before(back) {
				return 503
			}
			return 0
		})
		table, err := s.Table(t.Context(), stockRoute)
		if err != nil {
			t.Fatal(err)
		}
		fake.creates = append(fake.creates, storageError(codes.NotFound, storagepb.StorageError_TABLE_NOT_FOUND,
			"no table"))
		back = time.Now().Add(callTimeout + time.Second)
		if _, err := table.Create(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// kindsOfFaults is how many kinds of faults have been counted: some are there from the beginning.
func kindsOfFaults(s *Sink) int {
	n := testutil.CollectAndCount(s.metrics.faults)
	for _, code := range alertedCodes {
		if testutil.ToFloat64(s.metrics.faults.WithLabelValues(code)) == 0 {
			n--
		}
	}
	return n
}
