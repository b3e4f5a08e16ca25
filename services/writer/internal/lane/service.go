package lane

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/buffers"
	"github.com/waybill-data/waybill/pkg/logging"
	"github.com/waybill-data/waybill/pkg/tracing"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// Limits bound one lane. Zero fields take the defaults.
type Limits struct {
	// BlockBytes bounds the encoded rows of one block. Default 9 MiB: BigQuery has been seen to refuse requests of 10
	// MiB.
	BlockBytes int64
	// WindowBytes bounds the encoded rows received and not settled. Default 32 MiB.
	WindowBytes int64
	// WindowBatches bounds the batches received and not settled. Default 64.
	WindowBatches int
	// CheckpointBytes is the size that left-out offsets may not push a checkpoint over while the window could settle
	// first. Default 3 KiB; checkpoint.MaxBytes is the bound that nothing passes.
	CheckpointBytes int
	// RestAfter is how long a lane is idle before it makes a clean checkpoint durable. Default 10 minutes. It must stay
	// far below the three days after which BigQuery forgets an idle stream.
	RestAfter time.Duration
	// OpenWithin is how long a call may be without an Open. Default 10 seconds.
	OpenWithin time.Duration
}

// withDefaults fills in what is zero. No window is larger than the budget: its last message could never be let in.
func (l Limits) withDefaults(budget int64) Limits {
	l.BlockBytes = cmp.Or(l.BlockBytes, 9<<20)
	l.WindowBytes = min(cmp.Or(l.WindowBytes, 32<<20), budget)
	l.BlockBytes = min(l.BlockBytes, l.WindowBytes)
	l.WindowBatches = cmp.Or(l.WindowBatches, 64)
	l.CheckpointBytes = cmp.Or(l.CheckpointBytes, 3<<10)
	l.RestAfter = cmp.Or(l.RestAfter, 10*time.Minute)
	l.OpenWithin = cmp.Or(l.OpenWithin, 10*time.Second)
	return l
}

// Service is lane.v1.LaneService. Fill in its fields, then register it with a server that forces lanewire.Codec().
// Before the server stops, Drain.
type Service struct {
	lanev1.UnimplementedLaneServiceServer

	// Sink is BigQuery. Required.
	Sink Sink
	// Limits bound each lane.
	Limits Limits
	// Budget is the bytes that all lanes may hold together; nil: 256 MiB.
	Budget *Budget
	// Received is the memory that connections read into, for Relieve; nil: nobody counts it.
	Received *buffers.Counted
	// Log takes one line a lane transition; nil: none.
	Log *slog.Logger
	// Metrics are made by NewMetrics; nil: none.
	Metrics *Metrics
	// Storms are those of the moment by the full resource names of tables; nil: those that the sink
	// reports, if it is a Reporter. Cheap.
	Storms func() map[string]Storm
	// Tracer makes the writer's part of the traces that ingest begins; nil: none.
	Tracer *tracing.Tracer
	// Awaits says that a call awaits its Open, until end is called; nil: nobody wants to know.
	Awaits func(call context.Context) (end func())
	// Carries says that the connection of a call carries a lane that appends, until end is called; nil: nobody wants to
	// know.
	Carries func(call context.Context) (end func())
	// Live is kept at how many lanes there are; nil: not.
	Live *atomic.Int64
	// Keys seal the checkpoints; nil: nothing does.
	Keys *checkpoint.Ring
	// Name is this writer's name in Opened, for the logs of ingest.
	Name string
	// Project and Dataset are those of tables whose route names none, for Opened.
	Project, Dataset string

	start sync.Once
	mu    sync.Mutex
	lanes map[*lane]struct{}
	// draining is why no lane may open any more; empty while they may.
	draining string
	// unopened bounds the lines about calls that ended before they were lanes.
	unopened logging.Seldom
	// lines bounds those about lanes by the hosts that their calls come from.
	lines logging.Callers
	// strangers are write streams that hold rows of somebody else, as far as this process has seen.
	strangers map[suspect]struct{}
	// goroutines are the owners and the receivers: a receiver ends just after its call.
	goroutines sync.WaitGroup
	work       work
	// collect collects garbage: runtime.GC. collected is when Relieve has done it last; its own.
	collect   func()
	collected time.Time
}

func (s *Service) init() {
	s.start.Do(func() {
		if s.Budget == nil {
			s.Budget = NewBudget(256 << 20)
		}
		s.Budget.relieve = s.relieve
		if s.Received != nil {
			s.Budget.received = s.Received
			s.Received.Ahead(s.Budget.Limit())
		}
		s.Limits = s.Limits.withDefaults(s.Budget.Limit())
		if s.Log == nil {
			s.Log = slog.New(slog.DiscardHandler)
		}
		if s.Metrics == nil {
			s.Metrics = NewMetrics(nil)
		}
		s.Metrics.watch(s.Budget)
		s.collect = runtime.GC
		s.lanes, s.strangers = make(map[*lane]struct{}), make(map[suspect]struct{})
	})
}

// Lane carries one lane until its call ends.
func (s *Service) Lane(stream grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]) error {
	s.init()
	l := newLane(s, stream)
	if !s.add(l) {
		return status.Error(codes.Unavailable, "this writer is stopping; open the lane at another one")
	}
	if s.Awaits != nil {
		l.silent = s.Awaits(stream.Context())
	}
	return l.attend()
}

func (s *Service) add(l *lane) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining != "" {
		return false
	}
	s.lanes[l] = struct{}{}
	s.goroutines.Add(2)
	s.Metrics.lanes.Inc()
	if s.Live != nil {
		s.Live.Add(1)
	}
	return true
}

func (s *Service) remove(l *lane) {
	if l.shares {
		s.Received.Raise(-laneShare)
	}
	s.mu.Lock()
	delete(s.lanes, l)
	s.mu.Unlock()
	s.Metrics.lanes.Dec()
	if s.Live != nil {
		s.Live.Add(-1)
	}
	s.goroutines.Done()
}

func (s *Service) list() []*lane {
	s.init()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*lane, 0, len(s.lanes))
	for l := range s.lanes {
		list = append(list, l)
	}
	return list
}

// cutWithin is how long lanes may take to end once they are cut. Only a fault of the program takes longer.
const cutWithin = 5 * time.Second

// Drain refuses new lanes, asks every lane to settle and close, and returns when none is left. Lanes that are still
// there when ctx ends are cut with UNAVAILABLE: their next owner fences their streams instead of adopting them. The
// error is that of ctx then, after at most five seconds more, whatever the lanes do.
func (s *Service) Drain(ctx context.Context, reason string) error {
	s.init()
	s.mu.Lock()
	s.draining = cmp.Or(reason, "drain")
	s.mu.Unlock()
	by, _ := ctx.Deadline()
	for _, l := range s.list() {
		select {
		case l.drain <- drainage{reason, by}:
		default: // it was drained already
		}
	}
	gone := make(chan struct{})
	go func() {
		s.goroutines.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	for _, l := range s.list() {
		l.cut(status.Error(codes.Unavailable,
			"this writer is stopping and the lane did not close in time; open it at another one from the committed "+
				"checkpoint"))
	}
	limit := time.NewTimer(cutWithin)
	defer limit.Stop()
	select {
	case <-gone:
		return ctx.Err()
	case <-limit.C:
		return fmt.Errorf("%w; %d lanes have not ended though they were cut, a fault of the writer: report it",
			ctx.Err(), len(s.list()))
	}
}

// Status is the lanes as they are now, by topic and partition, for people.
func (s *Service) Status() []Status {
	var list []Status
	for _, l := range s.list() {
		list = append(list, l.status.get())
	}
	slices.SortFunc(list, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition),
			cmp.Compare(a.Group, b.Group))
	})
	return list
}
