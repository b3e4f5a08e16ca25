package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/terminal"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

func clockOf(t *timestamppb.Timestamp) string {
	if t == nil {
		return "–"
	}
	return t.AsTime().UTC().Format("15:04:05")
}

func perSecond(bytes float64) string { return fleetview.Count(bytes) + "B/s" }

func behind(records int64, age string) string {
	switch {
	case records < 0:
		return "?"
	case records == 0:
		return "0"
	}
	return fleetview.Count(float64(records)) + " " + age
}

// absent is a duration that may not be known.
func absent(d *durationpb.Duration) string {
	if d == nil {
		return "–"
	}
	return fleetview.Age(d.AsDuration())
}

// showTables prints tables.
func showTables(out io.Writer, width int, r *adminv1.ListTablesResponse) {
	say(out, width, r.GetSummary()+"\n\n")
	right := []bool{false, false, false, true, true, true, true, true, true}
	t := newTable(out, width, right, "table", "state", "through", "rows/s", "bytes/s", "settles", "behind", "eta",
		"dead, 1 h", "$/day", "where the time goes, 15 min")
	for _, table := range r.GetTables() {
		var goes []string
		for _, s := range table.GetShares() {
			if s.GetQuarter() >= 0.05 {
				goes = append(goes, fmt.Sprintf("%s %.0f%%", s.GetCause(), 100*s.GetQuarter()))
			}
		}
		t.add(table.GetName(), fleetview.StateName(table.GetState()), clockOf(table.GetCompleteThrough()),
			fleetview.Count(table.GetRowsPerSecond()), perSecond(table.GetBytesPerSecond()),
			absent(table.SettleP50), behind(table.GetBehindRecords(), fleetview.Age(table.GetBehind().AsDuration())),
			absent(table.Eta), fleetview.Count(float64(table.GetDeadLettersHour())),
			fmt.Sprintf("%.2f", table.GetDollarsPerDay()), strings.Join(goes, ", "))
	}
	t.flush()
	showResponses(out, r.GetResponses())
}

// showLanes prints lanes.
func showLanes(out io.Writer, width int, r *adminv1.ListLanesResponse) {
	states := map[string]int{}
	for _, l := range r.GetLanes() {
		states[l.GetState()]++
	}
	var counts []string
	for _, s := range slices.Sorted(maps.Keys(states)) {
		counts = append(counts, fmt.Sprintf("%d %s", states[s], s))
	}
	parts := cmp.Or(strings.Join(counts, ", "), "none")
	fmt.Fprintf(out, "%d lanes: %s. The furthest behind first.\n\n", r.GetTotal(), parts)
	right := []bool{false, false, false, true, true, true}
	t := newTable(out, width, right, "lane", "state", "cause", "position", "behind",
		"rows/s", "writer", "waits for")
	for _, l := range r.GetLanes() {
		t.add(fmt.Sprintf("%s/%d", l.GetTopic(), l.GetPartition()), l.GetState(), l.GetCause(),
			fmt.Sprint(l.GetPosition()), behind(l.GetBehindRecords(), fleetview.Age(l.GetBehind().AsDuration())),
			fleetview.Count(l.GetRowsPerSecond()), l.GetWriter(), cmp.Or(l.GetWaitingFor(), l.GetLastError()))
	}
	t.flush()
	showResponses(out, r.GetResponses())
}

// showFleet prints processes and plans.
func showFleet(out io.Writer, width int, r *adminv1.GetFleetResponse) {
	say(out, width, fmt.Sprintf("The load needs %d ingest(s) and %d writer(s): %s.\n\n", r.GetIngestsNeeded(),
		r.GetWritersNeeded(), cmp.Or(r.GetReason(), "nothing was measured yet")))
	right := []bool{false, false, true, true, true, false, true, true}
	t := newTable(out, width, right, "process", "service", "lanes", "bytes/s", "saturation",
		"by", "budget", "streams", "address", "trouble")
	for _, p := range r.GetProcesses() {
		t.add(p.GetName(), p.GetService(), fmt.Sprint(p.GetLanes()), perSecond(p.GetBytesPerSecond()),
			fmt.Sprintf("%.0f%%", 100*p.GetSaturation()), p.GetSaturationCause(), budget(p), streams(p), p.GetAddress(),
			troubles(p))
	}
	t.flush()
	for _, p := range r.GetPlans() {
		showPlan(out, width, p)
	}
	showResponses(out, r.GetResponses())
}

// budget is how much of the memory budget is taken.
func budget(p *adminv1.Process) string {
	if p.GetBudgetSize() <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f%%", 100*float64(p.GetBudgetUsed())/float64(p.GetBudgetSize()))
}

// streams are a writer's write streams.
func streams(p *adminv1.Process) string {
	if p.GetService() != "writer" {
		return "–"
	}
	return fmt.Sprint(p.GetStreams())
}

// troubles are what keeps a process from its work: of itself, and of the tables that take nothing.
func troubles(p *adminv1.Process) string {
	var all []string
	if p.GetNotReady() != "" {
		all = append(all, p.GetNotReady())
	}
	for _, why := range slices.Sorted(maps.Keys(p.GetTroubledTables())) {
		all = append(all, fmt.Sprintf("tables that take nothing: %d, %s", p.GetTroubledTables()[why], why))
	}
	return strings.Join(all, "; ")
}

func showPlan(out io.Writer, width int, p *adminv1.Plan) {
	said := "nothing is to move: what is uneven is less than a move is worth"
	if p.GetSettling() {
		said = "lanes move until they are even"
	}
	if len(p.GetWriters()) < 2 {
		said = "nothing is to move: there is nowhere else to go"
	}
	if p.GetProblem() != "" {
		said = p.GetProblem() + "; lanes stay where they work"
	}
	fmt.Fprintf(out, "\nThe plan of %s: %s.\n\n", p.GetIngest(), said)
	t := newTable(out, width, []bool{false, false, true, true, true, true}, "writer", "state", "lanes", "carries",
		"fair", "settles in", "partitions", "why")
	for _, w := range p.GetWriters() {
		t.add(w.GetWriter(), w.GetState(), fmt.Sprint(w.GetLanes()), fmt.Sprintf("%.0f%%", 100*w.GetShare()),
			fmt.Sprintf("%.0f%%", 100*w.GetFair()), fleetview.Age(w.GetLatency().AsDuration()),
			strings.Join(w.GetPartitions(), " "), w.GetWhy())
	}
	t.flush()
	if len(p.GetUnplaced()) > 0 {
		fmt.Fprintf(out, "\n  Without a writer: %s\n", strings.Join(p.GetUnplaced(), " "))
	}
	if len(p.GetAhead()) > 0 {
		fmt.Fprintf(out, "\n  What is to move, unless something changes:\n")
		a := newTable(out, width, nil, "lane", "from", "to", "waits for", "reason")
		for _, n := range p.GetAhead() {
			a.add(fmt.Sprintf("%s/%d", n.GetTopic(), n.GetPartition()), n.GetFrom(), n.GetTo(),
				cmp.Or(n.GetWaitsFor(), "its turn"), n.GetReason())
		}
		a.flush()
	}
	if len(p.GetMoves()) == 0 {
		return
	}
	fmt.Fprintf(out, "\n  The last moves, the newest first:\n")
	m := newTable(out, width, nil, "at", "lane", "from", "to", "outcome", "reason")
	for _, v := range p.GetMoves()[:min(len(p.GetMoves()), 20)] {
		m.add(clockOf(v.GetTime()), fmt.Sprintf("%s/%d", v.GetTopic(), v.GetPartition()), v.GetFrom(), v.GetTo(),
			cmp.Or(v.GetOutcome(), "under way"), v.GetReason())
	}
	m.flush()
}

// showEvents prints events, the newest first.
func showEvents(out io.Writer, width int, r *adminv1.ListEventsResponse) {
	t := newTable(out, width, nil, "at", "level", "process", "lane", "what", "more")
	for _, e := range r.GetEvents() {
		lane := e.GetTopic()
		if e.Partition != nil {
			lane = fmt.Sprintf("%s/%d", lane, e.GetPartition())
		}
		t.add(clockOf(e.GetTime()), e.GetLevel(), e.GetProcess(), lane, e.GetKind(), oneLine(e.GetText()))
	}
	t.flush()
	showResponses(out, r.GetResponses())
}

// showLetters prints counts of dead letters.
func showLetters(out io.Writer, width int, r *adminv1.ListDeadLettersResponse) {
	fmt.Fprintf(out, "Dead letters since these processes started; `ingest dead-letters list` shows each.\n\n")
	t := newTable(out, width, []bool{true, true}, "1 h", "all", "reason", "topic", "type", "contract", "field",
		"one of them")
	for _, c := range r.GetCounts() {
		one := ""
		if l := c.GetSample(); l != nil {
			one = fmt.Sprintf("%d/%d: %s", l.GetPartition(), l.GetOffset(), oneLine(clean(l.GetError())))
		}
		t.add(fmt.Sprint(c.GetHour()), fmt.Sprint(c.GetCount()), c.GetReason(), c.GetTopic(), clean(c.GetType()),
			c.GetContract(), clean(c.GetField()), one)
	}
	t.flush()
	showResponses(out, r.GetResponses())
}

// showResponses says who responded, and who did not.
func showResponses(out io.Writer, responses []*adminv1.ProcessResponse) {
	if len(responses) == 0 {
		return
	}
	fmt.Fprintf(out, "\nReported by %s", responses[0].GetProcess())
	if n := len(responses) - 1; n > 0 {
		fmt.Fprintf(out, ", which asked %d more", n)
	} else {
		fmt.Fprint(out, ", of itself alone")
	}
	fmt.Fprintln(out, ".")
	for _, a := range responses {
		if a.GetError() != "" {
			fmt.Fprintf(out, "%s does not respond: %s\n", a.GetAddress(), oneLine(a.GetError()))
		}
	}
}

// say prints a sentence, over several lines where the terminal is narrow.
func say(out io.Writer, width int, text string) {
	fmt.Fprint(out, strings.Join(terminal.Wrap(text, width), "\n"))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
