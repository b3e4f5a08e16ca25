package writer

import (
	"context"
	"testing"
	"time"

	"github.com/waybill-data/waybill/pkg/config"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// The drain timeout ends the writer, also when an ingest reads nothing of what its lane says.
func TestStopWithALaneThatIsNotRead(t *testing.T) {
	const drainIn = 2 * time.Second
	conn, stop, ran := start(t, func(c *Config) {
		c.DrainTimeout, c.Limits.WindowBatches = config.Duration(drainIn), 1<<16
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lane, err := lanev1.NewLaneServiceClient(conn).Lane(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*lanev1.LaneRequest{
		{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
			Group: "g", Topic: "orders",
			Routes: []*lanev1.Route{{
				Table: "delivery_events", Row: &lanev1.Route_Message{Message: "delivery.v6.DeliveryEvent"},
			}},
		}}},
		{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{}}},
	} {
		if err := lane.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := lane.Recv(); err != nil {
		t.Fatal(err)
	}
	// Empty batches are settled at once. In the end the writer waits to be read, and we to send.
	sent := make(chan uint64, 1<<20)
	go func() {
		for n := uint64(1); lane.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Append{Append: &lanev1.Append{
			Sequence: n, EndPosition: int64(n),
		}}}) == nil; n++ {
			sent <- n
			if n%32 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		close(sent)
	}()
	for before := -1; before != len(sent); time.Sleep(300 * time.Millisecond) {
		before = len(sent)
	}
	start := time.Now()
	stop()
	select {
	case err := <-ran:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(drainIn + time.Minute):
		t.Fatal("the writer does not stop")
	}
	if took := time.Since(start); took < drainIn/2 {
		t.Errorf("the writer stopped after %v: the lane was to keep it", took)
	}
}
