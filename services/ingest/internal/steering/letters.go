package steering

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/steering"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// Letters replays dead letters.
type Letters interface {
	// Replay does so, and tells how far it is as it goes. What it returns is the end. Errors are statuses, or that of
	// ctx: what was produced until then is marked, and is not produced again.
	Replay(
		ctx context.Context, r *adminv1.ReplayDeadLettersRequest, told func(*adminv1.ReplayDeadLettersResponse),
	) (*adminv1.ReplayDeadLettersResponse, error)
}

// tellEvery is how often a replay of dead letters is told of.
const tellEvery = time.Second

// ReplayDeadLetters implements adminv1.SteeringServiceServer.
func (s *Server) ReplayDeadLetters(
	r *adminv1.ReplayDeadLettersRequest, stream grpc.ServerStreamingServer[adminv1.ReplayDeadLettersResponse],
) error {
	ctx := stream.Context()
	act, err := steering.Check(r.GetAct())
	if err != nil {
		return err
	}
	if !chooses(r) {
		return status.Error(codes.InvalidArgument, "all: nothing chooses letters; name topics, places, reasons or the "+
			"like, or say all")
	}
	topics, loaded := s.Contracts.Topics()
	if !loaded {
		return status.Error(codes.Unavailable, "the contracts are not loaded yet; try again in a moment")
	}
	for _, topic := range r.GetTopics() {
		if len(s.Contracts.Tables(topic)) == 0 {
			return steering.NotFound("topic with a contract", topic, topics)
		}
	}
	select {
	case s.replaying <- struct{}{}:
		defer func() { <-s.replaying }()
	default:
		return status.Error(codes.FailedPrecondition, "dead letters are being replayed by this ingest already: wait "+
			"for the end of that, or end the call that asked for it")
	}
	t := &target{name: "dead letters", topics: r.GetTopics()}
	earlier := s.earlier(ctx, act, t)
	if !act.GetValidateOnly() {
		s.event(ctx, "replay dead letters", act, t)
	}
	said := time.Now()
	out, err := s.Letters.Replay(ctx, r, func(now *adminv1.ReplayDeadLettersResponse) {
		if now.GetTrouble() != "" || time.Since(said) >= tellEvery {
			said = time.Now()
			_ = stream.Send(now) // whoever has gone has ended ctx
		}
	})
	if err != nil {
		return err
	}
	would := "replayed"
	if act.GetValidateOnly() {
		would = "would be replayed"
	} else {
		s.event(ctx, "dead letters are replayed", act, t, "produced", out.GetProduced(), "already", out.GetAlready())
	}
	out.Result = &adminv1.Result{
		RequestId: act.GetRequestId(), Earlier: earlier, Answers: []*adminv1.Answer{s.View.Self},
		Changed: !act.GetValidateOnly() && out.GetProduced() > 0,
		Summary: fmt.Sprintf("%d records %s, %d were before, %d letters are skipped", out.GetProduced(), would,
			out.GetAlready(), out.GetSelected()-out.GetProduced()-out.GetAlready()),
	}
	return stream.Send(out)
}

// chooses says that a request chooses letters, or all of them by that word.
func chooses(r *adminv1.ReplayDeadLettersRequest) bool {
	return r.GetAll() || len(r.GetTopics())+len(r.GetPlaces())+len(r.GetReasons())+len(r.GetContracts())+
		len(r.GetTypes())+len(r.GetPartitions())+int(r.GetLimit()) > 0 || r.FirstOffset != nil ||
		r.LastOffset != nil || r.GetSince() != nil || r.GetUntil() != nil
}
