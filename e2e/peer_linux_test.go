package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/e2e/bench"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
)

// asPeer in the environment makes the test binary the program that bench measures beside Waybill.
const asPeer = "WAYBILL_TEST_AS_PEER"

func init() { //nolint:gochecknoinits // The test binary is a program of its own then, before any test is.
	if os.Getenv(asPeer) != "" {
		os.Exit(peer())
	}
}

// peer moves protobuf records into the default stream as they lie, until SIGTERM. It is the least that `bench peer`
// asks of a program.
func peer() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := movePeer(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		return 1
	}
	return 0
}

func movePeer(ctx context.Context) error {
	kafka, err := kgo.NewClient(kgo.SeedBrokers(os.Getenv("PEER_KAFKA")), kgo.ConsumeTopics(os.Getenv("PEER_TOPIC")),
		kgo.ConsumerGroup(os.Getenv("PEER_GROUP")), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer kafka.Close()
	conn, err := grpc.NewClient(os.Getenv("PEER_BIGQUERY_GRPC"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := storagepb.NewBigQueryWriteClient(conn).AppendRows(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("projects/%s/datasets/%s/tables/%s/streams/_default",
		os.Getenv("PEER_PROJECT"), os.Getenv("PEER_DATASET"), os.Getenv("PEER_TABLE"))
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(schemas.ParcelScanSet, &set); err != nil {
		return err
	}
	schema := &storagepb.ProtoSchema{ProtoDescriptor: set.GetFile()[0].GetMessageType()[0]}
	for {
		records := kafka.PollRecords(ctx, 2000)
		if err := records.Err(); err != nil {
			return err
		}
		rows := &storagepb.ProtoRows{}
		records.EachRecord(func(r *kgo.Record) {
			value := r.Value
			if r.Offset == 7 && os.Getenv("WAYBILL_TEST_PEER_LIES") != "" {
				value = nil // a row without a column
			}
			rows.SerializedRows = append(rows.SerializedRows, value)
		})
		request := &storagepb.AppendRowsRequest{
			WriteStream: name,
			Rows: &storagepb.AppendRowsRequest_ProtoRows{ProtoRows: &storagepb.AppendRowsRequest_ProtoData{
				WriterSchema: schema, Rows: rows,
			}},
		}
		if err := stream.Send(request); err != nil {
			return err
		}
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

// peerRows are so many that they do not come at once: with the race detector the services are a tenth as fast.
func peerRows() int64 {
	if raced {
		return 60_000
	}
	return 400_000
}

// bench measures another program beside Waybill. What the figures are is not judged here.
func TestBenchPeer(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := bench.Peer{
		Name: "least", Command: []string{"env", asPeer + "=1", self}, Workload: "proto-270", Lanes: 2, Codec: "none",
		Runs: 2, Rows: peerRows(), Bin: bin, Progress: io.Discard,
	}
	report, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []bench.PeerResult{report.Waybill, report.Peer} {
		if side.RowsPerS <= 0 || side.CPU <= 0 || side.MBPerCPU <= 0 || side.PeakMB <= 0 {
			t.Errorf("%+v", side)
		}
	}
	var text strings.Builder
	if err := report.Print(&text); err != nil || !strings.Contains(text.String(), "least") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

// A program that does not do its part is an error that says so, not a figure.
func TestBenchPeerFails(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		peer bench.Peer
		want string
	}{
		"it ends": {
			bench.Peer{Command: []string{"sh", "-c", "echo no cloud today; exit 3"}, Workload: "proto-270"},
			"ended after 0 of 20000 rows; the end of its log:\nno cloud today",
		},
		"it lies": {
			bench.Peer{
				Command:  []string{"env", asPeer + "=1", "WAYBILL_TEST_PEER_LIES=1", self},
				Workload: "proto-270",
			},
			"are not the records",
		},
		"it is missing": {bench.Peer{Command: []string{"no-such-program"}, Workload: "json-270"}, "no-such-program"},
		"no command":    {bench.Peer{Workload: "json-270"}, "behind --"},
		"the workload":  {bench.Peer{Command: []string{"true"}, Workload: "avro-v6"}, "choose json-270 or proto-270"},
		"no partition":  {bench.Peer{Command: []string{"true"}, Workload: "json-270", Lanes: -1}, "lanes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := tc.peer
			p.Name, p.Codec, p.Runs, p.Rows, p.Bin, p.Progress = "peer", "none", 1, peerRows(), bin, io.Discard
			if p.Lanes == 0 {
				p.Lanes = 1
			}
			if _, err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}
