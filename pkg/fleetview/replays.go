package fleetview

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// The states of a replay.
const (
	Running     = "running"
	Done        = "done"
	Stopped     = "stopped"
	Failed      = "failed"
	Interrupted = "interrupted"
)

// mostReplays bounds a list of replays.
const mostReplays = 100

// Replays are what a process knows of replays; both may be nil.
type Replays struct {
	// Own are those that it runs, or has run.
	Own func() []*adminv1.Replay
	// Kept are those that Kafka keeps, whoever runs them.
	Kept func(context.Context) ([]*adminv1.Replay, error)
}

// ListReplays implements adminv1.AdminServiceServer.
func (v *View) ListReplays(ctx context.Context, r *adminv1.ListReplaysRequest) (*adminv1.ListReplaysResponse, error) {
	out := &adminv1.ListReplaysResponse{Responses: []*adminv1.ProcessResponse{v.Self}}
	if v.Replays.Own != nil {
		out.Replays = v.Replays.Own()
	}
	if !r.GetLocal() {
		var said []*adminv1.ListReplaysResponse
		said, out.Responses = gather(ctx, v, peers(ctx, v.Ingests),
			func(ctx context.Context, c adminv1.AdminServiceClient) (*adminv1.ListReplaysResponse, error) {
				return c.ListReplays(ctx, &adminv1.ListReplaysRequest{Local: true})
			})
		for _, s := range said {
			out.Replays = append(out.Replays, s.GetReplays()...)
		}
		if v.Replays.Kept != nil {
			kept, err := v.Replays.Kept(ctx)
			if err != nil {
				out.Problem = status.Convert(err).Message()
			}
			out.Replays = append(out.Replays, kept...)
		}
		out.Replays = latest(out.Replays)
	}
	slices.SortStableFunc(out.Replays, func(a, b *adminv1.Replay) int {
		return cmp.Or(cmp.Compare(b.GetStarted().AsTime().UnixNano(), a.GetStarted().AsTime().UnixNano()),
			cmp.Compare(a.GetName(), b.GetName()))
	})
	slices.SortStableFunc(out.Replays, func(a, b *adminv1.Replay) int { return running(b) - running(a) })
	out.Replays = out.Replays[:min(len(out.Replays), mostReplays)]
	return out, nil
}

func running(r *adminv1.Replay) int {
	if r.GetState() == Running {
		return 1
	}
	return 0
}

// endedLately is how old what Kafka keeps may be when it is shown.
const endedLately = 5 * time.Second

// justEnded reports whether a process has ended it a moment ago: what Kafka keeps does not have that yet.
func justEnded(r *adminv1.Replay) bool {
	return r.GetProcess() != "" && r.GetEnded() != nil && time.Since(r.GetEnded().AsTime()) < endedLately
}

// latest leaves of each replay what is known best: who runs it before who has run it, the newest of those, and before
// all what Kafka keeps, unless that says that it is done since, or that a command runs it.
func latest(all []*adminv1.Replay) []*adminv1.Replay {
	type key struct {
		letters bool
		name    string
	}
	better := func(a, b *adminv1.Replay) bool {
		switch {
		case justEnded(a) && b.GetProcess() == "":
			return true
		case justEnded(b) && a.GetProcess() == "":
			return false
		case running(a) != running(b):
			return running(a) > running(b)
		}
		switch {
		case a.GetProcess() == "" && b.GetProcess() != "":
			return a.GetState() == Done && b.GetState() != Done
		case a.GetProcess() != "" && b.GetProcess() == "":
			return a.GetState() == Done || b.GetState() != Done
		}
		return a.GetStarted().AsTime().After(b.GetStarted().AsTime())
	}
	best := map[key]*adminv1.Replay{}
	var order []key
	for _, r := range all {
		k := key{r.GetDeadLetters(), r.GetName()}
		have, ok := best[k]
		if !ok {
			order = append(order, k)
		}
		if !ok || better(r, have) {
			best[k] = r
		}
	}
	out := make([]*adminv1.Replay, 0, len(order))
	for _, k := range order {
		out = append(out, best[k])
	}
	return out
}
