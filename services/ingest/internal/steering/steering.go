// Package steering does what operators want of the lanes of an ingest, and passes on what others have to do: it
// responds admin.v1.SteeringService.
package steering

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/steering"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
	"github.com/waybill-data/waybill/services/ingest/internal/writers"
)

// Contracts are what an act may name.
type Contracts interface {
	// Topics that contracts name, or that lanes carry. False before contracts are loaded.
	Topics() ([]string, bool)
	// Tables that a topic feeds; empty when no contract is for it.
	Tables(topic string) []string
}

// Positions are those of partitions, as Kafka has them at the moment.
type Positions interface {
	// End is the offset of the next record.
	End(ctx context.Context, l pauses.Lane) (int64, error)
	// Committed is the position of the group; -1: none.
	Committed(ctx context.Context, l pauses.Lane) (int64, error)
}

// Server is adminv1.SteeringServiceServer. Fill in the exported fields, and call Ready.
type Server struct {
	adminv1.UnimplementedSteeringServiceServer

	// View shows the fleet, and knows whom else to ask.
	View *fleetview.View
	// Contracts are those in use.
	Contracts Contracts
	// Partitions lists those of a topic, as the brokers have it.
	Partitions func(ctx context.Context, topic string) ([]int32, error)
	// Positions are asked of Kafka, for what a lane says may be newer or older.
	Positions Positions
	// Pauses are those that hold, and Keep keeps others.
	Pauses *pauses.Follower
	Keep   func(ctx context.Context, entries map[pauses.Lane]string) error
	// Writers are where lanes are placed.
	Writers *writers.Fleet
	// Reloads reads contracts again, and Lanes are those of this ingest.
	Reloads Reloader
	Lanes   Lanes
	// Letters replays dead letters, and Replayer topics.
	Letters  Letters
	Replayer Replayer
	// Log gets an event for each act.
	Log *slog.Logger

	book steering.Book
	// jobs are the replays, and queue those that Run is to run.
	jobs  jobs
	queue chan queued
}

// Ready readies a server whose fields are filled in.
func (s *Server) Ready() *Server {
	s.queue = make(chan queued)
	return s
}

var _ adminv1.SteeringServiceServer = (*Server)(nil)

// target is what an act is about.
type target struct {
	scope string
	// name is the target in a sentence.
	name   string
	topics []string
	lanes  []pauses.Lane
	// tables are those that the topics feed.
	tables []string
}

// find finds what an act is about.
func (s *Server) find(ctx context.Context, t *adminv1.Target) (*target, error) {
	topics, loaded := s.Contracts.Topics()
	if !loaded {
		return nil, status.Error(codes.Unavailable, "the contracts are not loaded yet; try again in a moment")
	}
	out := &target{scope: pauses.ScopeTopic, name: "topic " + t.GetTopic(), topics: []string{t.GetTopic()}}
	switch {
	case t.GetTopic() == "" && t.GetTable() == "":
		return nil, status.Error(codes.InvalidArgument, "target: names neither a topic nor a table")
	case t.GetTopic() != "" && t.GetTable() != "":
		return nil, status.Error(
			codes.InvalidArgument,
			"target: names a topic and a table; a table is all lanes that feed it",
		)
	case t.GetTable() != "" && t.Partition != nil:
		return nil, status.Error(codes.InvalidArgument, "target.partition: needs the topic; a table has none")
	case t.GetTable() != "":
		var err error
		if out, err = s.table(topics, t.GetTable()); err != nil {
			return nil, err
		}
	case len(s.Contracts.Tables(t.GetTopic())) == 0:
		return nil, steering.NotFound("topic with a contract", t.GetTopic(), topics)
	}
	for _, topic := range out.topics {
		partitions, err := s.Partitions(ctx, topic)
		if err != nil {
			return nil, status.Errorf(codes.Unavailable, "partitions of topic %s: %v", topic, err)
		}
		for _, p := range partitions {
			out.lanes = append(out.lanes, pauses.Lane{Topic: topic, Partition: p})
		}
		out.tables = append(out.tables, s.Contracts.Tables(topic)...)
	}
	slices.Sort(out.tables)
	out.tables = slices.Compact(out.tables)
	if t.Partition == nil {
		return out, nil
	}
	one := pauses.Lane{Topic: t.GetTopic(), Partition: t.GetPartition()}
	if !slices.Contains(out.lanes, one) {
		return nil, status.Errorf(codes.NotFound, "target.partition: topic %s has no partition %d; it has 0 to %d",
			t.GetTopic(), t.GetPartition(), len(out.lanes)-1)
	}
	out.scope, out.name, out.lanes = pauses.ScopeLane, "lane "+one.String(), []pauses.Lane{one}
	return out, nil
}

// table is the topics that feed a table.
func (s *Server) table(topics []string, name string) (*target, error) {
	out := &target{scope: pauses.ScopeTable + name, name: "table " + name}
	var all []string
	for _, topic := range topics {
		tables := s.Contracts.Tables(topic)
		all = append(all, tables...)
		if slices.Contains(tables, name) {
			out.topics = append(out.topics, topic)
		}
	}
	slices.Sort(all)
	if len(out.topics) == 0 {
		return nil, steering.NotFound("table", name, slices.Compact(all))
	}
	return out, nil
}

const (
	// lately is how old an event may be that is shown as earlier, and mostEarlier how many are.
	lately, mostEarlier = 10 * time.Minute, 10
)

// earlier are the acts of others upon the topics of a target.
func (s *Server) earlier(ctx context.Context, act *adminv1.Act, t *target) []*adminv1.Event {
	r, err := s.View.ListEvents(ctx, &adminv1.ListEventsRequest{Filter: steering.EventPrefix, Limit: 100})
	if err != nil {
		return nil
	}
	var out []*adminv1.Event
	for _, e := range r.GetEvents() {
		if time.Since(e.GetTime().AsTime()) > lately || len(out) == mostEarlier {
			break
		}
		about := e.GetTopic() == "" || t == nil || slices.Contains(t.topics, e.GetTopic())
		if about && t != nil && t.scope == pauses.ScopeLane && e.Partition != nil &&
			e.GetPartition() != t.lanes[0].Partition {
			about = false
		}
		if about && !steering.Is(e, act.GetRequestId()) {
			out = append(out, e)
		}
	}
	return out
}

// event leaves an event of an act.
func (s *Server) event(ctx context.Context, what string, act *adminv1.Act, t *target, more ...any) {
	attrs := []any{
		"by", steering.Actor(ctx, act), "reason", act.GetReason(), "request_id", act.GetRequestId(), "target", t.name,
	}
	if len(t.topics) == 1 {
		attrs = append(attrs, "topic", t.topics[0])
	}
	if t.scope == pauses.ScopeLane {
		attrs = append(attrs, "partition", t.lanes[0].Partition)
	}
	s.Log.Info(steering.EventPrefix+what, append(attrs, more...)...) //nolint:sloglint // one of a few
}
