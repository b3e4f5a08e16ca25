// Package fleetview serves admin.v1: what a process knows of itself, put together with what other processes say.
//
//	view := &fleetview.View{Local: local, Events: ring, Self: self, Ingests: ingests.All, Writers: writers.All}
//	adminv1.RegisterAdminServiceServer(server, view)
//
// A View without peers responds for its own process alone.
package fleetview

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-data/waybill/pkg/access"
	"github.com/waybill-data/waybill/pkg/events"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

const (
	// within is how long other processes may take to respond.
	within = 2 * time.Second
	// usual and most are the limits of lists.
	usual, most = 100, 1000
)

// Local is what a process knows of itself. Safe for concurrent use; what it returns is the caller's.
type Local interface {
	// Tables are the tables of its lanes.
	Tables() []*adminv1.Table
	// Lanes are its lanes that match: an empty topic, a nil partition and an empty table match all. A writer adds the
	// checkpoint of each.
	Lanes(topic string, partition *int32, table string) []*adminv1.Lane
	// Process is itself.
	Process() *adminv1.Process
	// Plan is how it places lanes; nil: it places none.
	Plan() *adminv1.Plan
	// DeadLetters are those that it has written since it started.
	DeadLetters() []*adminv1.DeadLetterCount
	// History is the states of a table in the last 24 hours.
	History(table string) []*adminv1.StateInterval
	// Contracts are those it has now, and the types that none of them takes. With a table, those of it, and their
	// columns.
	Contracts(table string) ([]*adminv1.LoadedContract, []*adminv1.UnknownType)
	// Drift compares a table with its contracts. The error is a status of gRPC.
	Drift(ctx context.Context, table string) (*adminv1.GetDriftResponse, error)
}

// Peer is another process.
type Peer struct {
	Address string
	Client  adminv1.AdminServiceClient
	// Steering is for acts.
	Steering adminv1.SteeringServiceClient
	// Records asks the same process about single records.
	Records adminv1.RecordServiceClient
	// Err is why there is none at the address.
	Err error
}

// View is adminv1.AdminServiceServer.
type View struct {
	adminv1.UnimplementedAdminServiceServer

	Local  Local
	Events *events.Ring
	// Self is this process as it is named among the responses.
	Self *adminv1.ProcessResponse
	// Ingests and Writers are other processes; nil: none. This one may be among them.
	Ingests, Writers func(context.Context) []Peer
	// Replays are those that this process knows.
	Replays Replays
}

// peers are those that these functions return.
func peers(ctx context.Context, of ...func(context.Context) []Peer) []Peer {
	var all []Peer
	for _, f := range of {
		if f != nil {
			all = append(all, f(ctx)...)
		}
	}
	return all
}

type responder interface {
	GetResponses() []*adminv1.ProcessResponse
}

func gather[R responder](
	ctx context.Context, v *View, peers []Peer, call func(context.Context, adminv1.AdminServiceClient) (R, error),
) (said []R, responses []*adminv1.ProcessResponse) {
	return Gather(ctx, v, peers, func(ctx context.Context, p Peer) (R, error) { return call(ctx, p.Client) })
}

// Gather calls all peers at once, for two seconds at most, and returns what those said that are not this process, each
// once. The responses are those of all, this process first.
func Gather[R responder](
	ctx context.Context, v *View, peers []Peer, call func(context.Context, Peer) (R, error),
) (said []R, responses []*adminv1.ProcessResponse) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	type result struct {
		said R
		err  error
	}
	results := make([]result, len(peers))
	var all sync.WaitGroup
	for i, p := range peers {
		if results[i].err = p.Err; p.Err != nil {
			continue
		}
		all.Go(func() { results[i].said, results[i].err = call(ctx, p) })
	}
	all.Wait()
	responses = []*adminv1.ProcessResponse{v.Self}
	seen := map[string]bool{v.Self.GetInstance(): true}
	for i, r := range results {
		if r.err != nil {
			responses = append(responses, &adminv1.ProcessResponse{
				Process: peers[i].Address, Address: peers[i].Address, Error: status.Convert(r.err).Message(),
			})
			continue
		}
		if len(r.said.GetResponses()) == 0 {
			continue
		}
		self := r.said.GetResponses()[0]
		if seen[self.GetInstance()] {
			continue
		}
		seen[self.GetInstance()] = true
		self.Address = peers[i].Address
		said, responses = append(said, r.said), append(responses, self)
	}
	return said, responses
}

func limited(limit int32) (int, error) {
	switch {
	case limit < 0 || limit > most:
		return 0, status.Errorf(codes.InvalidArgument, "limit: %d is not within 0 and %d", limit, most)
	case limit == 0:
		return usual, nil
	}
	return int(limit), nil
}

func placed(topic string, partition *int32) error {
	if partition != nil && topic == "" {
		return status.Error(codes.InvalidArgument, "partition: it needs the topic")
	}
	if partition != nil && *partition < 0 {
		return status.Errorf(codes.InvalidArgument, "partition: %d is negative", *partition)
	}
	return nil
}

// ListTables implements adminv1.AdminServiceServer.
func (v *View) ListTables(ctx context.Context, r *adminv1.ListTablesRequest) (*adminv1.ListTablesResponse, error) {
	tables := v.Local.Tables()
	if name := r.GetName(); name != "" {
		tables = slices.DeleteFunc(tables, func(t *adminv1.Table) bool { return t.GetName() != name })
		for _, t := range tables {
			t.History = v.Local.History(name)
		}
	}
	responses := []*adminv1.ProcessResponse{v.Self}
	if !r.GetLocal() {
		var said []*adminv1.ListTablesResponse
		said, responses = gather(ctx, v, peers(ctx, v.Ingests),
			func(ctx context.Context, c adminv1.AdminServiceClient) (*adminv1.ListTablesResponse, error) {
				return c.ListTables(ctx, &adminv1.ListTablesRequest{Local: true, Name: r.GetName()})
			})
		for _, s := range said {
			tables = append(tables, s.GetTables()...)
		}
	}
	tables = mergeAll(tables)
	if f := strings.ToLower(r.GetFilter()); f != "" {
		tables = slices.DeleteFunc(tables, func(t *adminv1.Table) bool {
			return !strings.Contains(strings.ToLower(t.GetName()), f)
		})
	}
	summary := summaryOf(tables, responses)
	if why := v.Local.Process().GetNotReady(); len(tables) == 0 && why != "" {
		summary = "No lane feeds a table here: " + strings.Join(strings.Fields(why), " ") + "."
	}
	return &adminv1.ListTablesResponse{Tables: tables, Summary: summary, Responses: responses, Price: price}, nil
}

// ListLanes implements adminv1.AdminServiceServer. Of a single lane the writers are asked as well, who know its
// checkpoint.
func (v *View) ListLanes(ctx context.Context, r *adminv1.ListLanesRequest) (*adminv1.ListLanesResponse, error) {
	limit, err := limited(r.GetLimit())
	if err := cmp.Or(err, placed(r.GetTopic(), r.Partition)); err != nil {
		return nil, err
	}
	lanes := v.Local.Lanes(r.GetTopic(), r.Partition, r.GetTable())
	total := len(lanes)
	responses := []*adminv1.ProcessResponse{v.Self}
	if !r.GetLocal() {
		processes := peers(ctx, v.Ingests)
		if r.Partition != nil {
			processes = append(processes, peers(ctx, v.Writers)...)
		}
		var said []*adminv1.ListLanesResponse
		said, responses = gather(ctx, v, processes,
			func(ctx context.Context, c adminv1.AdminServiceClient) (*adminv1.ListLanesResponse, error) {
				return c.ListLanes(ctx, &adminv1.ListLanesRequest{
					Local: true, Topic: r.GetTopic(), Partition: r.Partition, Table: r.GetTable(), Limit: most,
				})
			})
		for _, s := range said {
			lanes, total = append(lanes, s.GetLanes()...), total+int(s.GetTotal())
		}
		if r.Partition != nil {
			lanes = checkpointed(lanes)
			total = len(lanes)
		}
	}
	slices.SortStableFunc(lanes, furthest)
	if len(lanes) > limit {
		lanes = lanes[:limit]
	}
	if !access.CallerOf(ctx).May(access.Operator) {
		lanes = masked(lanes)
	}
	return &adminv1.ListLanesResponse{
		Lanes: lanes, Total: int32(total), Responses: responses, //nolint:gosec // lanes
	}, nil
}

// masked are lanes without the names of their write streams: who knows one could append to it.
func masked(lanes []*adminv1.Lane) []*adminv1.Lane {
	out := make([]*adminv1.Lane, 0, len(lanes))
	for _, l := range lanes {
		l = proto.CloneOf(l)
		for _, s := range l.GetCheckpoint().GetStreams() {
			s.Stream = ""
		}
		out = append(out, l)
	}
	return out
}

// furthest sorts those first that are refused or furthest behind.
func furthest(a, b *adminv1.Lane) int {
	refused := func(l *adminv1.Lane) int {
		if l.GetState() == "refused" || l.GetState() == "fenced" {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(refused(a), refused(b)),
		cmp.Compare(b.GetBehind().AsDuration(), a.GetBehind().AsDuration()),
		cmp.Compare(a.GetTopic(), b.GetTopic()), cmp.Compare(a.GetPartition(), b.GetPartition()))
}

// checkpointed gives the lanes of ingests what their writers say of the checkpoint. A lane that only a writer knows
// stays: its ingest did not respond.
func checkpointed(lanes []*adminv1.Lane) []*adminv1.Lane {
	var out, of []*adminv1.Lane
	for _, l := range lanes {
		if l.GetIngest() != "" {
			out = append(out, l)
		} else {
			of = append(of, l)
		}
	}
	for _, w := range of {
		at := slices.IndexFunc(out, func(l *adminv1.Lane) bool {
			return l.GetTopic() == w.GetTopic() && l.GetPartition() == w.GetPartition() &&
				l.GetWriter() == w.GetWriter()
		})
		if at >= 0 {
			out[at].Checkpoint = w.GetCheckpoint()
			continue
		}
		out = append(out, w)
	}
	return out
}

// GetFleet implements adminv1.AdminServiceServer.
func (v *View) GetFleet(ctx context.Context, r *adminv1.GetFleetRequest) (*adminv1.GetFleetResponse, error) {
	out := &adminv1.GetFleetResponse{
		Processes: []*adminv1.Process{v.Local.Process()}, Responses: []*adminv1.ProcessResponse{v.Self},
	}
	if p := v.Local.Plan(); p != nil {
		out.Plans = append(out.Plans, p)
	}
	if !r.GetLocal() {
		var said []*adminv1.GetFleetResponse
		said, out.Responses = gather(ctx, v, peers(ctx, v.Ingests, v.Writers),
			func(ctx context.Context, c adminv1.AdminServiceClient) (*adminv1.GetFleetResponse, error) {
				return c.GetFleet(ctx, &adminv1.GetFleetRequest{Local: true})
			})
		for _, s := range said {
			out.Processes, out.Plans = append(out.Processes, s.GetProcesses()...), append(out.Plans, s.GetPlans()...)
		}
	}
	slices.SortStableFunc(out.Processes, func(a, b *adminv1.Process) int {
		return cmp.Or(cmp.Compare(a.GetService(), b.GetService()), cmp.Compare(a.GetName(), b.GetName()))
	})
	size(out)
	return out, nil
}

// ListEvents implements adminv1.AdminServiceServer.
func (v *View) ListEvents(ctx context.Context, r *adminv1.ListEventsRequest) (*adminv1.ListEventsResponse, error) {
	limit, err := limited(r.GetLimit())
	if err := cmp.Or(err, placed(r.GetTopic(), r.Partition)); err != nil {
		return nil, err
	}
	list := v.Events.List(events.Filter{Topic: r.GetTopic(), Partition: r.Partition, Text: r.GetFilter()}, limit)
	responses := []*adminv1.ProcessResponse{v.Self}
	if !r.GetLocal() {
		var said []*adminv1.ListEventsResponse
		said, responses = gather(ctx, v, peers(ctx, v.Ingests, v.Writers),
			func(ctx context.Context, c adminv1.AdminServiceClient) (*adminv1.ListEventsResponse, error) {
				return c.ListEvents(ctx, &adminv1.ListEventsRequest{
					Local: true, Topic: r.GetTopic(), Partition: r.Partition, Filter: r.GetFilter(),
					Limit: int32(limit), //nolint:gosec // at most 1000
				})
			})
		for _, s := range said {
			list = append(list, s.GetEvents()...)
		}
		slices.SortStableFunc(list, func(a, b *adminv1.Event) int {
			return b.GetTime().AsTime().Compare(a.GetTime().AsTime())
		})
	}
	return &adminv1.ListEventsResponse{Events: list[:min(limit, len(list))], Responses: responses}, nil
}

// ListDeadLetters implements adminv1.AdminServiceServer.
func (v *View) ListDeadLetters(
	ctx context.Context, r *adminv1.ListDeadLettersRequest,
) (*adminv1.ListDeadLettersResponse, error) {
	counts := v.Local.DeadLetters()
	responses := []*adminv1.ProcessResponse{v.Self}
	if !r.GetLocal() {
		var said []*adminv1.ListDeadLettersResponse
		said, responses = gather(ctx, v, peers(ctx, v.Ingests),
			func(ctx context.Context, c adminv1.AdminServiceClient) (*adminv1.ListDeadLettersResponse, error) {
				return c.ListDeadLetters(ctx, &adminv1.ListDeadLettersRequest{Local: true})
			})
		for _, s := range said {
			counts = append(counts, s.GetCounts()...)
		}
	}
	out := sumLetters(counts)
	if !access.CallerOf(ctx).May(access.Payload) {
		out = withoutBytes(out)
	}
	slices.SortFunc(out, func(a, b *adminv1.DeadLetterCount) int {
		return cmp.Or(cmp.Compare(b.GetCount(), a.GetCount()), cmp.Compare(a.GetTopic(), b.GetTopic()),
			cmp.Compare(a.GetReason(), b.GetReason()))
	})
	return &adminv1.ListDeadLettersResponse{Counts: out, Responses: responses}, nil
}
