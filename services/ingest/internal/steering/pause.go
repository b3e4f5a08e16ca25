package steering

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/steering"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
)

// The bounds of a pause. Brokers forget offset commits of a group without members after offsets.retention.minutes,
// which is seven days unless somebody has changed it.
const (
	shortest, longest = time.Second, 6 * 24 * time.Hour
	// within is how long the coordinator may take.
	within = 5 * time.Second
)

// Pause implements adminv1.SteeringServiceServer.
func (s *Server) Pause(ctx context.Context, r *adminv1.PauseRequest) (*adminv1.PauseResponse, error) {
	act, err := steering.Check(r.GetAct())
	if err != nil {
		return nil, err
	}
	length := r.GetLength().AsDuration()
	if length < shortest || length > longest {
		return nil, status.Errorf(
			codes.InvalidArgument,
			"length: %s is not within %s and %s: a pause has an end, and is kept "+
				"for no longer",
			config.Spoken(length), config.Spoken(shortest), config.Spoken(longest),
		)
	}
	return steering.Once(ctx, &s.book, act, r, func() (*adminv1.PauseResponse, error) {
		t, entries, err := s.look(ctx, r.GetTarget())
		if err != nil {
			return nil, err
		}
		out := &adminv1.PauseResponse{
			Result: &adminv1.Result{RequestId: act.GetRequestId(), Earlier: s.earlier(ctx, act, t)},
		}
		for _, table := range t.tables {
			if table != r.GetTarget().GetTable() {
				out.OtherTables = append(out.OtherTables, table)
			}
		}
		now := time.Now()
		entry := pauses.Entry{
			Paused: true, Scope: t.scope, At: now, Until: now.Add(length), By: steering.Actor(ctx, act),
			Reason: act.GetReason(), Request: act.GetRequestId(),
		}
		said := entries.Requested(act.GetRequestId())
		if len(said) > 0 { // at another ingest, or before this one was started
			out.Result.Repeated = true
			for _, entry = range said {
				break
			}
		}
		for _, l := range t.lanes {
			out.Lanes = append(out.Lanes, shown(l, entry))
		}
		done := "paused"
		if act.GetValidateOnly() {
			done = "would be paused"
		}
		out.Result.Summary = fmt.Sprintf("%s (%d lanes) %s until %s", t.name, len(t.lanes), done,
			entry.Until.UTC().Format(time.RFC3339))
		if act.GetValidateOnly() || out.GetResult().GetRepeated() {
			return out, nil
		}
		if err := s.keep(ctx, t.lanes, entry); err != nil {
			return nil, err
		}
		out.Result.Changed = true
		out.Result.Responses = s.announce(ctx)
		s.event(ctx, "pause", act, t, "until", entry.Until, "lanes", len(t.lanes))
		return out, nil
	})
}

// Resume implements adminv1.SteeringServiceServer.
func (s *Server) Resume(ctx context.Context, r *adminv1.ResumeRequest) (*adminv1.ResumeResponse, error) {
	act, err := steering.Check(r.GetAct())
	if err != nil {
		return nil, err
	}
	return steering.Once(ctx, &s.book, act, r, func() (*adminv1.ResumeResponse, error) {
		t, entries, err := s.look(ctx, r.GetTarget())
		if err != nil {
			return nil, err
		}
		out := &adminv1.ResumeResponse{
			Result: &adminv1.Result{RequestId: act.GetRequestId(), Earlier: s.earlier(ctx, act, t)},
		}
		if len(entries.Requested(act.GetRequestId())) > 0 {
			out.Result.Repeated, out.Result.Summary = true, t.name+" resumed"
			return out, nil
		}
		now := time.Now()
		for _, l := range t.lanes {
			if entry, paused := entries.Of(l, now); paused {
				out.Lanes = append(out.Lanes, shown(l, entry))
			}
		}
		switch {
		case len(out.GetLanes()) == 0:
			out.Result.Summary = "nothing of " + t.name + " is paused"
			return out, nil
		case act.GetValidateOnly():
			out.Result.Summary = fmt.Sprintf("%s would be resumed: %d lanes are paused", t.name, len(out.GetLanes()))
			return out, nil
		}
		if err := s.keep(ctx, t.lanes, pauses.Entry{
			Scope: t.scope, At: now, By: steering.Actor(ctx, act), Reason: act.GetReason(), Request: act.GetRequestId(),
		}); err != nil {
			return nil, err
		}
		out.Result.Changed, out.Result.Summary = true, fmt.Sprintf("%s resumed (%d lanes)", t.name, len(out.GetLanes()))
		out.Result.Responses = s.announce(ctx)
		s.event(ctx, "resume", act, t, "lanes", len(out.GetLanes()))
		return out, nil
	})
}

// ListPauses implements adminv1.SteeringServiceServer. It reads what is kept anew.
func (s *Server) ListPauses(
	ctx context.Context, r *adminv1.ListPausesRequest,
) (*adminv1.ListPausesResponse, error) {
	entries, err := s.fresh(ctx)
	if err != nil {
		return nil, err
	}
	out := &adminv1.ListPausesResponse{Responses: []*adminv1.ProcessResponse{s.View.Self}}
	if !r.GetLocal() {
		out.Responses = s.announce(ctx)
	}
	now := time.Now()
	for _, l := range entries.Paused(now) {
		entry, _ := entries.Of(l, now)
		out.Lanes = append(out.Lanes, shown(l, entry))
	}
	return out, nil
}

// look finds a target, and what is kept.
func (s *Server) look(ctx context.Context, of *adminv1.Target) (*target, *pauses.Entries, error) {
	t, err := s.find(ctx, of)
	if err != nil {
		return nil, nil, err
	}
	entries, err := s.fresh(ctx)
	return t, entries, err
}

func (s *Server) fresh(ctx context.Context) (*pauses.Entries, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	entries, err := s.Pauses.Fresh(ctx)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "pauses are kept in Kafka, which does not respond: %v", err)
	}
	return entries, nil
}

// keep keeps an entry for lanes, and applies it here.
func (s *Server) keep(ctx context.Context, lanes []pauses.Lane, entry pauses.Entry) error {
	keeping, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	text := entry.Encode()
	entries := make(map[pauses.Lane]string, len(lanes))
	for _, l := range lanes {
		entries[l] = text
	}
	if err := s.Keep(keeping, entries); err != nil {
		return status.Errorf(
			codes.Unavailable,
			"the brokers did not confirm it, look at ListPauses before you try again: %v",
			err,
		)
	}
	_, _ = s.fresh(ctx) // else this ingest learns of it as others do
	return nil
}

// announce has the other ingests read what is kept, which they do every few seconds anyway.
func (s *Server) announce(ctx context.Context) []*adminv1.ProcessResponse {
	if s.View.Ingests == nil {
		return []*adminv1.ProcessResponse{s.View.Self}
	}
	_, responses := fleetview.Gather(ctx, s.View, s.View.Ingests(ctx),
		func(ctx context.Context, p fleetview.Peer) (*adminv1.ListPausesResponse, error) {
			return p.Steering.ListPauses(ctx, &adminv1.ListPausesRequest{Local: true})
		})
	return responses
}

func shown(l pauses.Lane, w pauses.Entry) *adminv1.PausedLane {
	return &adminv1.PausedLane{
		Topic: l.Topic, Partition: l.Partition, Scope: w.Scope, Since: timestamppb.New(w.At),
		Until: timestamppb.New(w.Until), By: w.By, Reason: w.Reason, RequestId: w.Request,
	}
}
