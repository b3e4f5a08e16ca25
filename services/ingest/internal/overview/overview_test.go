package overview

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/causes"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

type fakeLane struct {
	status  lane.Status
	cause   causes.Cause
	batches []lane.Batch
}

func (f *fakeLane) Status() lane.Status { return f.status }

func (f *fakeLane) Shares(now time.Time) (causes.Cause, time.Time, causes.Shares, causes.Shares) {
	var s causes.Shares
	s[f.cause] = 1
	return f.cause, now.Add(-time.Minute), s, s
}

func (f *fakeLane) EachSettled(each func(*lane.Batch)) {
	for i := range f.batches {
		each(&f.batches[i])
	}
}

type fakeGoals struct{ goal, stale time.Duration }

func (fakeGoals) Tables(topic string) []string { return []string{topic + "_table", "all"} }

func (g fakeGoals) Freshness(_, table string) (goal, stale time.Duration) {
	if table == "all" {
		return 0, 0
	}
	return g.goal, g.stale
}

func of(topic string, partition int32, lag int64, seconds float64, cause causes.Cause) *fakeLane {
	return &fakeLane{lane.Status{
		Topic: topic, Partition: partition, State: lane.Open, Position: 10, Lag: lag, LagSeconds: seconds,
	}, cause, nil}
}

func overview(goals Goals, lanes ...*fakeLane) *Overview {
	return &Overview{Ingest: "i", Goals: goals, Lanes: func() []Lane {
		var all []Lane
		for _, l := range lanes {
			all = append(all, l)
		}
		return all
	}}
}

func named(t *testing.T, tables []*adminv1.Table, name string) *adminv1.Table {
	t.Helper()
	for _, table := range tables {
		if table.GetName() == name {
			return table
		}
	}
	t.Fatalf("no table %s among %v", name, tables)
	return nil
}

// The state of a table is that of the lane that is furthest behind, by the contract's goal; the reason says why.
func TestTablesSayWhyTheyAreStale(t *testing.T) {
	o := overview(fakeGoals{10 * time.Second, time.Minute},
		of("orders", 0, 0, 0, causes.Idle), of("orders", 1, 500, 90, causes.Quota),
		of("orders", 2, 500, 5, causes.Append), of("stock", 0, 3, 0.4, causes.Append))
	tables := o.Tables()
	if len(tables) != 3 {
		t.Fatalf("%d tables", len(tables))
	}
	orders := named(t, tables, "orders_table")
	if orders.GetState() != adminv1.State_STATE_STALE || orders.GetBehindRecords() != 1000 ||
		!strings.HasPrefix(orders.GetReason(), "is 1m 30s behind: BigQuery's quota, or an outage, since ") {
		t.Errorf("orders: %v", orders)
	}
	if orders.GetCause() != "quota" || orders.GetLanes()["open"] != 3 || len(orders.GetTopics()) != 1 {
		t.Errorf("orders: %v", orders)
	}
	sum := 0.
	for _, s := range orders.GetShares() {
		sum += s.GetMinute()
	}
	if math.Abs(sum-1) > 1e-9 || len(orders.GetShares()) != 2 {
		t.Errorf("shares %v", orders.GetShares())
	}
	if stock := named(t, tables, "stock_table"); stock.GetState() != adminv1.State_STATE_FRESH ||
		stock.GetReason() != "is fresh" {
		t.Errorf("stock: %v", stock)
	}
	all := named(t, tables, "all")
	if all.GetState() != adminv1.State_STATE_LATE || all.GetGoal().AsDuration() != defaultGoal ||
		all.GetStale().AsDuration() != staleTimes*defaultGoal || len(all.GetTopics()) != 2 {
		t.Errorf("a table without a goal: %v", all)
	}
}

// A lane that needs an operator shows, though nothing is missing yet; one that has not opened makes the table unknown.
func TestRefusedAndUnknownLanesShow(t *testing.T) {
	bad := of("orders", 0, 0, 0, causes.Refused)
	bad.status.State, bad.status.LastError = lane.Refused, "grant READ on the topic"+strings.Repeat(" é", 1000)
	table := named(t, overview(fakeGoals{}, bad).Tables(), "orders_table")
	if table.GetState() != adminv1.State_STATE_LATE || !strings.Contains(table.GetReason(), "grant READ") ||
		!strings.Contains(table.GetReason(), "orders/0 is refused") || len(table.GetReason()) > 400 {
		t.Errorf("refused: %v", table)
	}
	young := of("orders", 0, -1, 0, causes.Opening)
	young.status.State, young.status.Position = lane.Opening, -1
	table = named(t, overview(fakeGoals{}, young, of("orders", 1, 0, 0, causes.Idle)).Tables(), "orders_table")
	if table.GetState() != adminv1.State_STATE_UNSPECIFIED || table.CompleteThrough != nil ||
		!strings.Contains(table.GetReason(), "1 of 2 lanes") {
		t.Errorf("unknown: %v", table)
	}
}

// A table with paused lanes is paused while its other lanes are fresh, however old it gets; one of those that is late
// makes it late.
func TestPausedLanesShow(t *testing.T) {
	rests, runs := of("orders", 0, 500, 9000, causes.Paused), of("orders", 1, 3, 0.5, causes.Append)
	rests.status.State, rests.status.Paused = lane.Paused, "paused until noon by alice: why not"
	o := overview(fakeGoals{10 * time.Second, time.Minute}, rests, runs)
	o.Look(time.Now()) // which keeps a history of states
	table := named(t, o.Tables(), "orders_table")
	if table.GetState() != adminv1.State_STATE_PAUSED ||
		table.GetReason() != "has lanes that are paused until noon by alice: "+
			"why not" || table.GetLanes()["paused"] != 1 || table.GetBehind().AsDuration() < 9000*time.Second {
		t.Errorf("paused: %v", table)
	}
	runs.status.LagSeconds = 30
	if table := named(t, o.Tables(), "orders_table"); table.GetState() != adminv1.State_STATE_LATE {
		t.Errorf("a lane that is late beside it: %v", table)
	}
	rests.status.Position = -1
	runs.status.LagSeconds = 1
	if table := named(t, o.Tables(), "orders_table"); table.GetState() != adminv1.State_STATE_PAUSED {
		t.Errorf("a lane that has not opened since it is paused: %v", table)
	}
}

// Rates are those of the last minute, by samples; a lane that is new has none.
func TestRatesOfTheLastMinute(t *testing.T) {
	l := of("orders", 0, 0, 0, causes.Idle)
	o := overview(fakeGoals{}, l)
	now := time.Now().Add(-5 * time.Minute)
	for range 100 {
		o.Look(now)
		now = now.Add(3 * time.Second)
		l.status.Rows, l.status.Bytes = l.status.Rows+300, l.status.Bytes+3000
	}
	s := o.see(now, false, nil)[0]
	if math.Abs(s.rows-100) > 1 || math.Abs(s.bytes-1000) > 10 {
		t.Errorf("%v rows and %v bytes a second, want 100 and 1000", s.rows, s.bytes)
	}
	if s := o.see(now.Add(2*time.Minute), false, nil)[0]; s.rows != 0 {
		t.Errorf("%v rows a second by samples that are too old", s.rows)
	}
	if len(o.rates) != 1 {
		t.Errorf("%d lanes remembered", len(o.rates))
	}
	o.Lanes = func() []Lane { return nil }
	o.Look(now)
	if len(o.rates) != 0 || len(o.tables) != 0 {
		t.Errorf("lanes and tables that are gone are remembered: %d, %d", len(o.rates), len(o.tables))
	}
}

// A change of a table's state is logged once, and so an event.
func TestChangesOfStateAreLogged(t *testing.T) {
	var out bytes.Buffer
	l := of("orders", 0, 0, 0, causes.Idle)
	o := overview(fakeGoals{time.Second, time.Minute}, l)
	o.Log = slog.New(slog.NewTextHandler(&out, nil))
	now := time.Now()
	for i, c := range []struct {
		seconds float64
		want    string
	}{{0, "is fresh"}, {0, ""}, {100, "is stale"}, {101, ""}, {0, "is recovered"}, {0, ""}} {
		out.Reset()
		l.status.LagSeconds, l.status.Lag = c.seconds, int64(c.seconds)
		o.Look(now.Add(time.Duration(i) * time.Second))
		lines := strings.Count(out.String(), "table=orders_table")
		if want := min(1, len(c.want)); lines != want || !strings.Contains(out.String(), c.want) {
			t.Errorf("step %d: %q, want %q", i, out.String(), c.want)
		}
	}
}

func TestLanesThatMatch(t *testing.T) {
	one := int32(1)
	o := overview(fakeGoals{}, of("a", 0, 0, 0, causes.Idle), of("a", 1, 5, 2, causes.Append),
		of("b", 1, 0, 0, causes.Idle))
	for _, c := range []struct {
		topic     string
		partition *int32
		table     string
		want      int
	}{
		{"", nil, "", 3},
		{"a", nil, "", 2},
		{"a", &one, "", 1},
		{"", nil, "b_table", 1},
		{"", nil, "all", 3},
		{"c", nil, "", 0},
	} {
		if got := o.Matching(c.topic, c.partition, c.table); len(got) != c.want {
			t.Errorf("%q %v %q: %d lanes, want %d", c.topic, c.partition, c.table, len(got), c.want)
		}
	}
	if got := o.Matching("a", &one, "")[0]; got.GetBehind().AsDuration() != 2*time.Second ||
		got.GetCause() != "append" {
		t.Errorf("%v", got)
	}
}

func BenchmarkTables(b *testing.B) {
	var lanes []*fakeLane
	for i := range int32(1000) {
		lanes = append(lanes, of(fmt.Sprintf("topic-%d", i%100), i/100, 10, 1, causes.Append))
	}
	o := overview(fakeGoals{}, lanes...)
	for b.Loop() {
		o.Tables()
	}
}
