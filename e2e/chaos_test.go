package e2e

import (
	"bytes"
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/chaos"
)

// A storm of half a minute, always the same one; `make chaos` runs longer ones.
func TestChaos(t *testing.T) {
	var out bytes.Buffer
	report, err := chaos.Run(t.Context(), chaos.Config{Dir: t.TempDir(), Bin: bin, Seed: 4, Duration: 26 * time.Second, Out: &out})
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	_ = report.Print(&out)
	t.Logf("%s", &out)
	if !report.OK() {
		t.Error("not exactly once, or dead letters differ")
	}
	if report.Kills() == 0 || report.Verified.Events < 1000 || report.Opens["fenced"] == 0 {
		t.Errorf("too quiet: %d kills, %d events, %d lanes fenced", report.Kills(), report.Verified.Events, report.Opens["fenced"])
	}
}
