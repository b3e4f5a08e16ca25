package fleetview

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// price is what dollars a day are reckoned by: what Google lists for the Storage Write API. The 2 TiB a month that are
// free are not taken off.
const price = "$0.025 a GiB of rows, BigQuery's list price for the Storage Write API " +
	"(cloud.google.com/bigquery/pricing, 2025) without the free 2 TiB a month"

// DollarsPerByte is the price as a number.
const DollarsPerByte = 0.025 / (1 << 30)

// rank is how bad a state is. Not knowing is worse than being fresh.
func rank(s adminv1.State) int {
	switch s {
	case adminv1.State_STATE_FRESH:
		return 0
	case adminv1.State_STATE_RECOVERED:
		return 1
	case adminv1.State_STATE_LATE:
		return 4
	case adminv1.State_STATE_STALE:
		return 5
	}
	return 2
}

// StateName is a state in words: fresh, late, stale, recovered, paused or unknown.
func StateName(s adminv1.State) string {
	if s == adminv1.State_STATE_UNSPECIFIED {
		return "unknown"
	}
	return strings.ToLower(strings.TrimPrefix(s.String(), "STATE_"))
}

// mergeAll puts what several processes say of the same table together, and sorts the tables, the worst first.
func mergeAll(tables []*adminv1.Table) []*adminv1.Table {
	byName := map[string]*adminv1.Table{}
	var out []*adminv1.Table
	for _, t := range tables {
		if into := byName[t.GetName()]; into != nil {
			merge(into, t)
			continue
		}
		byName[t.GetName()] = t
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *adminv1.Table) int {
		return cmp.Or(
			cmp.Compare(rank(b.GetState()), rank(a.GetState())),
			cmp.Compare(b.GetBehind().AsDuration(), a.GetBehind().AsDuration()),
			cmp.Compare(a.GetName(), b.GetName()))
	})
	return out
}

// merge adds what another process says of the same table.
func merge(into, t *adminv1.Table) {
	shares(into, t)
	worse := cmp.Or(cmp.Compare(rank(t.GetState()), rank(into.GetState())),
		cmp.Compare(t.GetBehind().AsDuration(), into.GetBehind().AsDuration())) > 0
	if worse {
		into.State, into.Reason, into.Cause, into.Since = t.GetState(), t.GetReason(), t.GetCause(), t.GetSince()
	}
	switch {
	case into.CompleteThrough == nil || t.CompleteThrough == nil:
		into.CompleteThrough = nil
	case t.GetCompleteThrough().AsTime().Before(into.GetCompleteThrough().AsTime()):
		into.CompleteThrough = t.GetCompleteThrough()
	}
	if t.GetBehind().AsDuration() > into.GetBehind().AsDuration() {
		into.Behind = t.GetBehind()
	}
	into.RowsPerSecond += t.GetRowsPerSecond()
	into.BytesPerSecond += t.GetBytesPerSecond()
	into.BehindRecords += t.GetBehindRecords()
	into.DeadLetters += t.GetDeadLetters()
	into.DeadLettersHour += t.GetDeadLettersHour()
	into.DollarsPerDay += t.GetDollarsPerDay()
	// What several ingests carry takes as long as the slowest.
	into.Eta = longer(into.Eta, t.Eta, into.Eta == nil, t.Eta == nil)
	into.SettleP50 = longer(into.SettleP50, t.SettleP50, into.SettleP50 == nil, t.SettleP50 == nil)
	into.SettleP99 = longer(into.SettleP99, t.SettleP99, into.SettleP99 == nil, t.SettleP99 == nil)
	into.History = worstOf(into.GetHistory(), t.GetHistory())
	if into.Lanes == nil {
		into.Lanes = map[string]int32{}
	}
	for state, n := range t.GetLanes() {
		into.Lanes[state] += n
	}
	topics := slices.Concat(into.GetTopics(), t.GetTopics())
	slices.Sort(topics)
	into.Topics = slices.Compact(topics)
}

// shares joins the shares, weighted by the records behind, or by lanes where nobody is behind.
func shares(into, t *adminv1.Table) {
	a, b := float64(into.GetBehindRecords()), float64(t.GetBehindRecords())
	if a+b == 0 {
		a, b = float64(count(into)), float64(count(t))
	}
	if a+b == 0 {
		return
	}
	sums := map[string]*adminv1.Share{}
	for _, part := range []struct {
		shares []*adminv1.Share
		weight float64
	}{{into.GetShares(), a / (a + b)}, {t.GetShares(), b / (a + b)}} {
		for _, s := range part.shares {
			sum := sums[s.GetCause()]
			if sum == nil {
				sum = &adminv1.Share{Cause: s.GetCause()}
				sums[s.GetCause()] = sum
			}
			sum.Minute += part.weight * s.GetMinute()
			sum.Quarter += part.weight * s.GetQuarter()
		}
	}
	into.Shares = into.Shares[:0]
	for _, s := range sums {
		into.Shares = append(into.Shares, s)
	}
	slices.SortFunc(into.Shares, func(a, b *adminv1.Share) int {
		return cmp.Or(cmp.Compare(b.GetQuarter(), a.GetQuarter()), cmp.Compare(a.GetCause(), b.GetCause()))
	})
}

func count(t *adminv1.Table) (n int32) {
	for _, lanes := range t.GetLanes() {
		n += lanes
	}
	return n
}

// summaryOf is one sentence about tables that are sorted, the worst first.
func summaryOf(tables []*adminv1.Table, responses []*adminv1.ProcessResponse) string {
	var text string
	switch bad := slices.IndexFunc(tables, func(t *adminv1.Table) bool { return rank(t.GetState()) < 2 }); {
	case len(tables) == 0:
		text = "No table is loaded here."
	case bad == 0:
		text = fmt.Sprintf("All %d tables are fresh.", len(tables))
		if len(tables) == 1 {
			text = tables[0].GetName() + " is fresh."
		}
	default:
		text = tables[0].GetName() + " " + tables[0].GetReason() + "."
		if bad < 0 {
			bad = len(tables)
		}
		if bad > 1 {
			text += fmt.Sprintf(" %d of %d tables need a look.", bad, len(tables))
		}
	}
	missing := 0
	for _, a := range responses {
		if a.GetError() != "" {
			missing++
		}
	}
	if missing > 0 {
		text += fmt.Sprintf(" %d of %d processes did not respond: what they carry is missing.", missing, len(responses))
	}
	return text
}

// comfortable is the saturation that processes are to have at most.
const comfortable = 0.7

// size says how many processes the load needs.
func size(f *adminv1.GetFleetResponse) {
	var reasons []string
	for _, tier := range []struct {
		service string
		needed  *int32
	}{{"ingest", &f.IngestsNeeded}, {"writer", &f.WritersNeeded}} {
		var n int
		var sum, worst float64
		var cause string
		for _, p := range f.GetProcesses() {
			if p.GetService() != tier.service {
				continue
			}
			n++
			sum += p.GetSaturation()
			if p.GetSaturation() >= worst {
				worst, cause = p.GetSaturation(), p.GetSaturationCause()
			}
		}
		if n == 0 {
			continue
		}
		*tier.needed = max(1, int32(math.Ceil(sum/comfortable)))
		reasons = append(reasons, fmt.Sprintf("%d %s at %.0f\u00a0%% saturation on average, "+
			"the highest %.0f\u00a0%% by its %s",
			n, plural(tier.service, n), 100*sum/float64(n), 100*worst, cause))
	}
	if len(reasons) > 0 {
		f.Reason = strings.Join(reasons, "; ") + fmt.Sprintf("; %.0f\u00a0%% is comfortable", 100*comfortable)
	}
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// Age is a duration for people: two units at most.
func Age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm %02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd %02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// Count is a number for people: 12.3k, 4.5M.
func Count(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.size {
			return fmt.Sprintf("%.1f%s", v/unit.size, unit.name)
		}
	}
	if v < 10 && v != math.Trunc(v) {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// worstOf joins what processes say of the same table's past: at each time the worst counts.
func worstOf(a, b []*adminv1.StateInterval) []*adminv1.StateInterval {
	var edges []time.Time
	for _, s := range slices.Concat(a, b) {
		edges = append(edges, s.GetFrom().AsTime(), s.GetUntil().AsTime())
	}
	slices.SortFunc(edges, time.Time.Compare)
	edges = slices.CompactFunc(edges, time.Time.Equal)
	at := func(list []*adminv1.StateInterval, t time.Time) *adminv1.StateInterval {
		for _, s := range list {
			if !t.Before(s.GetFrom().AsTime()) && t.Before(s.GetUntil().AsTime()) {
				return s
			}
		}
		return nil
	}
	var out []*adminv1.StateInterval
	for i := 0; i+1 < len(edges); i++ {
		one, other := at(a, edges[i]), at(b, edges[i])
		if one == nil || other != nil && rank(other.GetState()) > rank(one.GetState()) {
			one = other
		}
		if one == nil {
			continue
		}
		if n := len(out); n > 0 && out[n-1].GetUntil().AsTime().Equal(edges[i]) &&
			out[n-1].GetState() == one.GetState() &&
			out[n-1].GetCause() == one.GetCause() {
			out[n-1].Until = timestamppb.New(edges[i+1])
			continue
		}
		out = append(out, &adminv1.StateInterval{
			From: timestamppb.New(edges[i]), Until: timestamppb.New(edges[i+1]), State: one.GetState(),
			Cause: one.GetCause(),
		})
	}
	return out
}

// longer is the longer of two durations that may be absent.
func longer[D interface{ AsDuration() time.Duration }](a, b D, absentA, absentB bool) D {
	if absentA || !absentB && b.AsDuration() > a.AsDuration() {
		return b
	}
	return a
}
