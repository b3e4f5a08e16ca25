package fleetview

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// Processes with the same contract are named by one entry, and what they have met is put together.
func TestContractsOfTheFleet(t *testing.T) {
	second := (&process{name: "ingest-2", service: "ingest", schema: 9}).view()
	first := (&process{name: "ingest-1", service: "ingest", schema: 4}).view()
	first.Ingests = reach(t, serve(t, second))
	r, err := first.ListContracts(t.Context(), &adminv1.ListContractsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.GetContracts()) != 1 || len(r.GetResponses()) != 2 {
		t.Fatalf("%v", r)
	}
	c := r.GetContracts()[0]
	if !slices.Equal(c.GetProcesses(), []string{"ingest-1", "ingest-2"}) ||
		!slices.Equal(c.GetSchemas(), []uint32{1, 4, 9}) {
		t.Errorf("%v", c)
	}
	if u := r.GetUnknown(); len(u) != 1 || u[0].GetCount() != 6 {
		t.Errorf("unknown types: %v", u)
	}
	other := alike(r.GetContracts(), &adminv1.LoadedContract{Name: "orders.v1", Topic: "orders", Fingerprint: "2"})
	if len(other) != 2 {
		t.Errorf("a contract that is another one is taken for the same: %v", other)
	}
}

// At each time the worse state counts, and what only one has seen stays.
func TestPastOfATableThatTwoCarry(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	interval := func(from, until int, state adminv1.State, cause string) *adminv1.StateInterval {
		return &adminv1.StateInterval{
			From:  timestamppb.New(begin.Add(time.Duration(from) * time.Minute)),
			Until: timestamppb.New(begin.Add(time.Duration(until) * time.Minute)), State: state, Cause: cause,
		}
	}
	fresh, late, stale := adminv1.State_STATE_FRESH, adminv1.State_STATE_LATE, adminv1.State_STATE_STALE
	got := worstOf(
		[]*adminv1.StateInterval{
			interval(0, 60, fresh, ""), interval(60, 90, late, "append"), interval(120, 180, fresh, ""),
		},
		[]*adminv1.StateInterval{
			interval(30, 70, stale, "quota"), interval(70, 100, fresh, ""), interval(180, 200, fresh, ""),
		})
	want := []*adminv1.StateInterval{
		interval(0, 30, fresh, ""), interval(30, 70, stale, "quota"), interval(70, 90, late, "append"),
		interval(90, 100, fresh, ""), interval(120, 200, fresh, ""),
	}
	if !slices.EqualFunc(got, want, func(a, b *adminv1.StateInterval) bool {
		return a.GetFrom().AsTime().Equal(b.GetFrom().AsTime()) && a.GetUntil().AsTime().Equal(b.GetUntil().AsTime()) &&
			a.GetState() == b.GetState() && a.GetCause() == b.GetCause()
	}) {
		t.Errorf("got %v", got)
	}
	a := &adminv1.Table{Name: "t", SettleP99: durationpb.New(time.Second), Eta: durationpb.New(time.Minute)}
	mergeAll([]*adminv1.Table{a, {
		Name: "t", SettleP99: durationpb.New(3 * time.Second), DollarsPerDay: 2,
		DeadLettersHour: 5,
	}})
	if a.GetSettleP99().AsDuration() != 3*time.Second || a.GetEta().AsDuration() != time.Minute ||
		a.GetDollarsPerDay() != 2 ||
		a.GetDeadLettersHour() != 5 || a.SettleP50 != nil {
		t.Errorf("%v", a)
	}
}

// Bytes of records are for those who may see them.
func TestSamplesAreForThoseWhoMaySeeThem(t *testing.T) {
	v := (&process{name: "ingest-1", service: "ingest"}).view()
	r, err := v.ListDeadLetters(t.Context(), &adminv1.ListDeadLettersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(r.GetCounts()[0].GetSample().GetExcerpt()); got != "abc" {
		t.Errorf("who may do everything sees %q", got)
	}
	hidden := withoutBytes(r.GetCounts())
	if s := hidden[0].GetSample(); s.GetExcerpt() != nil || s.GetError() != "no number" {
		t.Errorf("others see %v", s)
	}
}
