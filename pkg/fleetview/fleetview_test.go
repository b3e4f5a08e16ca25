package fleetview

import (
	"context"
	"errors"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/events"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// process is one of a fleet in a test.
type process struct {
	name, service string
	lanes         []int32
	state         adminv1.State
	behind        int64
	through       time.Time
	past          []*adminv1.StateInterval
	schema        uint32
}

func (p *process) Tables() []*adminv1.Table {
	if p.service == "writer" {
		return nil
	}
	return []*adminv1.Table{{
		Name: "orders", State: p.state, Reason: "is said by " + p.name, BehindRecords: p.behind, RowsPerSecond: 10,
		Behind: durationpb.New(time.Duration(p.behind) * time.Second), CompleteThrough: timestamppb.New(p.through),
		Shares: []*adminv1.Share{{Cause: "append", Minute: 1, Quarter: 1}},
		Lanes:  map[string]int32{"open": int32(len(p.lanes))},
		Topics: []string{"orders"},
	}}
}

func (p *process) Lanes(topic string, partition *int32, _ string) []*adminv1.Lane {
	var out []*adminv1.Lane
	for _, n := range p.lanes {
		if partition != nil && *partition != n || topic != "" && topic != "orders" {
			continue
		}
		l := &adminv1.Lane{
			Topic: "orders", Partition: n, Writer: "w",
			Behind: durationpb.New(time.Duration(n) * time.Second),
		}
		if p.service == "writer" {
			l.Checkpoint = &adminv1.Checkpoint{Position: 42}
		} else {
			l.Ingest = p.name
		}
		out = append(out, l)
	}
	return out
}

func (p *process) Process() *adminv1.Process {
	return &adminv1.Process{Name: p.name, Service: p.service, Saturation: 0.5, SaturationCause: "processor"}
}

func (p *process) Plan() *adminv1.Plan {
	if p.service == "writer" {
		return nil
	}
	return &adminv1.Plan{Ingest: p.name}
}

func (p *process) DeadLetters() []*adminv1.DeadLetterCount {
	return []*adminv1.DeadLetterCount{{
		Topic: "orders", Reason: "undecodable", Count: 2,
		Sample: &adminv1.LetterSample{Excerpt: []byte("abc"), Error: "no number"},
	}}
}

func (p *process) History(string) []*adminv1.StateInterval { return p.past }

func (p *process) Contracts(string) ([]*adminv1.LoadedContract, []*adminv1.UnknownType) {
	if p.service == "writer" {
		return nil, nil
	}
	return []*adminv1.LoadedContract{{
			Name: "orders.v1", Topic: "orders", Table: "orders",
			Schemas: []uint32{1, p.schema},
		}},
		[]*adminv1.UnknownType{{Topic: "orders", Type: "order.Lost", Count: 3}}
}

func (p *process) Drift(context.Context, string) (*adminv1.GetDriftResponse, error) {
	return &adminv1.GetDriftResponse{Missing: true}, nil
}

func (p *process) view() *View {
	ring := events.New(p.name, 0)
	ring.Add(&adminv1.Event{Time: timestamppb.Now(), Kind: "lane open", Topic: "orders"})
	return &View{Local: p, Events: ring, Self: &adminv1.ProcessResponse{Process: p.name, Instance: p.name}}
}

// serve serves a view for the test, and returns its address.
func serve(t *testing.T, v adminv1.AdminServiceServer) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	adminv1.RegisterAdminServiceServer(server, v)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // it may not have begun
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func reach(t *testing.T, addresses ...string) func(context.Context) []Peer {
	t.Helper()
	p := &Peers{
		Options:   []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())},
		Addresses: func(ctx context.Context) ([]Address, error) { return Resolve(ctx, addresses) },
	}
	t.Cleanup(p.Close)
	return p.All
}

// fleet is a view of two ingests and a writer, one address that leads to itself and one where nobody is.
func fleet(t *testing.T) *View {
	t.Helper()
	now := time.Now()
	first := &process{
		name: "a", service: "ingest", lanes: []int32{0, 1}, state: adminv1.State_STATE_FRESH, behind: 1, through: now,
	}
	second := &process{
		name: "b", service: "ingest", lanes: []int32{2}, state: adminv1.State_STATE_STALE, behind: 3,
		through: now.Add(-time.Hour),
	}
	writer := &process{name: "w", service: "writer", lanes: []int32{0, 1, 2}}
	v := first.view()
	b := serve(t, second.view())
	v.Ingests = reach(t, serve(t, v), b, b, "127.0.0.1:1")
	v.Writers = reach(t, serve(t, writer.view()))
	return v
}

// Whoever is asked responds for the fleet: each process once, however many addresses lead to it, and who does not
// respond is named.
func TestViewOfTheFleet(t *testing.T) {
	v := fleet(t)
	tables, err := v.ListTables(t.Context(), &adminv1.ListTablesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(tables.GetTables()) != 1 || len(tables.GetResponses()) != 3 {
		t.Fatalf("%d tablesreported by %v", len(tables.GetTables()), tables.GetResponses())
	}
	table := tables.GetTables()[0]
	if table.GetState() != adminv1.State_STATE_STALE || table.GetReason() != "is said by b" ||
		table.GetBehindRecords() != 4 || table.GetLanes()["open"] != 3 || table.GetRowsPerSecond() != 20 ||
		time.Since(table.GetCompleteThrough().AsTime()) < time.Hour {
		t.Errorf("%v", table)
	}
	if want := "orders is said by b. 1 of 3 processes did not respond"; !strings.HasPrefix(tables.GetSummary(), want) {
		t.Errorf("%q, want %q", tables.GetSummary(), want)
	}
	if missing := tables.GetResponses()[2]; missing.GetAddress() != "127.0.0.1:1" || missing.GetError() == "" {
		t.Errorf("the one that is not there: %v", missing)
	}
	local, err := v.ListTables(t.Context(), &adminv1.ListTablesRequest{Local: true})
	if err != nil || len(local.GetResponses()) != 1 || local.GetTables()[0].GetState() != adminv1.State_STATE_FRESH {
		t.Errorf("of itself alone: %v, %v", local, err)
	}
	process, err := v.GetFleet(t.Context(), &adminv1.GetFleetRequest{})
	if err != nil || len(process.GetProcesses()) != 3 || len(process.GetPlans()) != 2 ||
		process.GetIngestsNeeded() != 2 ||
		process.GetWritersNeeded() != 1 {
		t.Errorf("fleet: %v, %v", process, err)
	}
	happened, err := v.ListEvents(t.Context(), &adminv1.ListEventsRequest{Limit: 2})
	if err != nil || len(happened.GetEvents()) != 2 || len(happened.GetResponses()) != 4 {
		t.Errorf("events: %v, %v", happened, err)
	}
	letters, err := v.ListDeadLetters(t.Context(), &adminv1.ListDeadLettersRequest{})
	if err != nil || len(letters.GetCounts()) != 1 || letters.GetCounts()[0].GetCount() != 4 {
		t.Errorf("dead letters: %v, %v", letters, err)
	}
}

// Lanes come sorted and bounded; a single one comes with what its writer says of the checkpoint.
func TestLanesOfTheFleet(t *testing.T) {
	v := fleet(t)
	all, err := v.ListLanes(t.Context(), &adminv1.ListLanesRequest{Limit: 2})
	if err != nil || len(all.GetLanes()) != 2 || all.GetTotal() != 3 || all.GetLanes()[0].GetPartition() != 2 {
		t.Errorf("%v, %v", all, err)
	}
	two := int32(2)
	one, err := v.ListLanes(t.Context(), &adminv1.ListLanesRequest{Topic: "orders", Partition: &two})
	if err != nil || len(one.GetLanes()) != 1 || one.GetTotal() != 1 {
		t.Fatalf("%v, %v", one, err)
	}
	if l := one.GetLanes()[0]; l.GetIngest() != "b" || l.GetCheckpoint().GetPosition() != 42 {
		t.Errorf("%v", l)
	}
}

// What says nothing sensible is refused with the field.
func TestRequestsThatAreRefused(t *testing.T) {
	v := fleet(t)
	two, negative := int32(2), int32(-2)
	for field, r := range map[string]*adminv1.ListLanesRequest{
		"limit: -1": {Limit: -1}, "limit: 1001": {Limit: 1001}, "partition: it needs the topic": {Partition: &two},
		"partition: -2": {Topic: "orders", Partition: &negative},
	} {
		if _, err := v.ListLanes(t.Context(), r); status.Code(err) != codes.InvalidArgument ||
			!strings.Contains(err.Error(), field) {
			t.Errorf("%v: %v, want %q", r, err, field)
		}
		if _, err := v.ListEvents(t.Context(), &adminv1.ListEventsRequest{
			Limit: r.GetLimit(), Topic: r.GetTopic(), Partition: r.Partition,
		}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("events of %v: %v", r, err)
		}
	}
}

// Shares of tables that are put together add to 1 again, weighted by the records behind.
func TestMergedShares(t *testing.T) {
	share := func(cause string) []*adminv1.Share { return []*adminv1.Share{{Cause: cause, Minute: 1, Quarter: 1}} }
	merged := mergeAll([]*adminv1.Table{
		{Name: "t", BehindRecords: 30, Shares: share("quota"), CompleteThrough: timestamppb.Now()},
		{Name: "t", BehindRecords: 10, Shares: share("idle")},
		{Name: "u"},
	})
	if len(merged) != 2 {
		t.Fatalf("%v", merged)
	}
	got := merged[0]
	if got.GetName() != "t" || got.CompleteThrough != nil || len(got.GetShares()) != 2 ||
		got.GetShares()[0].GetCause() != "quota" ||
		math.Abs(got.GetShares()[0].GetMinute()-0.75) > 1e-9 || math.Abs(got.GetShares()[1].GetQuarter()-0.25) > 1e-9 {
		t.Errorf("%v", got)
	}
}

func TestWordsForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0s", 1500 * time.Millisecond: "1.5s", 59 * time.Second: "59s",
		7*time.Minute + 3*time.Second: "7m 03s",
		3*time.Hour + 5*time.Minute:   "3h 05m", 50 * time.Hour: "2d 02h",
	} {
		if got := Age(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 7.25: "7.2", 12: "12", 12345: "12.3k", 4.2e6: "4.2M", 3e9: "3.0G"} {
		if got := Count(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}
