package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/e2e/stack"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// writersAlone starts the sandbox and writers, without an ingest, and gives a connection to each writer.
func writersAlone(t *testing.T, n int) (*world, []*grpc.ClientConn) {
	t.Helper()
	w := prepared(t, stack.Config{Writers: n})
	w.upSandbox()
	var conns []*grpc.ClientConn
	for _, s := range w.Writers {
		w.restart(s)
		conn, err := grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		conns = append(conns, conn)
	}
	return w, conns
}

// hand plays ingest for one partition by hand: its records are rows that are made up, its commits are kept here. Record
// o becomes the row that encode makes of it, for the only route.
type hand struct {
	topic     string
	partition int32
	route     *lanev1.Route
	encode    func(offset int64) []byte
	// position and checkpoint are what is committed.
	position   int64
	checkpoint string
	// refused are the offsets whose rows BigQuery refused, with what it said; nil: a refusal is an error.
	refused map[int64]string
}

const (
	handBatch  = 20
	handWindow = 6
)

// carry opens a lane and carries records up to an offset. cut ends the call without notice once so many batches are
// settled, if it is not negative; else the call is closed in order. An error that opening again may heal is not
// reported.
func (h *hand) carry(ctx context.Context, conn *grpc.ClientConn, until int64, cut int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := lanev1.NewLaneServiceClient(conn).Lane(ctx)
	if err != nil {
		return err
	}
	err = h.converse(call, until, cut)
	if code := status.Code(err); code == codes.Aborted || code == codes.Unavailable {
		return nil
	}
	return err
}

func (h *hand) converse(call lanev1.LaneService_LaneClient, until int64, cut int) error {
	open := &lanev1.Open{
		Group: "hand", Cluster: "c", Topic: h.topic, Partition: h.partition, Position: h.position,
		Checkpoint: h.checkpoint, Routing: 1,
		Routes: []*lanev1.Route{h.route},
	}
	if err := call.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: open}}); err != nil {
		return said(call, err)
	}
	response, err := call.Recv()
	if err != nil {
		return err
	}
	opened := response.GetOpened()
	var drop uint64
	for _, r := range opened.GetReplay() {
		drop += r.GetRows()
	}
	h.checkpoint = opened.GetCheckpoint()
	if err := h.durable(call, 0); err != nil {
		return err
	}
	next, sequence, settled := h.position, uint64(0), 0
	closing := false
	sent := map[uint64][]int64{} // offsets of the rows of each batch
	for {
		for !closing && next < until && sequence-uint64(settled) < handWindow {
			sequence++
			end := min(next+handBatch, until)
			block := &lanev1.Block{}
			var rows []byte
			for ; next < end; next++ {
				switch {
				case h.refused[next] != "":
				case drop > 0:
					drop--
					block.Dropped++
				default:
					rows = protowire.AppendBytes(append(rows, 0x0a), h.encode(next))
					block.Rows++
					sent[sequence] = append(sent[sequence], next)
				}
			}
			block.Encoding = &lanev1.Block_Encoded{Encoded: rows}
			batch := &lanev1.Append{Sequence: sequence, EndPosition: end, Blocks: []*lanev1.Block{block}}
			if err := call.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Append{Append: batch}}); err != nil {
				return said(call, err)
			}
		}
		if next == until && uint64(settled) == sequence && !closing {
			closing = true
			if err := call.CloseSend(); err != nil {
				return err
			}
		}
		response, err := call.Recv()
		if err != nil {
			return err
		}
		switch m := response.GetMessage().(type) {
		case *lanev1.LaneResponse_Settled:
			h.position, h.checkpoint = m.Settled.GetPosition(), m.Settled.GetCheckpoint()
			if settled++; settled == cut {
				return nil
			}
		case *lanev1.LaneResponse_Checkpoint:
			h.position, h.checkpoint = m.Checkpoint.GetPosition(), m.Checkpoint.GetCheckpoint()
			if err := h.durable(call, m.Checkpoint.GetBarrier()); err != nil {
				return err
			}
		case *lanev1.LaneResponse_Closed:
			h.position, h.checkpoint = m.Closed.GetPosition(), m.Closed.GetCheckpoint()
			return nil
		case *lanev1.LaneResponse_Refused:
			if err := h.leaveOut(call, m.Refused, sent[m.Refused.GetSequence()]); err != nil {
				return err
			}
		default:
			return fmt.Errorf("unexpected %T", m)
		}
	}
}

// leaveOut responds to a refusal: the rows' dead letters, which nobody reads here, are durable.
func (h *hand) leaveOut(call lanev1.LaneService_LaneClient, m *lanev1.Refused, sent []int64) error {
	if h.refused == nil {
		return fmt.Errorf("rows were refused: %v", m.GetRows()[0])
	}
	var offsets []int64
	for _, r := range m.GetRows() {
		offset := sent[r.GetRow()]
		h.refused[offset] = r.GetCode() + ": " + r.GetMessage()
		offsets = append(offsets, offset)
	}
	left := &lanev1.LeftOut{Sequence: m.GetSequence(), Offsets: offsets}
	return said(call, call.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_LeftOut{LeftOut: left}}))
}

func (h *hand) durable(call lanev1.LaneService_LaneClient, barrier uint64) error {
	durable := &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{Barrier: barrier}}
	err := call.Send(&lanev1.LaneRequest{Message: durable})
	return said(call, err)
}

// said is why a call takes no more messages: its own error is in its response.
func said(call lanev1.LaneService_LaneClient, err error) error {
	for errors.Is(err, io.EOF) {
		if _, responded := call.Recv(); responded != nil {
			return responded
		}
	}
	return err
}
