package steering

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/steering"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// actWithin is how long another process may take for an act.
const actWithin = 5 * time.Second

// passed is an act as it is passed on: for whoever asked us, and to nobody else.
func (s *Server) passed(ctx context.Context, act *adminv1.Act) *adminv1.Act {
	out := proto.CloneOf(act)
	out.Local, out.OnBehalfOf, out.PassedBy = true, steering.Actor(ctx, act), s.View.Self.GetInstance()
	return out
}

// fromUs reports whether an act has come back.
func (s *Server) fromUs(act *adminv1.Act) bool { return act.GetPassedBy() == s.View.Self.GetInstance() }

// passable checks an act that is passed on to the process that it is for.
func (s *Server) passable(a *adminv1.Act) (*adminv1.Act, error) {
	act, err := steering.Check(a)
	if err == nil && s.fromUs(act) {
		err = status.Error(codes.NotFound, "it was passed on by this process")
	}
	return act, err
}

// laneAct checks an act upon one lane.
func (s *Server) laneAct(r interface {
	GetAct() *adminv1.Act
	GetTopic() string
},
) (*adminv1.Act, error) {
	act, err := s.passable(r.GetAct())
	if err == nil && r.GetTopic() == "" {
		err = status.Error(codes.InvalidArgument, "topic: names none")
	}
	return act, err
}

// said is what a process said to an act.
type said[R any] struct {
	peer fleetview.Peer
	r    R
	err  error
}

// pass passes an act on to peers, at once.
func pass[R any](
	ctx context.Context, peers []fleetview.Peer, call func(context.Context, adminv1.SteeringServiceClient) (R, error),
) []said[R] {
	return passWithin(ctx, actWithin, peers, call)
}

// passWithin passes on an act that may take longer.
func passWithin[R any](
	ctx context.Context, within time.Duration, peers []fleetview.Peer,
	call func(context.Context, adminv1.SteeringServiceClient) (R, error),
) []said[R] {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	out := make([]said[R], len(peers))
	var all sync.WaitGroup
	for i, p := range peers {
		out[i] = said[R]{peer: p, err: p.Err}
		if p.Err == nil {
			all.Go(func() { out[i].r, out[i].err = call(ctx, p.Steering) })
		}
	}
	all.Wait()
	return out
}

// owner is what the process said that an act is for: the first that did it, or refused it. NOT_FOUND is said by those
// that it is not for. When it is for none, nobody is what is missing.
func owner[R any](all []said[R], nobody string) (R, error) {
	var none R
	away := ""
	var refused error
	for _, s := range all {
		switch status.Code(s.err) {
		case codes.OK:
			return s.r, nil
		case codes.NotFound:
		case codes.Unavailable, codes.DeadlineExceeded, codes.Unknown:
			away = s.peer.Address + ": " + status.Convert(s.err).Message()
		default:
			refused = s.err
		}
	}
	switch {
	case refused != nil:
		return none, refused
	case away != "":
		return none, status.Errorf(codes.Unavailable, "%s, and not all ingests respond (%s)", nobody, away)
	}
	return none, status.Error(
		codes.NotFound,
		nobody+": the group may be rebalancing, or its ingest is not among `peers`",
	)
}

// ingests are the other ingests, this one may be among them.
func (s *Server) ingests(ctx context.Context) []fleetview.Peer {
	if s.View.Ingests == nil {
		return nil
	}
	return s.View.Ingests(ctx)
}
