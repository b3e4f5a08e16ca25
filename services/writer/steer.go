package writer

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/steering"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// steer does what operators want of this writer: adminv1.SteeringServiceServer. What is about lanes, ingests do.
type steer struct {
	adminv1.UnimplementedSteeringServiceServer

	lanes *lane.Service
	self  *adminv1.ProcessResponse
	log   *slog.Logger
	book  steering.Book
	// drained is until when ingests are to have no lanes here, in nanoseconds since 1970.
	drained atomic.Int64
}

// isDrained reports whether ingests are to have no lanes here.
func (s *steer) isDrained() bool { return time.Now().UnixNano() < s.drained.Load() }

// DrainWriter implements adminv1.SteeringServiceServer. Ingests learn of it with the next report of load.
func (s *steer) DrainWriter(ctx context.Context, r *adminv1.DrainWriterRequest) (*adminv1.DrainWriterResponse, error) {
	act, err := steering.CheckDrain(r)
	if err != nil {
		return nil, err
	}
	if !act.GetLocal() {
		return nil, status.Error(
			codes.FailedPrecondition,
			"a writer knows neither ingests nor other writers, and so not "+
				"whether its lanes have anywhere to go: ask an ingest, or say act.local",
		)
	}
	return steering.Once(ctx, &s.book, act, r, func() (*adminv1.DrainWriterResponse, error) {
		now := time.Now()
		lanes, until, was := s.lanes.Load().Lanes, now.Add(r.GetLength().AsDuration()), s.isDrained()
		summary := fmt.Sprintf(
			"%d lanes leave writer %s, and none is opened there until %s",
			lanes,
			s.self.GetProcess(),
			until.UTC().Format(time.RFC3339),
		)
		if r.GetEnd() {
			until, summary = now, "writer "+s.self.GetProcess()+" takes lanes again"
			if !was {
				summary = "writer " + s.self.GetProcess() + " was not drained"
			}
		}
		if act.GetValidateOnly() {
			summary = "it would be that " + summary
		}
		out := &adminv1.DrainWriterResponse{
			Lanes: int32(lanes), Until: timestamppb.New(until), //nolint:gosec // calls
			Result: &adminv1.Result{
				RequestId: act.GetRequestId(), Summary: summary, Responses: []*adminv1.ProcessResponse{s.self},
				Changed: !act.GetValidateOnly() && (!r.GetEnd() || was),
			},
		}
		if out.GetResult().GetChanged() {
			s.drained.Store(until.UnixNano())
			const event = steering.EventPrefix + "drain writer"
			s.log.Info(event, "by", steering.Actor(ctx, act), "reason", act.GetReason(),
				"request_id", act.GetRequestId(), "until", until, "lanes", lanes, "end", r.GetEnd())
		}
		return out, nil
	})
}
