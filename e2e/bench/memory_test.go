package bench

import (
	"strings"
	"testing"
	"time"
)

func TestMemoryCases(t *testing.T) {
	all, err := MemoryCases(nil)
	if err != nil || len(all) != 5 {
		t.Fatalf("%d cases, %v", len(all), err)
	}
	got, err := MemoryCases([]string{"v6-8-stall", "stock-500"})
	if err != nil || len(got) != 2 || got[0] != all[4] || got[1] != all[2] {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := MemoryCases([]string{"stock-9"}); err == nil || !strings.Contains(err.Error(), "choose stock-8, ") {
		t.Errorf("an unknown case: %v", err)
	}
	for _, wrong := range []Memory{{Runs: 0, Stall: time.Minute}, {Runs: 1, Stall: time.Second}} {
		if _, err := wrong.Run(t.Context()); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}

// The worst of several runs counts, for each figure.
func TestMemoryReport(t *testing.T) {
	first := MemoryResult{
		Name: "stock-8-stall", Lanes: 8, Peak: Services{200, 90}, WithinLimit: true, Settled: true,
		Stall: &Stall{Services{50, 20}, 1000},
	}
	second := MemoryResult{
		Name: "stock-8-stall", Lanes: 8, Peak: Services{260, 80}, WithinLimit: false, Settled: true,
		Stall: &Stall{Services{40, 30}, 500},
	}
	worst := MemoryResult{}.or(first).or(second)
	if worst.Peak != (Services{260, 90}) || worst.WithinLimit || !worst.Settled ||
		*worst.Stall != (Stall{Services{50, 30}, 500}) {
		t.Errorf("%+v, stall %+v", worst, worst.Stall)
	}
	if worst = worst.or(first); worst.WithinLimit {
		t.Error("a good run makes up for a bad one")
	}
	report := MemoryReport{Cases: []MemoryResult{first, worst}, LimitMB: MemoryLimit, StallS: 60, Runs: 2}
	if over := report.Over(); len(over) != 1 {
		t.Errorf("over: %v", over)
	}
	var out strings.Builder
	if err := report.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"260.0", "256  OVER", "256    ok", "50+30", "over 256 MB: stock-8-stall"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 121 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}
