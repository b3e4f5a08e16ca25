package steering

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/steering"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
)

// Lanes are those of this ingest.
type Lanes interface {
	// Skip is the lane of a partition, if this ingest has it.
	Skip(topic string, partition int32) (Skipper, bool)
}

// Skipper skips records of a lane: *lane.Lane.
type Skipper interface {
	Skip(offset int64, why string) error
	Skipped(offset int64) (became lane.Became, settled bool)
	Status() lane.Status
}

const (
	// skippedWithin is how long a call waits for the record to be settled, and looksEvery how often it looks.
	skippedWithin, looksEvery = 10 * time.Second, 20 * time.Millisecond
	// kafkaWithin is how long Kafka may take to say a position.
	kafkaWithin = 3 * time.Second
)

// SkipRecord implements adminv1.SteeringServiceServer.
func (s *Server) SkipRecord(ctx context.Context, r *adminv1.SkipRecordRequest) (*adminv1.SkipRecordResponse, error) {
	act, err := s.laneAct(r)
	switch {
	case err != nil:
		return nil, err
	case r.GetOffset() < 0:
		return nil, status.Errorf(codes.InvalidArgument, "offset: %d is none", r.GetOffset())
	case act.GetReason() == "":
		return nil, status.Error(codes.InvalidArgument, "act.reason: is needed, for it is said in the dead letter")
	}
	return steering.Once(ctx, &s.book, act, r, func() (*adminv1.SkipRecordResponse, error) {
		id := pauses.Lane{Topic: r.GetTopic(), Partition: r.GetPartition()}
		t := &target{
			scope: pauses.ScopeLane, name: fmt.Sprintf("record %v/%d", id, r.GetOffset()), topics: []string{id.Topic},
			lanes: []pauses.Lane{id},
		}
		l, ours := s.Lanes.Skip(id.Topic, id.Partition)
		switch {
		case !ours && act.GetLocal():
			return nil, status.Errorf(codes.NotFound, "this ingest does not carry %v", id)
		case !ours:
			if _, err := s.find(ctx, &adminv1.Target{Topic: id.Topic, Partition: &id.Partition}); err != nil {
				return nil, err
			}
			on := &adminv1.SkipRecordRequest{
				Act: s.passed(ctx, act), Topic: id.Topic, Partition: id.Partition, Offset: r.GetOffset(),
			}
			return owner(passWithin(ctx, skippedWithin+actWithin, s.ingests(ctx),
				func(ctx context.Context, c adminv1.SteeringServiceClient) (*adminv1.SkipRecordResponse, error) {
					return c.SkipRecord(ctx, on)
				}), "nobody that was asked carries "+id.String())
		}
		earlier := s.earlier(ctx, act, t)
		out, err := s.skip(ctx, act, t, l, r.GetOffset())
		if err != nil {
			return nil, err
		}
		out.Result.Earlier = earlier
		return out, nil
	})
}

// skip has a lane of this ingest skip a record.
func (s *Server) skip(
	ctx context.Context, act *adminv1.Act, t *target, l Skipper, offset int64,
) (*adminv1.SkipRecordResponse, error) {
	at := l.Status()
	end := at.Position + at.Lag
	out := &adminv1.SkipRecordResponse{Position: at.Position, Result: &adminv1.Result{
		RequestId: act.GetRequestId(), Responses: []*adminv1.ProcessResponse{s.View.Self},
	}}
	settled := func() error {
		return status.Errorf(codes.FailedPrecondition, "%s is settled already (the position is %d), and nothing can "+
			"be changed about it; `ingest explain %v/%d` says what it became", t.name, at.Position, t.lanes[0], offset)
	}
	switch {
	case at.Position > offset:
		return nil, settled()
	case at.Position >= 0 && at.Lag >= 0 && offset >= end:
		// What the lane knows of the end may be some seconds old.
		if err := s.isThere(ctx, t, offset); err != nil {
			return nil, err
		}
	}
	if act.GetValidateOnly() {
		out.Result.Summary = fmt.Sprintf("%s would become a dead letter once its lane is there, which is at offset %d",
			t.name, at.Position)
		return out, nil
	}
	switch err := l.Skip(offset, steering.Actor(ctx, act)+": "+act.GetReason()); {
	case errors.Is(err, lane.ErrSettled):
		return nil, settled()
	case err != nil:
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	s.event(ctx, "skip", act, t, "offset", offset)
	out.Result.Changed = true
	tick := time.NewTicker(looksEvery)
	defer tick.Stop()
	for until := time.Now().Add(skippedWithin); ; {
		became, settled := l.Skipped(offset)
		now := l.Status()
		if out.Position = now.Position; settled && s.isCommitted(ctx, t, offset) {
			out.Settled, out.Became = true, string(became)
			out.Result.Summary = t.name + " " + becomes(became)
			return out, nil
		}
		if !time.Now().Before(until) {
			out.Result.Summary = fmt.Sprintf("%s becomes a dead letter once its lane is there; it is %s at offset %d",
				t.name, now.State, now.Position)
			if now.WaitingFor != "" {
				out.Result.Summary += ", and waits for " + now.WaitingFor
			}
			return out, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
}

// isThere asks Kafka whether a partition has an offset by now.
func (s *Server) isThere(ctx context.Context, t *target, offset int64) error {
	ctx, cancel := context.WithTimeout(ctx, kafkaWithin)
	defer cancel()
	end, err := s.Positions.End(ctx, t.lanes[0])
	switch {
	case err != nil:
		return status.Errorf(codes.Unavailable, "Kafka does not say whether there is a %s yet: %v", t.name, err)
	case offset >= end:
		// Not NOT_FOUND: that says that another ingest has the lane.
		return status.Errorf(codes.FailedPrecondition, "there is no %s yet: the partition ends at offset %d", t.name,
			end)
	}
	return nil
}

// isCommitted asks Kafka whether the position of a lane is committed behind an offset. Until then it is not certain
// what the record has become: were this process to die, the next owner of the lane would meet it again, without the
// order.
func (s *Server) isCommitted(ctx context.Context, t *target, offset int64) bool {
	ctx, cancel := context.WithTimeout(ctx, kafkaWithin)
	defer cancel()
	position, err := s.Positions.Committed(ctx, t.lanes[0])
	return err == nil && position > offset
}

// becomes is what a record has become, in words.
func becomes(what lane.Became) string {
	switch what {
	case lane.BecameLetter:
		return "is a dead letter, and its lane is past it"
	case lane.BecameRow:
		return "is a row: that was in the table before the order came"
	case lane.BecameNothing:
		return "is passed: its contracts ignore it"
	}
	return "is passed, and the lane has not met it: it was settled before the order came, or no record is at the offset"
}
