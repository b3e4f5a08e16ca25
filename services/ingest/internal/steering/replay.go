package steering

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/steering"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// Replayer makes replays of topics.
type Replayer interface {
	// Prepare finds out what a replay does, and refuses what cannot be. It changes nothing. Errors are statuses.
	Prepare(ctx context.Context, r *adminv1.ReplayRequest) (Replay, error)
}

// Replay is a replay of a topic.
type Replay interface {
	// Shown is what it does.
	Shown() *adminv1.Replay
	// Run does it, and tells how far it is: settled, total, rows, faults, left and waits. The error is why not all is
	// done.
	Run(ctx context.Context, progress func(*adminv1.Replay)) error
	// Close ends it.
	Close()
}

// Replay implements adminv1.SteeringServiceServer.
func (s *Server) Replay(ctx context.Context, r *adminv1.ReplayRequest) (*adminv1.ReplayResponse, error) {
	act, err := steering.Check(r.GetAct())
	switch {
	case err != nil:
		return nil, err
	case r.GetName() == "":
		return nil, status.Error(codes.InvalidArgument, "name: is needed, for it tells this replay from others")
	case r.GetTopic() == "":
		return nil, status.Error(codes.InvalidArgument, "topic: names none")
	case len(r.GetInto()) == 0 && r.GetSuffix() == "":
		return nil, status.Error(codes.InvalidArgument, "into: where do rows go? Name a table, or a suffix")
	case r.GetBytesPerSecond() < 0:
		return nil, status.Error(codes.InvalidArgument, "bytes_per_second: is negative")
	}
	return steering.Once(ctx, &s.book, act, r, func() (*adminv1.ReplayResponse, error) {
		t := &target{name: "replay " + r.GetName(), topics: []string{r.GetTopic()}}
		if err := s.runsElsewhere(ctx, r.GetName()); err != nil {
			return nil, err
		}
		replay, err := s.Replayer.Prepare(ctx, r)
		if err != nil {
			return nil, err
		}
		shown := replay.Shown()
		shown.By, shown.Reason = steering.Actor(ctx, act), act.GetReason()
		shown.Process = s.View.Self.GetProcess()
		out := &adminv1.ReplayResponse{Replay: shown, Result: &adminv1.Result{
			RequestId: act.GetRequestId(), Earlier: s.earlier(ctx, act, t),
			Responses: []*adminv1.ProcessResponse{s.View.Self},
		}}
		if act.GetValidateOnly() {
			replay.Close()
			out.Result.Summary = planned(shown, "would be replayed")
			return out, nil
		}
		// The job lives longer than the call.
		o, err := s.jobs.begin(context.WithoutCancel(ctx), shown)
		if err != nil {
			replay.Close()
			return nil, err
		}
		if err := s.detach(ctx, o, func(ctx context.Context) { s.replays(ctx, o, replay) }); err != nil {
			replay.Close()
			return nil, err
		}
		s.event(ctx, "replay", act, t, "name", r.GetName(), "tables", inPairs(shown.GetTables()))
		out.Result.Changed, out.Result.Summary = true, planned(shown, "are being replayed by "+shown.GetProcess())
		out.Replay = o.now()
		return out, nil
	})
}

// runsElsewhere refuses a replay that another ingest runs. A command that does the same shares its partitions.
func (s *Server) runsElsewhere(ctx context.Context, name string) error {
	all, err := s.View.ListReplays(ctx, &adminv1.ListReplaysRequest{})
	if err != nil {
		return err
	}
	for _, o := range all.GetReplays() {
		if o.GetName() == name && o.GetState() == fleetview.Running && !o.GetDeadLetters() && o.GetProcess() != "" {
			return status.Errorf(codes.FailedPrecondition, "replay %s is under way already: %s runs it. Stop it "+
				"first, or take another name and another table", name, o.GetProcess())
		}
	}
	return nil
}

// replays runs a replay to its end.
func (s *Server) replays(ctx context.Context, o *job, replay Replay) {
	defer replay.Close()
	err := replay.Run(ctx, func(now *adminv1.Replay) {
		o.change(func(r *adminv1.Replay) {
			r.Settled, r.Total, r.Rows, r.Faults = now.GetSettled(), now.GetTotal(), now.GetRows(), now.GetFaults()
			r.Left, r.Waits = now.GetLeft(), now.GetWaits()
		})
	})
	o.end(err)
	s.ends(o)
}

// planned is what a replay does, in a sentence.
func planned(r *adminv1.Replay, what string) string {
	var into []string
	for _, old := range slices.Sorted(maps.Keys(r.GetTables())) {
		into = append(into, r.GetTables()[old])
	}
	text := fmt.Sprintf("%d offsets of %d partitions of %s %s into %s", r.GetTotal()-r.GetSettled(),
		len(r.GetRanges()), strings.Join(r.GetTopics(), ", "), what, strings.Join(into, ", "))
	return strings.Join(append([]string{text}, r.GetRemarks()...), "; ")
}

// inPairs are tables as `ingest replay --into` takes them.
func inPairs(tables map[string]string) string {
	var all []string
	for _, old := range slices.Sorted(maps.Keys(tables)) {
		all = append(all, old+"="+tables[old])
	}
	return strings.Join(all, ",")
}

// StopReplay implements adminv1.SteeringServiceServer.
func (s *Server) StopReplay(ctx context.Context, r *adminv1.StopReplayRequest) (*adminv1.StopReplayResponse, error) {
	act, err := s.passable(r.GetAct())
	switch {
	case err != nil:
		return nil, err
	case r.GetName() == "":
		return nil, status.Error(codes.InvalidArgument, "name: names none")
	}
	return steering.Once(ctx, &s.book, act, r, func() (*adminv1.StopReplayResponse, error) {
		o := s.jobs.find(r.GetName())
		if o == nil || o.now().GetState() != fleetview.Running { // another one may run it by now
			return s.stopElsewhere(ctx, act, r.GetName())
		}
		return s.stop(ctx, act, o)
	})
}

// stopElsewhere has another ingest stop a replay, or says why there is nothing to stop.
func (s *Server) stopElsewhere(
	ctx context.Context, act *adminv1.Act, name string,
) (*adminv1.StopReplayResponse, error) {
	if act.GetLocal() {
		return nil, status.Errorf(codes.NotFound, "this ingest runs no replay %s", name)
	}
	all, err := s.View.ListReplays(ctx, &adminv1.ListReplaysRequest{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, o := range all.GetReplays() {
		if names = append(names, o.GetName()); o.GetName() != name {
			continue
		}
		switch {
		case o.GetState() != fleetview.Running:
			return &adminv1.StopReplayResponse{Replay: o, Result: &adminv1.Result{
				RequestId: act.GetRequestId(), Responses: all.GetResponses(),
				Summary: fmt.Sprintf("replay %s is %s already: %s", name, o.GetState(), share(o)),
			}}, nil
		case o.GetProcess() == "":
			return nil, status.Errorf(codes.FailedPrecondition, "replay %s is run by a command, `ingest replay`: "+
				"interrupt that, where it runs (%s)", name, o.GetWaits())
		}
		on := &adminv1.StopReplayRequest{Act: s.passed(ctx, act), Name: name}
		return owner(passWithin(ctx, stoppedWithin+actWithin, s.ingests(ctx),
			func(ctx context.Context, c adminv1.SteeringServiceClient) (*adminv1.StopReplayResponse, error) {
				return c.StopReplay(ctx, on)
			}), "nobody that was asked runs replay "+name)
	}
	return nil, steering.NotFound("replay", name, names)
}

// stoppedWithin is how long a call waits until a replay has stopped.
const stoppedWithin = 10 * time.Second

// stop stops a replay of this process.
func (s *Server) stop(ctx context.Context, act *adminv1.Act, o *job) (*adminv1.StopReplayResponse, error) {
	was := o.now()
	name := "replay " + was.GetName()
	t := &target{name: name, topics: was.GetTopics()}
	out := &adminv1.StopReplayResponse{Replay: was, Result: &adminv1.Result{
		RequestId: act.GetRequestId(), Earlier: s.earlier(ctx, act, t),
		Responses: []*adminv1.ProcessResponse{s.View.Self},
	}}
	switch {
	case was.GetState() != fleetview.Running:
		out.Result.Summary = fmt.Sprintf("%s is %s already: %s", name, was.GetState(), share(was))
		return out, nil
	case act.GetValidateOnly():
		out.Result.Summary = fmt.Sprintf("%s would stop: %s", name, share(was))
		return out, nil
	}
	o.stop(&stoppedError{steering.Actor(ctx, act), act.GetReason()})
	s.event(ctx, "stop replay", act, t, "name", was.GetName())
	out.Result.Changed = true
	timer := time.NewTimer(stoppedWithin)
	defer timer.Stop()
	select {
	case <-o.ended:
		out.Replay = o.now()
		out.Result.Summary = fmt.Sprintf("%s is %s: %s", name, out.GetReplay().GetState(), share(out.GetReplay()))
	case <-timer.C:
		out.Result.Summary = name + " stops once what is on its way is settled"
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return out, nil
}
