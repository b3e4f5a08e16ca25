package ingest

import (
	"context"
	"math"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
	"github.com/waybill-data/waybill/services/ingest/internal/steering"
)

// letterReplays replays dead letters with the contracts in use: steering.Letters.
type letterReplays struct {
	config *Config
	lanes  *roster
}

var _ steering.Letters = (*letterReplays)(nil)

// Replay implements steering.Letters.
func (l *letterReplays) Replay(
	ctx context.Context, r *adminv1.ReplayDeadLettersRequest, progress func(*adminv1.ReplayDeadLettersResponse),
) (*adminv1.ReplayDeadLettersResponse, error) {
	chosen, topics, err := selection(r)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	set := l.lanes.loaded()
	if len(topics) == 0 {
		if topics, err = source.ListTopics(ctx, l.config.source(), l.config.topicsOf(set)); err != nil {
			return nil, status.Errorf(codes.Unavailable, "topics: %v", err)
		}
	}
	store, err := deadletter.Open(ctx, l.config.DeadLetter, &l.config.Kafka, set, "", topics)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "dead letters: %v", err)
	}
	defer store.Close()
	var last deadletter.Replayed
	all, err := store.Replay(ctx, chosen, deadletter.ReplayOptions{
		DryRun: r.GetAct().GetValidateOnly(), Check: !r.GetWithoutCheck(), Now: r.GetNow(), Limit: int(r.GetLimit()),
		Progress: func(now deadletter.Replayed) { last = now; progress(replayedLetters(&now, "")) },
		Retry:    func(err error) { progress(replayedLetters(&last, err.Error())) },
	})
	switch {
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case err != nil:
		return nil, status.Errorf(codes.Unavailable, "%d records are replayed, and marked; the same again goes on "+
			"with the rest: %v", all.Produced, err)
	}
	return replayedLetters(&all, ""), nil
}

// selection is which letters a request chooses, and of which topics.
func selection(r *adminv1.ReplayDeadLettersRequest) (s deadletter.Selection, topics []string, err error) {
	s = deadletter.Selection{
		Reasons: r.GetReasons(), Contracts: r.GetContracts(), Types: r.GetTypes(), Partitions: r.GetPartitions(),
	}
	if r.FirstOffset != nil || r.LastOffset != nil {
		s.Offsets = &deadletter.Offsets{First: r.GetFirstOffset(), Last: math.MaxInt64}
		if r.LastOffset != nil {
			s.Offsets.Last = r.GetLastOffset()
		}
	}
	if r.GetSince() != nil {
		s.Since = r.GetSince().AsTime()
	}
	if r.GetUntil() != nil {
		s.Until = r.GetUntil().AsTime()
	}
	topics = r.GetTopics()
	for _, text := range r.GetPlaces() {
		p, err := deadletter.ParsePlace(text)
		if err != nil {
			return s, nil, err
		}
		s.Places = append(s.Places, p)
		if len(r.GetTopics()) == 0 {
			topics = append(topics, p.Topic)
		}
	}
	return s, topics, nil
}

func replayedLetters(r *deadletter.Replayed, trouble string) *adminv1.ReplayDeadLettersResponse {
	out := &adminv1.ReplayDeadLettersResponse{
		Selected: int64(r.Selected), Produced: int64(r.Produced), Already: int64(r.Already), More: r.More,
		Trouble: trouble,
	}
	for _, s := range r.Skipped {
		out.Skipped = append(out.Skipped, &adminv1.SkippedLetters{
			Cause: s.Cause, Remedy: s.Remedy, Count: int64(s.Count), First: s.First.String(), Detail: s.Detail,
		})
	}
	return out
}
