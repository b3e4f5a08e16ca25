package lane

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A call awaits its Open until that has come, or until the call has ended without one.
func TestCallsAwaitTheirOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began, ended atomic.Int64
		w := startWriter(t, &Service{Sink: &odd{}, Awaits: func(call context.Context) func() {
			if call.Err() != nil {
				t.Errorf("the call is over: %v", call.Err())
			}
			began.Add(1)
			return func() { ended.Add(1) }
		}})
		defer w.stop()
		is := func(when string, b, e int64) {
			t.Helper()
			if synctest.Wait(); began.Load() != b || ended.Load() != e {
				t.Errorf("%s: %d awaited it and %d do no more, want %d and %d", when, began.Load(), ended.Load(), b, e)
			}
		}
		silent, err := w.client.Lane(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		is("a call that says nothing", 1, 0)
		lane, _ := openLane(t, w, atLeastOnce)
		is("a lane beside it", 2, 1)
		if err := lane.CloseSend(); err != nil {
			t.Fatal(err)
		}
		is("the lane was closed", 2, 1)
		if err := silent.CloseSend(); err != nil {
			t.Fatal(err)
		}
		is("the call has ended without an Open", 2, 2)
	})
}
