package sink

import (
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
)

// slowly makes the fake respond late, and not hold its lock meanwhile.
func slowly(fake *fakeBigQuery, by func() time.Duration) {
	fake.on(func(_ *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
		if d := by(); d > 0 && !written {
			fake.mu.Unlock()
			time.Sleep(d)
			fake.mu.Lock()
		}
		return nil, nil
	})
}

// A slow response is waited for, however long the connection was idle before, and however many wait; only a connection
// on which nothing moves is given up.
func TestSlowResponsesAreNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, s, _ := bubble(t, nil)
		b := launch(t, s, false)
		defer b.Close()
		send(b, 0, "a")
		wantWritten(t, b.results, 0, 1)
		time.Sleep(10*time.Minute + 30*time.Second)
		slowly(fake, func() time.Duration { return s.appendTimeout - time.Second })
		for i := range uint64(4) {
			send(b, 1+i, "b")
		}
		for i := range uint64(4) {
			if r := <-b.results; r.ID != 1+i || r.Written != 1 {
				t.Errorf("got %+v", r)
			}
		}
		time.Sleep(10 * time.Minute)
		if n := openCalls(fake); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// A peer that swallows what comes and says nothing is given up, also while more is sent to it, and also by the lanes
// that share the connection.
func TestASilentPeerIsGivenUp(t *testing.T) {
	for _, repeats := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			fake, s, _ := bubble(t, nil)
			b, other := launch(t, s, repeats), launch(t, s, repeats)
			defer b.Close()
			defer other.Close()
			send(b, 0, "a")
			wantWritten(t, b.results, 0, 1)
			times := 0
			slowly(fake, func() time.Duration {
				if times++; times == 1 {
					return time.Hour
				}
				return 0
			})
			began := time.Now()
			for i := range uint64(9) {
				send(b, 1+i, "b")
				time.Sleep(10 * time.Second)
			}
			send(other, 0, "c")
			if r := <-other.results; r.Written != 1 {
				t.Errorf("got %+v", r)
			}
			for i := range uint64(9) {
				if r := <-b.results; r.ID != 1+i || r.Written != 1 {
					t.Errorf("got %+v", r)
				}
			}
			if took := time.Since(began); took > 2*s.appendTimeout+promise {
				t.Errorf("given up after %v", took)
			}
			time.Sleep(2 * time.Hour)
		})
	}
}
