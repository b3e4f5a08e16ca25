package lane

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// Limits bound one lane. Zero fields take the defaults.
type Limits struct {
	// BlockBytes bounds the encoded rows of one block. Default 9 MiB: BigQuery has been seen to refuse requests of 10 MiB.
	BlockBytes int64
	// WindowBytes bounds the encoded rows received and not settled. Default 32 MiB.
	WindowBytes int64
	// WindowBatches bounds the batches received and not settled. Default 64.
	WindowBatches int
	// CheckpointBytes is the size that left-out offsets may not push a checkpoint over while the window could settle first. Default 3 KiB;
	// checkpoint.MaxBytes is the bound that nothing passes.
	CheckpointBytes int
	// RestAfter is how long a lane is idle before it makes a clean checkpoint durable. Default 10 minutes. It must stay far below the
	// three days after which BigQuery forgets an idle stream.
	RestAfter time.Duration
	// Fences is how many streams of one opening are finalized at once. Default 8.
	Fences int
}

func (l Limits) withDefaults() Limits {
	l.BlockBytes = cmp.Or(l.BlockBytes, 9<<20)
	l.WindowBytes = cmp.Or(l.WindowBytes, 32<<20)
	l.BlockBytes = min(l.BlockBytes, l.WindowBytes)
	l.WindowBatches = cmp.Or(l.WindowBatches, 64)
	l.CheckpointBytes = cmp.Or(l.CheckpointBytes, 3<<10)
	l.RestAfter = cmp.Or(l.RestAfter, 10*time.Minute)
	l.Fences = cmp.Or(l.Fences, 8)
	return l
}

// Service is lane.v1.LaneService. Fill in its fields, then register it with a server that forces lanewire.Codec(). Before the server stops,
// Drain.
type Service struct {
	lanev1.UnimplementedLaneServiceServer

	// Sink is BigQuery. Required.
	Sink Sink
	// Limits bound each lane.
	Limits Limits
	// Budget is the bytes that all lanes may hold together; nil: 256 MiB.
	Budget *Budget
	// Log takes one line a lane transition; nil: none.
	Log *slog.Logger
	// Metrics are made by NewMetrics; nil: none.
	Metrics *Metrics
	// Storms are those of the moment by the full resource names of tables; nil: nobody tells. Cheap.
	Storms func() map[string]Storm
	// Live is kept at how many lanes there are; nil: not.
	Live *atomic.Int64
	// Name is this writer's name in Opened, for the logs of ingest.
	Name string

	start sync.Once
	mu    sync.Mutex
	lanes map[*lane]struct{}
	// draining is why no lane may open any more; empty while they may.
	draining string
	// goroutines are the owners and the receivers: a receiver ends just after its call.
	goroutines sync.WaitGroup
	work       work
}

func (s *Service) init() {
	s.start.Do(func() {
		s.Limits = s.Limits.withDefaults()
		if s.Budget == nil {
			s.Budget = NewBudget(256 << 20)
		}
		if s.Log == nil {
			s.Log = slog.New(slog.DiscardHandler)
		}
		if s.Metrics == nil {
			s.Metrics = NewMetrics(nil)
		}
		s.lanes = make(map[*lane]struct{})
	})
}

// Lane carries one lane until its call ends.
func (s *Service) Lane(stream grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]) error {
	s.init()
	l := newLane(s, stream)
	if !s.add(l) {
		return status.Error(codes.Unavailable, "this writer is stopping; open the lane at another one")
	}
	defer s.remove(l)
	return l.carry()
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
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*lane, 0, len(s.lanes))
	for l := range s.lanes {
		list = append(list, l)
	}
	return list
}

// Drain refuses new lanes, asks every lane to settle and close, and returns when none is left. Lanes that are still there when ctx ends
// are cut with UNAVAILABLE: their next owner fences their streams instead of adopting them. The error is that of ctx then.
func (s *Service) Drain(ctx context.Context, reason string) error {
	s.init()
	s.mu.Lock()
	s.draining = cmp.Or(reason, "drain")
	s.mu.Unlock()
	for _, l := range s.list() {
		select {
		case l.drain <- reason:
		default: // asked already
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
		l.cut()
	}
	<-gone
	return ctx.Err()
}

// Status is the lanes as they are now, by topic and partition, for people.
func (s *Service) Status() []Status {
	var list []Status
	for _, l := range s.list() {
		list = append(list, l.status.get())
	}
	slices.SortFunc(list, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Group, b.Group))
	})
	return list
}
