//go:build !race

package writer

import (
	"errors"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/config"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// same is a codec that sends the same bytes for every message, which costs the sender nothing.
type same struct {
	encoding.CodecV2
	bytes mem.BufferSlice
}

func (s same) Marshal(any) (mem.BufferSlice, error) { return s.bytes, nil }

// watchHeap samples what the process has in memory until it is stopped, and returns the most. Garbage is collected
// often, so that the figure is what is held. Not with the race detector, whose shadow memory is several times what it
// shadows.
func watchHeap(t *testing.T) (stop func() int64) {
	t.Helper()
	before := debug.SetGCPercent(10)
	quit := make(chan struct{})
	var most int64
	var wait sync.WaitGroup
	wait.Go(func() {
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			most = max(most, int64(m.HeapInuse))
			select {
			case <-quit:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	return func() int64 {
		close(quit)
		wait.Wait()
		debug.SetGCPercent(before)
		return most
	}
}

// Whatever peers have begun to send and not finished, the process holds no more than it says: the budget, what comes in
// while calls may be without an Open, twice the budget in all, and what a process takes anyway. A lane that was open
// before goes on, and others may open afterwards.
func TestUnfinishedMessagesAreBounded(t *testing.T) {
	const budget, calls, size = 32 << 20, 30, 32 << 20
	conn, stop, ran := start(t, func(c *Config) {
		c.Memory.Budget, c.DrainTimeout = config.Bytes(budget), config.Duration(time.Second)
	})
	open := func() lanev1.LaneService_LaneClient {
		lane, err := lanev1.NewLaneServiceClient(conn).Lane(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := lane.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
			Group: "g", Topic: "orders",
			Routes: []*lanev1.Route{{
				Table: "delivery_events", Row: &lanev1.Route_Message{Message: "delivery.v6.DeliveryEvent"},
			}},
		}}}); err != nil {
			t.Fatal(err)
		}
		if m, err := lane.Recv(); m.GetOpened() == nil {
			t.Fatalf("%v, %v", m, err)
		}
		return lane
	}
	before := open()
	// It carries a lane, so the connection is read as fast as it comes.
	if err := before.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{
		Durable: &lanev1.Durable{},
	}}); err != nil {
		t.Fatal(err)
	}
	message := mem.BufferSlice{mem.SliceBuffer(make([]byte, size))}
	runtime.GC()
	var start runtime.MemStats
	runtime.ReadMemStats(&start)
	most := watchHeap(t)
	var sending sync.WaitGroup
	var ended atomic.Int64
	for range calls {
		lane, err := lanev1.NewLaneServiceClient(conn).Lane(t.Context(),
			grpc.ForceCodecV2(same{encoding.GetCodecV2("proto"), message}))
		if err != nil {
			t.Fatal(err)
		}
		sending.Go(func() {
			if err := lane.SendMsg(new(lanev1.LaneRequest)); err != nil {
				t.Error(err)
			}
			err := lane.RecvMsg(new(lanev1.LaneResponse))
			if code := status.Code(err); code != codes.Unavailable && code != codes.InvalidArgument {
				t.Errorf("got %v", err)
			} else if code == codes.Unavailable && strings.Contains(err.Error(), "memory.budget") {
				ended.Add(1)
			}
		})
	}
	sending.Wait()
	// The measure is taken every few milliseconds, in which a connection brings in some more.
	held := most() - int64(start.HeapInuse)
	t.Logf("%d MiB held at most, %d calls ended for it", held>>20, ended.Load())
	if ended.Load() == 0 || held > 2*budget+64<<20 {
		t.Errorf("the process held %d MiB, with a budget of %d MiB; %d calls ended for it", held>>20, budget>>20,
			ended.Load())
	}
	if err := before.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Append{Append: &lanev1.Append{
		Sequence: 1, EndPosition: 1,
	}}}); err != nil {
		t.Fatal(err)
	}
	if m, err := before.Recv(); m.GetSettled() == nil {
		t.Errorf("the lane that was open got %v, %v", m, err)
	}
	open()
	stop()
	finished(t, ran)
}

// The connection of a lane that appends is read as fast as it comes, whatever has been read of it: at the pace of those
// that carry nothing, what this one brings takes more than half a minute.
func TestConnectionsOfLanesHaveNoPace(t *testing.T) {
	const size, times = 31 << 20, 18
	conn, stop, ran := start(t, func(c *Config) { c.DrainTimeout = config.Duration(time.Second) })
	open := func() lanev1.LaneService_LaneClient {
		lane, err := lanev1.NewLaneServiceClient(conn).Lane(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := lane.Send(openOf(routeTo("delivery_events"))); err != nil {
			t.Fatal(err)
		}
		if m, err := lane.Recv(); m.GetOpened() == nil {
			t.Fatalf("%v, %v", m, err)
		}
		if err := lane.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{
			Durable: &lanev1.Durable{},
		}}); err != nil {
			t.Fatal(err)
		}
		return lane
	}
	stays := open()
	wrong := appendOf(7, 1, 1, string(make([]byte, size)))
	began := time.Now()
	for range times {
		lane := open()
		err := lane.Send(wrong)
		for err == nil || errors.Is(err, io.EOF) {
			_, err = lane.Recv()
		}
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "sequence") {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("%d MiB took %v", times*size>>20, took)
	}
	if err := stays.CloseSend(); err != nil {
		t.Error(err)
	}
	stop()
	finished(t, ran)
}
