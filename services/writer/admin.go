package writer

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/events"
	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/service"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
	"github.com/waybill-data/waybill/services/writer/internal/sink"
)

// local is what this writer knows of itself: fleetview.Local. It knows no freshness and nobody else.
type local struct {
	lanes   *lane.Service
	sink    *sink.Sink
	load    *load
	ready   func() error
	self    *adminv1.ProcessResponse
	home    string
	started time.Time
}

var _ fleetview.Local = (*local)(nil)

// newView is what a writer that listens serves as admin.v1.
func newView(
	env service.Env, lanes *lane.Service, bigQuery *sink.Sink, load *load, ready func() error, ring *events.Ring,
) *fleetview.View {
	self := &adminv1.ProcessResponse{Process: lanes.Name, Address: env.GRPC.Addr().String(), Instance: rand.Text()}
	ring.Call(lanes.Name)
	return &fleetview.View{Events: ring, Self: self, Local: &local{
		lanes: lanes, sink: bigQuery, load: load, ready: ready, self: self, home: lanes.Project + "." + lanes.Dataset,
		started: time.Now(),
	}}
}

// Tables implements fleetview.Local.
func (l *local) Tables() []*adminv1.Table {
	byName := map[string]*adminv1.Table{}
	var out []*adminv1.Table
	for _, s := range l.lanes.Status() {
		for i := range s.Tables {
			name := short(s.Tables[i].Table)
			t := byName[name]
			if t == nil {
				t = &adminv1.Table{
					Name: name, Lanes: map[string]int32{}, Reason: "is written here; how fresh it is, an ingest knows",
				}
				byName[name], out = t, append(out, t)
			}
			t.Lanes[s.Phase]++
			if !slices.Contains(t.GetTopics(), s.Topic) {
				t.Topics = append(t.Topics, s.Topic)
			}
			if trouble := s.Tables[i].Trouble; trouble != nil {
				t.Reason = "takes nothing at the moment: " + trouble.State + ": " + trouble.Reason
				t.Cause, t.Since = trouble.State, timestamppb.New(trouble.Since)
			}
		}
	}
	return out
}

// short is a table's name as dataset.table or project.dataset.table.
func short(resource string) string {
	parts := strings.Split(resource, "/")
	if len(parts) != 6 {
		return resource
	}
	return parts[1] + "." + parts[3] + "." + parts[5]
}

// Lanes implements fleetview.Local.
func (l *local) Lanes(topic string, partition *int32, table string) []*adminv1.Lane {
	var out []*adminv1.Lane
	for _, s := range l.lanes.Status() {
		if topic != "" && s.Topic != topic || partition != nil && s.Partition != *partition {
			continue
		}
		one := &adminv1.Lane{
			Topic: s.Topic, Partition: s.Partition, Writer: l.lanes.Name, State: s.Phase,
			Since:    timestamppb.New(s.Since),
			Position: s.Position, BehindRecords: -1, WindowBatches: int32(s.Window), //nolint:gosec // bounded
			WindowBytes: s.Bytes,
			Checkpoint:  &adminv1.Checkpoint{Position: s.Position, End: s.End, LeftOut: s.LeftOut, Barrier: s.Barrier},
		}
		for i := range s.Tables {
			t := &s.Tables[i]
			one.Tables = append(one.Tables, short(t.Table))
			stream := &adminv1.Stream{
				Table: short(t.Table), Stream: t.Stream, Rows: t.Rows, Drop: t.Drop, AtLeastOnce: t.AtLeastOnce,
			}
			if t.Trouble != nil {
				stream.Trouble = t.Trouble.State + ": " + t.Trouble.Reason
			}
			one.Checkpoint.Streams = append(one.Checkpoint.Streams, stream)
		}
		if table == "" || slices.Contains(one.GetTables(), table) {
			out = append(out, one)
		}
	}
	return out
}

// DeadLetters implements fleetview.Local: ingests write them.
func (l *local) DeadLetters() []*adminv1.DeadLetterCount { return nil }

// History implements fleetview.Local: ingests know it.
func (l *local) History(string) []*adminv1.StateInterval { return nil }

// Contracts implements fleetview.Local: ingests have them.
func (l *local) Contracts(string) ([]*adminv1.LoadedContract, []*adminv1.UnknownType) {
	return nil, nil
}

// Drift implements fleetview.Local.
func (l *local) Drift(context.Context, string) (*adminv1.GetDriftResponse, error) {
	return nil, status.Error(codes.NotFound, "a writer knows no contract: ask an ingest")
}

// Plan implements fleetview.Local: ingests place lanes.
func (l *local) Plan() *adminv1.Plan { return nil }

// Process implements fleetview.Local.
func (l *local) Process() *adminv1.Process {
	p, carried := fleetview.NewProcess("writer", l.self, l.started, l.load.meter.Shares(), l.ready()), l.lanes.Load()
	p.Lanes, p.BytesPerSecond = int32(carried.Lanes), l.load.bytesRate(carried.Bytes) //nolint:gosec // calls
	p.BudgetUsed, p.BudgetSize = l.load.budget.Used(), l.load.budget.Limit()
	p.Home, p.Streams = l.home, int32(l.sink.Streams()) //nolint:gosec // of lanes
	for _, trouble := range l.sink.Troubles() {
		if p.TroubledTables == nil {
			p.TroubledTables = make(map[string]int32)
		}
		p.TroubledTables[trouble.State]++
	}
	return p
}
