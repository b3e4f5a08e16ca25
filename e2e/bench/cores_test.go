package bench

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestCoresReport(t *testing.T) {
	at := func(cores int, slice, rate float64) CoresResult {
		return CoresResult{
			Workload: "json-270", Lanes: 16, Cores: cores, SliceMS: slice, RowsPerS: rate, CPU: Costs{20, 10, 30},
			Busy:          0.9,
			RowsPerAppend: 2000, TurnMS: slice, RestMS: 5,
		}
	}
	report := CoresReport{Series: []CoresResult{at(1, 3, 400_000), at(4, 3, 1_200_000), at(1, 0, 450_000)}, Runs: 3}
	report.compare()
	if got := []float64{report.Series[0].Ratio, report.Series[1].Ratio, report.Series[2].Ratio}; got[0] != 0 ||
		got[1] != 3 || got[2] != 0 {
		t.Errorf("ratios %v, want 3 in the middle alone", got)
	}
	var out strings.Builder
	if err := report.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3.00", "none", "1200000"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(line); n > 121 {
			t.Errorf("%d columns: %s", n-1, line)
		}
	}
	if m := medianCores([]CoresResult{at(1, 3, 100), at(1, 3, 400), at(1, 3, 200)}); m.RowsPerS != 200 ||
		m.Spread != 1.5 || len(m.Each) != 3 || m.Each[1].RowsPerS != 400 {
		t.Errorf("the median of 100, 400, 200 is %v, its spread %v, each %v", m.RowsPerS, m.Spread, m.Each)
	}
}

// Throughput counts the services' own time; what they used is shared among the rows.
func TestCoresFill(t *testing.T) {
	r := CoresResult{Cores: 4}
	from := moment{wall: time.Unix(100, 0)}
	to := moment{
		rows: 1_000_000, appends: 500, own: time.Second, rested: 2 * time.Second, turns: 200, ingest: 2 * time.Second,
		writer: time.Second, wall: time.Unix(103, 0),
	}
	if err := r.fill(from, to, time.Second); err != nil {
		t.Fatal(err)
	}
	if r.RowsPerS != 1e6 || r.CPU != (Costs{2, 1, 3}) || r.Busy != 0.75 || r.TurnMS != 5 || r.RestMS != 10 ||
		r.RowsPerAppend != 2000 {
		t.Errorf("%+v", r)
	}
	if err := r.fill(from, to, 3*time.Second); err == nil {
		t.Error("a third of the time is taken for all of it")
	}
}

func TestCoresChecks(t *testing.T) {
	for _, wrong := range []Cores{
		{Runs: 0, Lasts: time.Second, Lanes: []int{8}, Counts: []int{1}, Slices: []time.Duration{0}},
		{Runs: 1, Lasts: time.Second, Lanes: []int{8}, Counts: []int{100_000}, Slices: []time.Duration{0}},
		{Runs: 1, Lasts: time.Second, Lanes: []int{8}, Counts: []int{1}, Slices: []time.Duration{time.Microsecond}},
	} {
		if _, err := wrong.Run(t.Context()); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}
