package steering

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/steering"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

// MoveLane implements adminv1.SteeringServiceServer.
func (s *Server) MoveLane(ctx context.Context, r *adminv1.MoveLaneRequest) (*adminv1.MoveLaneResponse, error) {
	act, err := s.laneAct(r)
	switch {
	case err != nil:
		return nil, err
	case r.GetWriter() == "":
		return nil, status.Error(codes.InvalidArgument, "writer: names none")
	}
	return steering.Once(ctx, &s.book, act, r, func() (*adminv1.MoveLaneResponse, error) {
		address := s.Writers.Address(r.GetWriter())
		if address == "" {
			return nil, steering.NotFound("writer", r.GetWriter(), s.Writers.Names())
		}
		id := pauses.Lane{Topic: r.GetTopic(), Partition: r.GetPartition()}
		t := &target{
			scope: pauses.ScopeLane, name: "lane " + id.String(), topics: []string{id.Topic}, lanes: []pauses.Lane{id},
		}
		why := "asked for by " + steering.Actor(ctx, act)
		if act.GetReason() != "" {
			why += ": " + act.GetReason()
		}
		earlier := s.earlier(ctx, act, t)
		from, to, moves, err := s.Writers.Move(id.Topic, id.Partition, address, why, act.GetValidateOnly())
		switch {
		case errors.Is(err, placement.ErrUnknown) && act.GetLocal():
			return nil, status.Error(codes.NotFound, err.Error())
		case errors.Is(err, placement.ErrUnknown):
			if _, err := s.find(ctx, &adminv1.Target{Topic: id.Topic, Partition: &id.Partition}); err != nil {
				return nil, err
			}
			on := &adminv1.MoveLaneRequest{
				Act: s.passed(ctx, act), Topic: id.Topic, Partition: id.Partition, Writer: r.GetWriter(),
			}
			return owner(pass(ctx, s.ingests(ctx),
				func(ctx context.Context, c adminv1.SteeringServiceClient) (*adminv1.MoveLaneResponse, error) {
					return c.MoveLane(ctx, on)
				}), "nobody that was asked carries "+id.String())
		case err != nil:
			return nil, status.Error(codes.FailedPrecondition, err.Error())
		}
		out := &adminv1.MoveLaneResponse{From: from, To: to, Result: &adminv1.Result{
			RequestId: act.GetRequestId(), Earlier: earlier, Responses: []*adminv1.ProcessResponse{s.View.Self},
		}}
		switch {
		case !moves:
			out.Result.Summary = fmt.Sprintf("%s is at %s already", t.name, to)
		case act.GetValidateOnly():
			out.Result.Summary = fmt.Sprintf("%s would move from %s to %s", t.name, from, to)
		default:
			out.Result.Changed, out.Result.Summary = true, fmt.Sprintf("%s moves from %s to %s", t.name, from, to)
			s.event(ctx, "move", act, t, "from", from, "to", to)
		}
		return out, nil
	})
}

// DrainWriter implements adminv1.SteeringServiceServer: the writer does it, and ingests follow what it reports.
func (s *Server) DrainWriter(ctx context.Context, r *adminv1.DrainWriterRequest) (*adminv1.DrainWriterResponse, error) {
	act, err := steering.CheckDrain(r)
	if err != nil {
		return nil, err
	}
	return steering.Once(ctx, &s.book, act, r, func() (*adminv1.DrainWriterResponse, error) {
		address := s.Writers.Address(r.GetWriter())
		if address == "" {
			return nil, steering.NotFound("writer", r.GetWriter(), s.Writers.Names())
		}
		others := 0
		for _, w := range s.View.Local.Plan().GetWriters() {
			if w.GetState() == string(placement.Serving) && w.GetAddress() != address {
				others++
			}
		}
		if others == 0 && !r.GetEnd() {
			return nil, status.Errorf(codes.FailedPrecondition, "no other writer than %s takes lanes: start one first",
				r.GetWriter())
		}
		var peers []fleetview.Peer
		if s.View.Writers != nil {
			peers = s.View.Writers(ctx)
		}
		peers = slices.DeleteFunc(peers, func(p fleetview.Peer) bool { return p.Address != address })
		on := &adminv1.DrainWriterRequest{
			Act: s.passed(ctx, act), Writer: r.GetWriter(), Length: r.GetLength(), End: r.GetEnd(),
		}
		earlier := s.earlier(ctx, act, nil)
		out, err := owner(pass(ctx, peers,
			func(ctx context.Context, c adminv1.SteeringServiceClient) (*adminv1.DrainWriterResponse, error) {
				return c.DrainWriter(ctx, on)
			}), "writer "+r.GetWriter()+" does not respond")
		if err != nil {
			return nil, err
		}
		out.Result.Earlier = earlier
		return out, nil
	})
}

// Spread implements adminv1.SteeringServiceServer.
func (s *Server) Spread(ctx context.Context, r *adminv1.SpreadRequest) (*adminv1.SpreadResponse, error) {
	act, err := steering.Check(r.GetAct())
	if err != nil {
		return nil, err
	}
	return steering.Once(ctx, &s.book, act, r, func() (*adminv1.SpreadResponse, error) {
		self := []*adminv1.ProcessResponse{s.View.Self}
		out := &adminv1.SpreadResponse{Result: &adminv1.Result{RequestId: act.GetRequestId(), Responses: self}}
		if s.fromUs(act) { // it has done so
			return out, nil
		}
		if !act.GetLocal() {
			out.Result.Earlier = s.earlier(ctx, act, nil)
		}
		if !act.GetValidateOnly() {
			s.Writers.Settle()
			s.event(ctx, "spread", act, &target{name: "all lanes of this ingest"})
			out.Result.Changed = true
		}
		out.Plans = []*adminv1.Plan{s.View.Local.Plan()}
		if !act.GetLocal() {
			on := &adminv1.SpreadRequest{Act: s.passed(ctx, act)}
			for _, p := range pass(ctx, s.ingests(ctx),
				func(ctx context.Context, c adminv1.SteeringServiceClient) (*adminv1.SpreadResponse, error) {
					return c.Spread(ctx, on)
				}) {
				if p.err != nil {
					out.Result.Responses = append(out.Result.Responses, &adminv1.ProcessResponse{
						Process: p.peer.Address, Address: p.peer.Address, Error: status.Convert(p.err).Message(),
					})
					continue
				}
				for _, a := range p.r.GetResult().GetResponses() {
					if a.GetInstance() != s.View.Self.GetInstance() {
						out.Result.Responses = append(out.Result.Responses, a)
					}
				}
				out.Plans = append(out.Plans, p.r.GetPlans()...)
			}
		}
		done := "spread their lanes until they are even"
		if act.GetValidateOnly() {
			done = "would " + done
		}
		out.Result.Summary = fmt.Sprintf("%d ingest(s) %s", len(out.GetPlans()), done)
		return out, nil
	})
}
