package bench

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// result is one with every figure set, all of them n times a number of their own.
func result(n float64) Result {
	ratio := 1.5 * n
	return Result{
		Name: "avro-v6", Lanes: 8, Codec: "none", RowsPerS: 1000 * n, MBPerS: 9 * n, CPU: Costs{60 * n, 20 * n, 80 * n},
		FloorRatio: &ratio, PeakRSS: Services{100 * n, 50 * n}, Settle: &Settle{10 * n, 20 * n, 30 * n}, Rows: 5,
		RowBytes: 9000, OutBytes: 9500, Allocated: Services{7 * n, 3 * n}, Floor: &Floor{
			Kafka: 10 * n, Decode: 10 * n, Hop: 20 * n, BigQuery: 10 * n, Total: 50 * n, Messages: 15 * n,
		},
		Loads: []Load{
			{
				Load: 1, Rate: 100 * n, Sustained: true, RowsPerBatch: 10 * n, Settle: Settle{n, 2 * n, 3 * n},
				CPU: Costs{5 * n, 5 * n, 10 * n},
			},
		},
	}
}

func TestMedian(t *testing.T) {
	runs := []Result{result(1), result(4), result(2)}
	got := median(runs)
	want := result(2)
	got.Spread = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if !reflect.DeepEqual(runs[0], result(1)) {
		t.Error("the first run was changed")
	}
	if s := median(runs).Spread; s["cpu_total"] != 1.5 || s["settle_p99"] != 1.5 {
		t.Errorf("spread %v, want 1.5 of each", s)
	}
	if got := median([]Result{result(1), result(2)}); got.CPU.Total != 120 {
		t.Errorf("the median of 80 and 160 is %v", got.CPU.Total)
	}
	lone := median([]Result{result(3)})
	if !reflect.DeepEqual(lone, result(3)) {
		t.Errorf("one run became %+v", lone)
	}
	without := result(1)
	without.Settle, without.Floor, without.FloorRatio = nil, nil, nil
	if got := median([]Result{without, without}); got.Settle != nil || got.Floor != nil || got.FloorRatio != nil {
		t.Errorf("figures that nobody measured: %+v", got)
	}
}

// The first keys of a workload are what others read: their names and order are fixed.
func TestReportShape(t *testing.T) {
	text, err := json.Marshal(result(1))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"avro-v6","lanes":8,"codec":"none","tls":false,` +
		`"bigquery_latency_ms":0,"rows_per_s":1000,"mb_per_s":9,` +
		`"cpu_s_per_million":{"ingest":60,"writer":20,"total":80},"floor_ratio":1.5,` +
		`"peak_rss_mb":{"ingest":100,"writer":50},` +
		`"settle_ms":{"p50":10,"p99":20,"max":30},`
	if !strings.HasPrefix(string(text), want) {
		t.Errorf("got  %s\nwant %s…", text, want)
	}
}

func TestReportFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	want := Report{Workloads: []Result{result(1)}, Machine: thisMachine(), Runs: 3}
	for range 2 { // the second time over the first
		if err := want.Write(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := (Report{}).Write(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "holds no workloads") {
		t.Errorf("an empty report: %v", err)
	}
}

func TestTables(t *testing.T) {
	r := Report{
		Workloads: []Result{result(1), {Name: "json-270", Lanes: 1, Codec: "lz4", TLS: true, CPU: Costs{1, 1, 2}}},
		Runs:      1,
	}
	r.Workloads[0].Loads = []Load{{Load: 1, Rate: 500, Sustained: true}, {Load: 0.1, Rate: 50}}
	var out strings.Builder
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"medians of 1 run(s)", "json-270      1    lz4   on", "1.50", "The floor", "By load", "NO",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestCompare(t *testing.T) {
	before := Report{Workloads: []Result{median([]Result{result(1), result(1)})}}
	slower := result(1)
	slower.CPU.Total *= 1.2
	slower.RowsPerS *= 0.99
	other := result(1)
	other.Lanes = 32
	after := Report{Workloads: []Result{median([]Result{slower, slower}), other}}
	c := Compare(before, after)
	if len(c.Rows) != 1 || len(c.Alone) != 1 || !strings.Contains(c.Alone[0], "only in the second") {
		t.Fatalf("%+v", c)
	}
	var changed []string
	for _, f := range c.Rows[0].Figures {
		if f.Changed() {
			changed = append(changed, f.Name)
		}
	}
	if !slices.Equal(changed, []string{"CPU"}) {
		t.Errorf("changed: %v, want CPU alone", changed)
	}
	var out strings.Builder
	if err := c.Print(&out); err != nil || !strings.Contains(out.String(), "1.20*") ||
		strings.Contains(out.String(), "0.99*") {
		t.Errorf("%v\n%s", err, &out)
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 120 {
			t.Errorf("%d columns:\n%s", len(line), line)
		}
	}
	if back := Compare(after, before); len(back.Alone) != 1 || !strings.Contains(back.Alone[0], "only in the first") {
		t.Errorf("%+v", back.Alone)
	}
	if err := Compare(before, Report{Workloads: []Result{other}}).Print(&out); err == nil {
		t.Error("reports with nothing in common compare")
	}
}

// One run says nothing about its noise: a twelfth more may be chance, a fifth is not.
func TestCompareNoise(t *testing.T) {
	for _, c := range []struct {
		before, after Result
		factor        float64
		want          bool
	}{
		{result(1), result(1), 1.08, false},
		{result(1), result(1), 1.2, true},
		{median([]Result{result(1), result(1)}), median([]Result{result(1), result(1)}), 1.08, true},
		{median([]Result{result(0.8), result(1), result(1.2)}), median([]Result{
			result(1), result(1), result(1),
		}), 1.3, false},
	} {
		c.after.CPU.Total *= c.factor
		f := figures(&c.before, &c.after)[1]
		if f.Name != "CPU" || f.Changed() != c.want {
			t.Errorf("%s times %v: changed %v, want %v (noise %v)", f.Name, c.factor, f.Changed(), c.want, f.Noise)
		}
	}
}
