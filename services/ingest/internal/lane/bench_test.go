package lane

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/pkg/lanewire"
	"github.com/waybill-data/waybill/pkg/processors/rowcost"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// BenchmarkLane carries records through a lane, over loopback gRPC, to a writer in this process that settles every
// batch at once. A row is a copy of the value: decoding is measured elsewhere. Processor time and allocations are those
// of the process, so both ends of the call.
func BenchmarkLane(b *testing.B) {
	rowcost.Benchmark(b, carryRows, rowcost.Workload{Name: "delivery", Size: 9000}, rowcost.Workload{
		Name: "stock", Size: 110,
	})
}

// A lane allocates for a batch, not for a row: this is both ends of one, gRPC included.
func TestLaneAllocatesNothingARow(t *testing.T) {
	// A twentieth of it without the race detector, which empties pools.
	rowcost.Allocations(t, carryRows, 110, 0.25)
}

// carryRows carries rows of a size through a lane and returns the processor time in nanoseconds and the allocations of
// one.
func carryRows(b testing.TB, size, rows int) (spent, allocated float64) {
	return carry(b, size, rows, func(e *endless) Partition { return e })
}

// carry carries the rows of a partition that is made of an endless one.
func carry(b testing.TB, size, rows int, of func(*endless) Partition) (spent, allocated float64) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(lanewire.Codec()), grpc.MaxRecvMsgSize(32<<20),
		grpc.WaitForHandlers(true))
	peer := &settler{rows: rows, done: make(chan struct{})}
	lanev1.RegisterLaneServiceServer(server, peer)
	go server.Serve(listener) //nolint:errcheck // Stop ends it.
	defer server.Stop()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()

	budget, config := NewBudget(256<<20), DefaultConfig()
	config.Linger = time.Hour // batches are full however long the lane waits for a processor
	lane := &Lane{
		Partition: of(&endless{batch: oneRecord(size), left: rows}),
		Writers:   conn, Contracts: copies{}, Group: "bench", Config: config, Budget: budget,
		Metrics: NewMetrics(prometheus.NewRegistry(), budget), Weather: NewWeather("", slog.New(slog.DiscardHandler)),
		Log: slog.New(slog.DiscardHandler),
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan struct{})
	meter := rowcost.Start()
	go func() { defer close(ended); lane.Run(ctx) }()
	<-peer.done
	spent, allocated = meter.Row(rows)
	stop()
	<-ended
	return spent, allocated
}

// settler is a writer that has nothing behind it.
type settler struct {
	lanev1.UnimplementedLaneServiceServer
	rows int
	done chan struct{}
}

func (s *settler) Lane(stream grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]) error {
	respond := func(m *lanev1.LaneResponse) error { return stream.Send(m) }
	position := int64(0)
	for {
		var request lanewire.Request
		if err := stream.RecvMsg(&request); err != nil {
			return respond(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Closed{Closed: &lanev1.Closed{
				Position: position, Checkpoint: "closed",
			}}})
		}
		var err error
		switch {
		case request.Control.GetOpen() != nil:
			err = respond(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Opened{Opened: &lanev1.Opened{
				Checkpoint: "opened",
				Limits: &lanev1.Limits{
					BlockBytes: 9 << 20, WindowBytes: 32 << 20, WindowBatches: 64,
				},
			}}})
		case request.Control == nil:
			position = request.Append.EndPosition
			for _, block := range request.Append.Blocks {
				s.rows -= int(block.Rows)
			}
			err = respond(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Settled{Settled: &lanev1.Settled{
				Sequence: request.Append.Sequence, Position: position, Checkpoint: "settled",
			}}})
			request.Free()
			if s.rows == 0 {
				close(s.done)
			}
		}
		if err != nil {
			return err
		}
	}
}

// endless is a partition of one record, over and over.
type endless struct {
	batch *record.Batch
	next  int64
	left  int
}

// oneRecord is a batch of a record with a value of some size, in Kafka's record format.
func oneRecord(size int) *record.Batch {
	body := []byte{0, 0, 0, 2, 'a'} // attributes, time, offset, key
	body = append(binary.AppendVarint(body, int64(size)), make([]byte, size)...)
	body = append(body, 0) // headers
	return &record.Batch{Topic: "orders", Raw: append(binary.AppendVarint(nil, int64(len(body))), body...)}
}

func (*endless) Topic() string                                                { return "orders" }
func (*endless) Number() int32                                                { return 0 }
func (*endless) Cluster() string                                              { return "" }
func (*endless) Committed(context.Context) (Pair, error)                      { return Pair{}, nil }
func (*endless) Commit(context.Context, Pair) error                           { return nil }
func (*endless) CommitLater(Pair)                                             {}
func (*endless) Range(context.Context) (oldest, newest int64, err error)      { return 0, 1 << 40, nil }
func (*endless) DeadLetter(context.Context, []DeadLetter, func(string)) error { return nil }
func (*endless) Behind(int64) int64                                           { return 1 << 40 }
func (*endless) Trouble() string                                              { return "" }
func (e *endless) Read(_ context.Context, from int64) (Reader, error) {
	e.next = from
	return e, nil
}
func (e *endless) Backlog() int64       { return int64(e.left) }
func (*endless) Ready() <-chan struct{} { return nil }
func (*endless) Close()                 {}
func (e *endless) Next(ctx context.Context, dst []record.Record, _ time.Time) ([]record.Record, error) {
	if e.left == 0 {
		<-ctx.Done()
		return dst, ctx.Err()
	}
	for len(dst) < cap(dst) && e.left > 0 {
		dst = dst[:len(dst)+1]
		r := &dst[len(dst)-1]
		if _, err := e.batch.Read(0, r, nil); err != nil {
			return dst[:len(dst)-1], err
		}
		r.Offset = e.next
		e.next++
		e.left--
	}
	return dst, nil
}

// copies makes a row of every record: its value.
type copies struct{}

func (copies) Renew() {}

func (copies) Prepare(context.Context, []record.Record, func(string)) (bool, error) {
	return false, nil
}

// toRoute0 is what becomes of a record that is a row of the first route. Nobody writes to it.
var toRoute0 record.Match

func (copies) Routes() []*lanev1.Route            { return []*lanev1.Route{{Table: "a"}} }
func (copies) Fingerprint() uint64                { return 1 }
func (copies) Match(*record.Record) *record.Match { return &toRoute0 }
func (copies) AppendRow(dst []byte, r *record.Record, _ int64) ([]byte, error) {
	return protowire.AppendBytes(append(dst, 0x0a), r.Value), nil
}
