package lane

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// The connection of a call carries a lane from its first Durable on, until the lane has ended, however it does.
func TestConnectionsCarryLanesThatAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var carried, ended atomic.Int64
		w := startWriter(t, &Service{Sink: &odd{}, Carries: func(call context.Context) func() {
			if call.Err() != nil {
				t.Errorf("the call is over: %v", call.Err())
			}
			carried.Add(1)
			return func() { ended.Add(1) }
		}})
		defer w.stop()
		is := func(when string, c, e int64) {
			t.Helper()
			if synctest.Wait(); carried.Load() != c || ended.Load() != e {
				t.Errorf("%s: %d were carried and %d ended, want %d and %d", when, carried.Load(), ended.Load(), c, e)
			}
		}
		silent, err := w.client.Lane(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		say(t, silent, &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
			Group: "g", Topic: "t", Routes: []*lanev1.Route{{
				Table: "t", Row: &lanev1.Route_Message{Message: "m"}, Delivery: atLeastOnce,
			}},
		}}})
		if m, err := silent.Recv(); m.GetOpened() == nil {
			t.Fatalf("%v, %v", m, err)
		}
		is("a call that has an Opened and says nothing", 0, 0)
		first, _ := openLane(t, w, atLeastOnce)
		second, _ := openLane(t, w, atLeastOnce)
		is("two lanes", 2, 0)
		if err := first.CloseSend(); err != nil {
			t.Fatal(err)
		}
		is("one was closed", 2, 1)
		say(t, second, durable(99)) // a fault
		is("and one has ended for a fault", 2, 2)
		if err := silent.CloseSend(); err != nil {
			t.Fatal(err)
		}
		is("a call ends that was no lane", 2, 2)
	})
}
