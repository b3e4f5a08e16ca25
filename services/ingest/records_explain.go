package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/access"
	"github.com/waybill-data/waybill/pkg/fleetview"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// explainWithin is how long other processes may take to respond.
const explainWithin = 2 * time.Second

// Explain implements adminv1.RecordServiceServer.
func (s *records) Explain(ctx context.Context, r *adminv1.ExplainRequest) (*adminv1.ExplainResponse, error) {
	if r.GetTopic() == "" || r.GetPartition() < 0 || r.GetOffset() < 0 {
		return nil, status.Error(codes.InvalidArgument,
			"topic, partition, offset: a record has all three, none negative")
	}
	if set := s.lanes.loaded(); set != nil && set.Topic(r.GetTopic()) == nil {
		return nil, missing("topic", r.GetTopic(), set.Topics())
	}
	out := s.explained(r)
	out.Responses = []*adminv1.ProcessResponse{s.self}
	if r.GetLocal() {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, explainWithin)
	defer cancel()
	if out.Lane == nil {
		for _, said := range s.others(ctx, s.ingests, r, out) {
			if said.GetLane() != nil {
				said.Responses, out = out.GetResponses(), said
			}
		}
	}
	if out.Lane == nil {
		out.Text = fmt.Sprintf("nobody that was asked carries %s/%d: the group may be rebalancing, or its ingest is "+
			"not among `peers`", r.GetTopic(), r.GetPartition())
		return out, nil
	}
	for _, said := range s.others(ctx, s.writers, r, out) {
		w := said.GetWritten()
		if w != nil && (out.Batch == nil || w.GetFirst() == out.GetBatch().GetFirst() &&
			w.GetEnd() == out.GetBatch().GetEnd()) {
			out.Written = w
		}
	}
	if !access.CallerOf(ctx).May(access.Operator) { // a writer knows who we are, not for whom we ask
		for _, block := range out.GetWritten().GetBlocks() {
			block.Stream = ""
		}
	}
	return out, nil
}

// others asks other processes, and notes who responded.
func (s *records) others(
	ctx context.Context, of func(context.Context) []fleetview.Peer, r *adminv1.ExplainRequest,
	out *adminv1.ExplainResponse,
) []*adminv1.ExplainResponse {
	if of == nil {
		return nil
	}
	peers := of(ctx)
	said := make([]*adminv1.ExplainResponse, len(peers))
	errs := make([]error, len(peers))
	var all sync.WaitGroup
	for i, p := range peers {
		if errs[i] = p.Err; p.Err != nil {
			continue
		}
		all.Go(func() {
			said[i], errs[i] = p.Records.Explain(ctx, &adminv1.ExplainRequest{
				Local: true, Topic: r.GetTopic(), Partition: r.GetPartition(), Offset: r.GetOffset(),
			})
		})
	}
	all.Wait()
	var responded []*adminv1.ExplainResponse
	for i, p := range peers {
		if errs[i] != nil {
			out.Responses = append(out.Responses, &adminv1.ProcessResponse{
				Process: p.Address, Address: p.Address, Error: status.Convert(errs[i]).Message(),
			})
			continue
		}
		if a := said[i].GetResponses(); len(a) > 0 && a[0].GetInstance() != s.self.GetInstance() {
			a[0].Address = p.Address
			out.Responses, responded = append(out.Responses, a[0]), append(responded, said[i])
		}
	}
	return responded
}

// explained is what this ingest knows of the record.
func (s *records) explained(r *adminv1.ExplainRequest) *adminv1.ExplainResponse {
	out := &adminv1.ExplainResponse{Text: "this ingest does not carry its partition"}
	var carried *lane.Lane
	for _, l := range s.lanes.list() {
		if st := l.Status(); st.Topic == r.GetTopic() && st.Partition == r.GetPartition() {
			carried = l
		}
	}
	if carried == nil {
		return out
	}
	number := r.GetPartition()
	lanes := s.overview.Matching(r.GetTopic(), &number, "")
	if len(lanes) == 0 {
		return out
	}
	l := lanes[0]
	out.Lane = l
	batch, found := carried.Batch(r.GetOffset())
	if found {
		out.Batch = &adminv1.Batch{
			Sequence: batch.Sequence, First: batch.First, End: batch.End, Rows: batch.Rows, Bytes: int64(batch.Bytes),
			Sent: timestamppb.New(batch.Sent()), DeadLetters: batch.DeadLetters, Dropped: batch.Dropped,
		}
		if at := batch.Settled(); !at.IsZero() {
			out.Batch.Settled = timestamppb.New(at)
		}
	}
	position, end := l.GetPosition(), l.GetPosition()+l.GetBehindRecords()
	switch {
	case position < 0:
		out.Text = "the lane has not opened yet: it is " + waits(l)
	case found && out.Batch.Settled != nil || r.GetOffset() < position:
		out.Place, out.Text = adminv1.Place_PLACE_SETTLED, settledText(out.GetBatch())
	case found:
		out.Place = adminv1.Place_PLACE_WINDOW
		out.Text = fmt.Sprintf("it is in batch %d, sent %s ago and not settled: %s", batch.Sequence,
			fleetview.Age(time.Since(batch.Sent())), waits(l))
	case l.GetBehindRecords() >= 0 && r.GetOffset() >= end:
		out.Place = adminv1.Place_PLACE_BEYOND
		out.Text = fmt.Sprintf("the partition ends at offset %d: there is no such record yet", end)
	default:
		out.Place = adminv1.Place_PLACE_BEFORE
		out.Text = fmt.Sprintf("it is not sent yet, %d records are before it: the lane is %s", r.GetOffset()-position,
			waits(l))
	}
	return out
}

func settledText(b *adminv1.Batch) string {
	if b == nil {
		return fmt.Sprintf("it is settled; its batch is not among the last %d that the lane remembers", lane.Remembered)
	}
	return fmt.Sprintf("it is settled: in batch %d, sent %s, settled %s later", b.GetSequence(),
		b.GetSent().AsTime().UTC().Format("15:04:05.000 UTC"),
		b.GetSettled().AsTime().Sub(b.GetSent().AsTime()).Round(time.Millisecond))
}

// waits is what a lane is at, and what it waits for.
func waits(l *adminv1.Lane) string {
	text := fmt.Sprintf("%s, its time goes to %s since %s", l.GetState(), l.GetCause(),
		l.GetCauseSince().AsTime().UTC().Format("15:04:05 UTC"))
	if said := l.GetWaitingFor() + l.GetLastError(); said != "" {
		text += " (" + said + ")"
	}
	return text
}
