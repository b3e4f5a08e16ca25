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
		ctx context.Context, r *adminv1.ReplayDeadLettersRequest, progress func(*adminv1.ReplayDeadLettersResponse),
	) (*adminv1.ReplayDeadLettersResponse, error)
}

// reportEvery is how often the progress of a replay of dead letters is shown.
const reportEvery = time.Second

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
	name := act.GetRequestId()
	if o := s.jobs.find(name); o != nil && r.GetDetached() && !act.GetValidateOnly() {
		out := lettersOf(o.now())
		out.Result = &adminv1.Result{
			RequestId: name, Repeated: true, Summary: "dead letters: " + share(o.now()),
			Responses: []*adminv1.ProcessResponse{s.View.Self},
		}
		return stream.Send(out)
	}
	work := ctx
	if r.GetDetached() && !act.GetValidateOnly() {
		work = context.WithoutCancel(ctx)
	}
	o, err := s.jobs.begin(work, &adminv1.Replay{
		Name: name, DeadLetters: true, Topics: r.GetTopics(), Process: s.View.Self.GetProcess(),
		By: steering.Actor(ctx, act), Reason: act.GetReason(),
	})
	if err != nil {
		return err
	}
	t := &target{name: "dead letters", topics: r.GetTopics()}
	earlier := s.earlier(ctx, act, t)
	if !act.GetValidateOnly() {
		s.event(ctx, "replay dead letters", act, t)
	}
	l := &letters{Server: s, act: act, request: r, target: t, job: o}
	if r.GetDetached() && !act.GetValidateOnly() {
		if err := s.detach(ctx, o, func(work context.Context) { _, _ = l.replay(work, ctx, nil) }); err != nil {
			return err
		}
		return stream.Send(&adminv1.ReplayDeadLettersResponse{Result: &adminv1.Result{
			RequestId: name, Earlier: earlier, Responses: []*adminv1.ProcessResponse{s.View.Self}, Changed: true,
			Summary: "dead letters are being replayed by " + s.View.Self.GetProcess() + ", as " + name,
		}})
	}
	out, err := l.replay(o.work, ctx, stream)
	if err != nil {
		return err
	}
	would := "replayed"
	if act.GetValidateOnly() {
		would = "would be replayed"
	}
	out.Result = &adminv1.Result{
		RequestId: act.GetRequestId(), Earlier: earlier, Responses: []*adminv1.ProcessResponse{s.View.Self},
		Changed: !act.GetValidateOnly() && out.GetProduced() > 0,
		Summary: fmt.Sprintf("%s %s, %d were before, %d letters are skipped", records(out.GetProduced()), would,
			out.GetAlready(), out.GetSelected()-out.GetProduced()-out.GetAlready()),
	}
	return stream.Send(out)
}

// letters is one replay of dead letters.
type letters struct {
	*Server
	act     *adminv1.Act
	request *adminv1.ReplayDeadLettersRequest
	target  *target
	job     *job
}

// replay replays until work ends, and tells a stream, if there is one. caller is the call that asked for it.
func (l *letters) replay(
	work, caller context.Context, stream grpc.ServerStreamingServer[adminv1.ReplayDeadLettersResponse],
) (*adminv1.ReplayDeadLettersResponse, error) {
	said := time.Now()
	out, err := l.Letters.Replay(work, l.request, func(now *adminv1.ReplayDeadLettersResponse) {
		l.job.change(func(r *adminv1.Replay) { showLetters(r, now) })
		if stream != nil && (now.GetTrouble() != "" || time.Since(said) >= reportEvery) {
			said = time.Now()
			_ = stream.Send(now) // whoever has gone has ended the work
		}
	})
	if err == nil {
		l.job.change(func(r *adminv1.Replay) { showLetters(r, out) })
	}
	l.job.end(err)
	if l.act.GetValidateOnly() {
		l.jobs.forget(l.job)
	} else {
		l.ends(l.job)
	}
	if stopped := l.job.refused(l.job.now().GetRows()); err != nil && stopped != nil {
		return nil, stopped
	}
	if err == nil && !l.act.GetValidateOnly() {
		l.event(caller, "dead letters are replayed", l.act, l.target, "produced", out.GetProduced(), "already",
			out.GetAlready())
	}
	return out, err
}

// showLetters shows how far a replay of dead letters is.
func showLetters(r *adminv1.Replay, now *adminv1.ReplayDeadLettersResponse) {
	r.Settled, r.Rows, r.Waits = now.GetSelected(), now.GetProduced(), now.GetTrouble()
	r.Faults = nil
	for _, s := range now.GetSkipped() {
		r.Faults = append(r.Faults, &adminv1.ReplayFault{
			Reason: s.GetCause() + " (" + s.GetRemedy() + ")", Count: s.GetCount(),
			First: s.GetFirst() + ": " + s.GetDetail(),
		})
	}
}

// lettersOf is what is shown of a replay as its response.
func lettersOf(r *adminv1.Replay) *adminv1.ReplayDeadLettersResponse {
	return &adminv1.ReplayDeadLettersResponse{Selected: r.GetSettled(), Produced: r.GetRows()}
}

// chooses says that a request chooses letters, or all of them by that word.
func chooses(r *adminv1.ReplayDeadLettersRequest) bool {
	return r.GetAll() || len(r.GetTopics())+len(r.GetPlaces())+len(r.GetReasons())+len(r.GetContracts())+
		len(r.GetTypes())+len(r.GetPartitions())+int(r.GetLimit()) > 0 || r.FirstOffset != nil ||
		r.LastOffset != nil || r.GetSince() != nil || r.GetUntil() != nil
}
