package ingest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/fleetview"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
	"github.com/waybill-data/waybill/services/ingest/internal/replay"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

const (
	// replayInfix and planSuffix make the names of a replay's groups.
	replayInfix, planSuffix = "-replay-", "-plan"
	// mostPlans is how many replays are read of those that Kafka keeps.
	mostPlans = 50
	// plansKept is how long what was read is good, and plansWithin how long it may take.
	plansKept, plansWithin = 2 * time.Second, 2 * time.Second
)

// keptReplays are those that Kafka keeps. Safe for concurrent use.
type keptReplays struct {
	group   string // of the ingests
	entries *source.Entries
	// topics are any that there are.
	topics func() ([]string, bool)

	mu   sync.Mutex
	at   time.Time
	last []*adminv1.Replay
	err  error
}

// list reads them, or returns what was read lately.
func (k *keptReplays) list(ctx context.Context) ([]*adminv1.Replay, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if topics, _ := k.topics(); len(topics) > 0 && time.Since(k.at) >= plansKept {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), plansWithin) // others may wait for the same
		defer cancel()
		var plans []source.Plan
		plans, k.err = k.entries.Plans(within, topics[0], k.group+replayInfix, planSuffix, mostPlans)
		k.at, k.last = time.Now(), nil
		for i := range plans {
			if r := k.shown(&plans[i]); r != nil {
				k.last = append(k.last, r)
			}
		}
	}
	out := make([]*adminv1.Replay, 0, len(k.last))
	for _, r := range k.last {
		out = append(out, proto.CloneOf(r))
	}
	return out, k.err
}

// shown is a replay that is kept; nil when what is kept is none.
func (k *keptReplays) shown(p *source.Plan) *adminv1.Replay {
	out := &adminv1.Replay{
		Name: strings.TrimPrefix(p.Group, k.group+replayInfix), State: fleetview.Interrupted,
	}
	done, ended := 0, time.Time{}
	for l, text := range p.Entries {
		w, err := replay.Parse(text)
		if err != nil {
			return nil
		}
		r := &adminv1.ReplayRange{Partition: l.Partition, From: w.From, To: w.To}
		settled := int64(0)
		if at, ok := p.Positions[pauses.Lane{Topic: l.Topic, Partition: l.Partition}]; ok {
			settled = min(max(at-w.From, 0), w.To-w.From)
		}
		if !w.Done.IsZero() {
			done++
			r.Settled, settled = timestamppb.New(w.Done), w.To-w.From
			if w.Done.After(ended) {
				ended = w.Done
			}
		}
		out.Ranges = append(out.Ranges, r)
		out.Topics, out.Tables, out.Started = []string{l.Topic}, w.Tables, timestamppb.New(w.Begun)
		out.Settled, out.Total = out.Settled+settled, out.Total+w.To-w.From
	}
	slices.SortFunc(out.GetRanges(), func(a, b *adminv1.ReplayRange) int {
		return int(a.GetPartition() - b.GetPartition())
	})
	switch {
	case done == len(p.Entries):
		out.State, out.Ended = fleetview.Done, timestamppb.New(ended)
	case len(p.Hosts) > 0:
		out.State, out.Waits = fleetview.Running, "a command at "+strings.Join(p.Hosts, ", ")
	}
	return out
}
