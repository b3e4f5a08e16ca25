package sink

import (
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
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
	// The slack is for rounding: the limiter's clock and ours are read at different moments. Calls that escaped the
	// rate would be a hundred.
	for i, at := range fake.created {
		if allowed := burst + int(rate*at.Sub(start).Seconds()) + 10; i+1 > allowed {
			t.Fatalf("%d calls within %v, at most %d are allowed", i+1, at.Sub(start), allowed)
		}
	}
}
