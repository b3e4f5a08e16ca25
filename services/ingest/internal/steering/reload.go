package steering

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/steering"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// Reload is what contracts would change, read again.
type Reload struct {
	// Digest tells them from others.
	Digest  string
	Changes []*adminv1.ContractChange
	// Lanes of this ingest whose topics have changed; they open again.
	Lanes int
}

// Reloader has this ingest read its contracts again. Errors are statuses.
type Reloader interface {
	// Compile reads them, and refuses those that cannot take the place of the ones in use. It changes nothing.
	Compile(ctx context.Context) (*Reload, error)
	// Take takes those with a digest into use, and says how many lanes do not run with them yet. The error is that they
	// are others by now, or that a lane is refused with them: GoBack is to be called.
	Take(ctx context.Context, digest string) (waiting int, err error)
	// Before is what going back would change; its digest is of the contracts in use. The error is that there is nothing
	// to go back to, or that the tables take no rows by it.
	Before(ctx context.Context) (*Reload, error)
	// GoBack takes the contracts from before Take into use, if those with the digest are.
	GoBack(ctx context.Context, digest string) error
}

const (
	// compiledWithin is how long other ingests may take to compile contracts, takenWithin until lanes run with them.
	compiledWithin, takenWithin = 12 * time.Second, 18 * time.Second
)

// ReloadContracts implements adminv1.SteeringServiceServer.
func (s *Server) ReloadContracts(
	ctx context.Context, r *adminv1.ReloadContractsRequest,
) (*adminv1.ReloadContractsResponse, error) {
	act, err := s.passable(r.GetAct())
	switch {
	case err != nil:
		return nil, err
	case r.GetStep() != adminv1.ReloadStep_RELOAD_STEP_UNSPECIFIED:
		return s.reloadStep(ctx, act, r)
	}
	return steering.Once(ctx, &s.book, act, r, func() (*adminv1.ReloadContractsResponse, error) {
		all := &reload{Server: s, act: act}
		if !act.GetLocal() {
			all.peers = s.ingests(ctx)
		}
		compiles := s.Reloads.Compile
		if all.back = r.GetBack(); all.back {
			compiles = s.Reloads.Before
		}
		own, err := compiles(ctx)
		if err != nil {
			return nil, notDone(s.View.Self.GetProcess(), err)
		}
		out := &adminv1.ReloadContractsResponse{
			Changes: own.Changes, Digest: own.Digest, Lanes: int32(own.Lanes), //nolint:gosec // partitions
			Result: &adminv1.Result{
				RequestId: act.GetRequestId(), Earlier: s.earlier(ctx, act, nil),
				Responses: []*adminv1.ProcessResponse{s.View.Self},
			},
		}
		if err := all.compile(ctx, out); err != nil {
			return nil, err
		}
		switch what := inWords(out); {
		case len(out.GetChanges()) == 0:
			out.Result.Summary = "the contracts are those in use already"
			return out, nil
		case act.GetValidateOnly():
			out.Result.Summary = what + " would change, and " + lanes(out.GetLanes()) + " open again"
			return out, nil
		}
		if all.back {
			return all.rollBack(ctx, out)
		}
		if err := all.take(ctx, out); err != nil {
			return nil, err
		}
		out.Result.Changed = true
		out.Result.Summary = inWords(out) + " changed, and " + lanes(out.GetLanes()) + " opened again"
		if out.GetWaiting() > 0 {
			out.Result.Summary += fmt.Sprintf("; %d of them wait for something else first, see `ingest top`",
				out.GetWaiting())
		}
		s.event(ctx, "reload", act, &target{name: "contracts"}, "digest", out.GetDigest(), "lanes", out.GetLanes())
		return out, nil
	})
}

// reloadStep is what this ingest does of a reload that another one was asked for.
func (s *Server) reloadStep(
	ctx context.Context, act *adminv1.Act, r *adminv1.ReloadContractsRequest,
) (*adminv1.ReloadContractsResponse, error) {
	if !act.GetLocal() {
		return nil, status.Error(codes.InvalidArgument, "step: needs act.local; leave it out to reload the contracts")
	}
	out := &adminv1.ReloadContractsResponse{
		Digest: r.GetDigest(), Result: &adminv1.Result{RequestId: act.GetRequestId()},
	}
	switch r.GetStep() {
	case adminv1.ReloadStep_RELOAD_STEP_COMPILE:
		compiles := s.Reloads.Compile
		if r.GetBack() {
			compiles = s.Reloads.Before
		}
		own, err := compiles(ctx)
		if err != nil {
			return nil, err
		}
		out.Changes, out.Digest, out.Lanes = own.Changes, own.Digest, int32(own.Lanes) //nolint:gosec // partitions
	case adminv1.ReloadStep_RELOAD_STEP_TAKE:
		waiting, err := s.Reloads.Take(ctx, r.GetDigest())
		if err != nil {
			return nil, err
		}
		out.Waiting = int32(waiting) //nolint:gosec // partitions
	case adminv1.ReloadStep_RELOAD_STEP_GO_BACK:
		if err := s.Reloads.GoBack(ctx, r.GetDigest()); err != nil {
			return nil, err
		}
	default:
		return nil, status.Errorf(codes.InvalidArgument, "step: %v is none that this ingest knows", r.GetStep())
	}
	return out, nil
}

// reload is one reload of all ingests.
type reload struct {
	*Server
	act   *adminv1.Act
	peers []fleetview.Peer
	// back: to the contracts of before.
	back bool
}

// rollBack has all ingests go back to the contracts of before the last reload.
func (r *reload) rollBack(
	ctx context.Context, out *adminv1.ReloadContractsResponse,
) (*adminv1.ReloadContractsResponse, error) {
	said, all := r.goBack(ctx, out.GetDigest())
	r.event(ctx, "roll contracts back", r.act, &target{name: "contracts"}, "from", out.GetDigest(), "all", all)
	if !all {
		return nil, status.Error(codes.Unavailable, said)
	}
	out.Result.Changed = true
	out.Result.Summary = inWords(out) + " changed back, and " + lanes(out.GetLanes()) + " open again; put the files " +
		"back as well, for an ingest that starts reads them"
	return out, nil
}

// step has the others do a step.
func (r *reload) step(
	ctx context.Context, step adminv1.ReloadStep, digest string, within time.Duration,
) []said[*adminv1.ReloadContractsResponse] {
	on := &adminv1.ReloadContractsRequest{Act: r.passed(ctx, r.act), Step: step, Digest: digest, Back: r.back}
	return passWithin(ctx, within, r.peers,
		func(ctx context.Context, c adminv1.SteeringServiceClient) (*adminv1.ReloadContractsResponse, error) {
			return c.ReloadContracts(ctx, on)
		})
}

// compile has the others compile the contracts, and refuses what they do not agree to.
func (r *reload) compile(ctx context.Context, out *adminv1.ReloadContractsResponse) error {
	for _, said := range r.step(ctx, adminv1.ReloadStep_RELOAD_STEP_COMPILE, "", compiledWithin) {
		switch {
		case status.Code(said.err) == codes.NotFound: // ourselves
			continue
		case status.Code(said.err) == codes.Unimplemented:
			return status.Errorf(codes.FailedPrecondition, "%s cannot load contracts while it runs: it is older than "+
				"this ingest. Nothing was changed", said.peer.Address)
		case said.err != nil:
			return notDone(said.peer.Address, said.err)
		case said.r.GetDigest() != out.GetDigest():
			remedy := "bring the same files to all ingests"
			if r.back {
				remedy = "they have not loaded the same last; put the files back and reload instead"
			}
			return status.Errorf(codes.FailedPrecondition, "the contracts of %s are others than those of %s: %s. "+
				"Nothing was changed", said.peer.Address, r.View.Self.GetProcess(), remedy)
		}
		out.Lanes += said.r.GetLanes()
		if len(out.GetChanges()) == 0 {
			out.Changes = said.r.GetChanges() // a reload that was interrupted left it behind
		}
		out.Result.Responses = append(out.Result.Responses, &adminv1.ProcessResponse{Address: said.peer.Address})
	}
	return nil
}

// take takes the contracts into use everywhere, or nowhere.
func (r *reload) take(ctx context.Context, out *adminv1.ReloadContractsResponse) error {
	// Whoever asked may go away: what has begun is ended all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takenWithin)
	defer cancel()
	var both sync.WaitGroup
	var waiting int
	var own error
	both.Go(func() { waiting, own = r.Reloads.Take(ctx, out.GetDigest()) })
	others := r.step(ctx, adminv1.ReloadStep_RELOAD_STEP_TAKE, out.GetDigest(), takenWithin)
	both.Wait()
	var failed []string
	var first error
	if own != nil {
		first = own
		failed = append(failed, r.View.Self.GetProcess()+": "+status.Convert(own).Message())
	}
	for _, said := range others {
		if said.err != nil && status.Code(said.err) != codes.NotFound {
			first = cmp.Or(first, said.err)
			failed = append(failed, said.peer.Address+": "+status.Convert(said.err).Message())
		}
		waiting += int(said.r.GetWaiting())
	}
	out.Waiting = int32(waiting) //nolint:gosec // partitions
	if first == nil {
		return nil
	}
	why := strings.Join(failed, "; ")
	r.event(ctx, "reload taken back", r.act, &target{name: "contracts"}, "digest", out.GetDigest(), "why", why)
	went, _ := r.goBack(ctx, out.GetDigest())
	return status.Errorf(status.Code(first), "%s. %s", why, went)
}

// goBack has everybody go back, and says how that went, and whether all have.
func (r *reload) goBack(ctx context.Context, digest string) (went string, all bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), compiledWithin)
	defer cancel()
	var not []string
	if err := r.Reloads.GoBack(ctx, digest); err != nil {
		not = append(not, r.View.Self.GetProcess())
	}
	for _, said := range r.step(ctx, adminv1.ReloadStep_RELOAD_STEP_GO_BACK, digest, compiledWithin) {
		if said.err != nil && status.Code(said.err) != codes.NotFound {
			not = append(not, said.peer.Address)
		}
	}
	if len(not) > 0 {
		return "All went back to the contracts of before but for " + strings.Join(not, ", ") + ", which did not " +
			"respond: reload again, or start it again", false
	}
	return "All ingests went back to the contracts of before", true
}

// notDone says who refused contracts.
func notDone(who string, err error) error {
	s := status.Convert(err)
	code := s.Code()
	if code == codes.Unknown {
		code = codes.Unavailable
	}
	return status.Errorf(code, "%s: %s. Nothing was changed", who, strings.TrimRight(s.Message(), ".\n"))
}

func inWords(out *adminv1.ReloadContractsResponse) string {
	if n := len(out.GetChanges()); n != 1 {
		return fmt.Sprintf("%d contracts", n)
	}
	return "contract " + out.GetChanges()[0].GetContract()
}

func records(n int64) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

func lanes(n int32) string {
	if n == 1 {
		return "1 lane"
	}
	return fmt.Sprintf("%d lanes", n)
}
