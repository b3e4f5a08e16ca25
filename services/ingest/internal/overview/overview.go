// Package overview tells people what the lanes of an ingest do: which table is how fresh, and why. It puts together
// what lanes say of themselves (package lane), where their time goes (package causes) and what their age means (package
// freshness), in the words of admin.v1.
//
// It looks at lanes every few seconds and when somebody asks, and costs their rows nothing.
package overview

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/causes"
	"github.com/waybill-data/waybill/services/ingest/internal/freshness"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// Lane is what an overview asks of a lane: *lane.Lane.
type Lane interface {
	Status() lane.Status
	Shares(now time.Time) (cause causes.Cause, since time.Time, minute, quarter causes.Shares)
	EachSettled(f func(*lane.Batch))
}

// Goals are what is said of a topic's tables.
type Goals interface {
	// Tables of the topic, as its contracts write them.
	Tables(topic string) []string
	// Freshness of a table that the topic feeds; 0: nothing is said.
	Freshness(topic, table string) (goal, stale time.Duration)
}

// The ages that count where a contract says nothing: defaultGoal up to which a table is fresh, and staleTimes as many
// times the goal from which it is stale.
const (
	defaultGoal = time.Minute
	staleTimes  = 10
)

// Overview looks at the lanes of a process. Safe for concurrent use.
type Overview struct {
	// Ingest is the name of the process.
	Ingest string
	// Lanes are those at hand.
	Lanes func() []Lane
	// Goals are those of the contracts.
	Goals Goals
	// Log gets a line when a table's state changes; nil: nobody.
	Log *slog.Logger
	// Letters counts dead letters; nil: nobody does.
	Letters *Letters

	mu     sync.Mutex
	rates  map[Lane]*rates
	tables map[string]*table
	// settled is memory of judge, looked is that of Look alone: both come every few seconds for thousands of lanes.
	settled []freshness.Lane
	looked  []seen
	// looks counts the calls of see.
	looks uint64
}

// table is what is remembered of one.
type table struct {
	judge freshness.Table
	state freshness.State
	seen  bool // in this look
	past  history
}

// seen is one lane at one moment.
type seen struct {
	lane            Lane
	status          lane.Status
	cause           causes.Cause
	since           time.Time
	minute, quarter causes.Shares
	rows, bytes     float64 // a second
	gained          float64 // records a second that it is less behind
	tables          []string
}

// Look samples the lanes and logs which tables have changed their state. Call it every few seconds, one call after the
// other.
func (o *Overview) Look(now time.Time) {
	o.looked = o.see(now, true, o.looked[:0])
	for _, t := range o.judge(now, o.looked, true) {
		if !t.changed || o.Log == nil {
			continue
		}
		level := slog.LevelInfo
		if t.verdict.State == freshness.Late || t.verdict.State == freshness.Stale {
			level = slog.LevelWarn
		}
		o.Log.Log(context.Background(), level, "the table is "+t.verdict.State.String(), //nolint:sloglint // one of six
			"table", t.name, "reason", t.reason)
	}
}

// see looks at all lanes, by topic and partition, and appends them to out, which is empty.
func (o *Overview) see(now time.Time, sample bool, out []seen) []seen {
	lanes := o.Lanes()
	out = slices.Grow(out, len(lanes))
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rates == nil {
		o.rates = make(map[Lane]*rates)
	}
	o.looks++
	for _, l := range lanes {
		s := seen{lane: l, status: l.Status()}
		s.cause, s.since, s.minute, s.quarter = l.Shares(now)
		r := o.rates[l]
		if r == nil {
			r = new(rates)
			o.rates[l] = r
		}
		if r.looked = o.looks; sample {
			r.take(now, &s.status)
		}
		s.rows, s.bytes, s.gained = r.over(now, &s.status)
		s.tables = o.Goals.Tables(s.status.Topic)
		out = append(out, s)
	}
	for l, r := range o.rates {
		if r.looked != o.looks {
			delete(o.rates, l)
		}
	}
	slices.SortFunc(out, func(a, b seen) int {
		return cmp.Or(cmp.Compare(a.status.Topic, b.status.Topic), cmp.Compare(a.status.Partition, b.status.Partition))
	})
	return out
}

// judged is a table with its lanes.
type judged struct {
	name        string
	lanes       []*seen
	goal, stale time.Duration
	verdict     freshness.Verdict
	reason      string
	changed     bool
}

func (o *Overview) judge(now time.Time, lanes []seen, look bool) []judged {
	byName := map[string]*judged{}
	var order []string
	for i := range lanes {
		s := &lanes[i]
		for _, name := range s.tables {
			j := byName[name]
			if j == nil {
				j = &judged{name: name}
				byName[name], order = j, append(order, name)
			}
			j.lanes = append(j.lanes, s)
			goal, stale := o.Goals.Freshness(s.status.Topic, name)
			j.goal, j.stale = stricter(j.goal, goal), stricter(j.stale, stale)
		}
	}
	slices.Sort(order)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tables == nil {
		o.tables = make(map[string]*table)
	}
	for _, t := range o.tables {
		t.seen = false
	}
	out := make([]judged, 0, len(order))
	for _, name := range order {
		j := byName[name]
		j.goal = cmp.Or(j.goal, min(defaultGoal, cmp.Or(j.stale, defaultGoal)))
		j.stale = cmp.Or(j.stale, staleTimes*j.goal)
		t := o.tables[name]
		if t == nil {
			t = new(table)
			o.tables[name] = t
		}
		t.judge.Goal = freshness.Goal{Goal: j.goal, Stale: j.stale}
		t.seen = true
		o.settled = settled(o.settled[:0], now, j.lanes)
		j.verdict = t.judge.Judge(now, o.settled)
		if j.verdict.State != freshness.Late && j.verdict.State != freshness.Stale {
			if refused(j.lanes) != nil { // it will not get better by itself, however little is missing yet
				j.verdict.State = freshness.Late
			}
		}
		j.reason = reason(j)
		j.changed, t.state = t.state != j.verdict.State, j.verdict.State
		if look {
			cause := causes.Idle
			if w := j.worst(); w != nil {
				cause = w.cause
			}
			t.past.note(now, j.verdict.State, cause)
		}
		out = append(out, *j)
	}
	for name, t := range o.tables {
		if !t.seen {
			delete(o.tables, name)
		}
	}
	return out
}

func stricter(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

func refused(lanes []*seen) *seen {
	for _, s := range lanes {
		if s.status.State == lane.Refused {
			return s
		}
	}
	return nil
}

// settled appends what lanes have settled.
func settled(out []freshness.Lane, now time.Time, lanes []*seen) []freshness.Lane {
	out = slices.Grow(out, len(lanes))
	for _, s := range lanes {
		out = append(out, freshness.Lane{
			Known: s.status.Position >= 0 && s.status.Lag >= 0, Paused: s.status.State == lane.Paused,
			CaughtUp: s.status.Lag == 0,
			Through:  now.Add(-time.Duration(s.status.LagSeconds * float64(time.Second))),
			Behind:   max(s.status.Lag, 0), Minute: s.minute, Quarter: s.quarter,
		})
	}
	return out
}

// Tables are the tables of the lanes.
func (o *Overview) Tables() []*adminv1.Table {
	now := time.Now()
	lanes := o.see(now, false, nil)
	var out []*adminv1.Table
	for _, j := range o.judge(now, lanes, false) {
		t := j.proto(now)
		t.DeadLettersHour = o.Letters.Hour(now, t.GetTopics())
		out = append(out, t)
	}
	return out
}

var states = map[freshness.State]adminv1.State{
	freshness.Unknown: adminv1.State_STATE_UNSPECIFIED, freshness.Fresh: adminv1.State_STATE_FRESH,
	freshness.Late: adminv1.State_STATE_LATE, freshness.Stale: adminv1.State_STATE_STALE,
	freshness.Recovered: adminv1.State_STATE_RECOVERED, freshness.Paused: adminv1.State_STATE_PAUSED,
}

func (j *judged) proto(now time.Time) *adminv1.Table {
	t := &adminv1.Table{
		Name: j.name, State: states[j.verdict.State], Reason: j.reason,
		Goal: durationpb.New(j.goal), Stale: durationpb.New(j.stale),
		Shares: shares(j.verdict.Minute, j.verdict.Quarter), BehindRecords: j.verdict.Behind,
		Behind: durationpb.New(j.verdict.Age), Lanes: map[string]int32{},
	}
	if !j.verdict.Through.IsZero() {
		t.CompleteThrough = timestamppb.New(j.verdict.Through)
	}
	var settles settling
	gained := 0.
	for _, s := range j.lanes {
		settles.take(now, s.lane)
		gained += s.gained
		t.RowsPerSecond += s.rows
		t.BytesPerSecond += s.bytes
		t.DeadLetters += s.status.DeadLetters
		t.Lanes[string(s.status.State)]++
		if len(t.Topics) == 0 || t.Topics[len(t.Topics)-1] != s.status.Topic { // lanes are sorted
			t.Topics = append(t.Topics, s.status.Topic)
		}
	}
	t.Eta, t.SettleP50, t.SettleP99 = eta(t.GetBehindRecords(), gained), settles.quantile(0.5), settles.quantile(0.99)
	t.DollarsPerDay = cost(t)
	if w := j.worst(); w != nil {
		t.Cause, t.Since = w.cause.String(), timestamppb.New(w.since)
	}
	return t
}

// worst is the lane to look at: one that is refused, or else the one that holds the table back.
func (j *judged) worst() *seen {
	if s := refused(j.lanes); s != nil {
		return s
	}
	if j.verdict.Worst >= 0 {
		return j.lanes[j.verdict.Worst]
	}
	return nil
}

// History is the states of a table in the last 24 hours, the oldest first.
func (o *Overview) History(name string) []*adminv1.StateInterval {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := o.tables[name]; t != nil {
		return t.past.intervals()
	}
	return nil
}

// Matching are the lanes of a topic, of a partition, of a table; each where it is set.
func (o *Overview) Matching(topic string, partition *int32, table string) []*adminv1.Lane {
	now := time.Now()
	var out []*adminv1.Lane
	for _, s := range o.see(now, false, nil) {
		if topic != "" && s.status.Topic != topic || partition != nil && s.status.Partition != *partition ||
			table != "" && !slices.Contains(s.tables, table) {
			continue
		}
		out = append(out, &adminv1.Lane{
			Topic: s.status.Topic, Partition: s.status.Partition, Ingest: o.Ingest, Writer: s.status.Writer,
			State: string(s.status.State), Since: timestamppb.New(s.status.Since),
			Cause: s.cause.String(), CauseSince: timestamppb.New(s.since), Shares: shares(s.minute, s.quarter),
			Position: s.status.Position, BehindRecords: s.status.Lag,
			Behind: durationpb.New(time.Duration(s.status.LagSeconds * float64(time.Second))),
			//nolint:gosec // bounded
			WindowBatches: int32(s.status.WindowBatches), WindowBytes: int64(s.status.WindowBytes),
			RowsPerSecond: s.rows, BytesPerSecond: s.bytes, Rows: s.status.Rows, Dropped: s.status.Dropped,
			DeadLetters: s.status.DeadLetters, WaitingFor: s.status.WaitingFor, LastError: s.status.LastError,
			Tables: s.tables,
		})
	}
	return out
}

// BytesPerSecond is what all lanes send.
func (o *Overview) BytesPerSecond() (sum float64, lanes int) {
	all := o.see(time.Now(), false, nil)
	for _, s := range all {
		sum += s.bytes
	}
	return sum, len(all)
}

func shares(minute, quarter causes.Shares) []*adminv1.Share {
	var out []*adminv1.Share
	for c := range minute {
		if minute[c] > 0 || quarter[c] > 0 {
			out = append(out, &adminv1.Share{Cause: causes.Cause(c).String(), Minute: minute[c], Quarter: quarter[c]})
		}
	}
	slices.SortStableFunc(out, func(a, b *adminv1.Share) int { return cmp.Compare(b.GetQuarter(), a.GetQuarter()) })
	return out
}
