package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/e2e/stack"
)

// The sandbox does what exactly once takes for granted: all that docs/exactly-once.md lists holds against it.
func TestLiveCheck(t *testing.T) {
	t.Parallel()
	w := sandboxOnly(t, stack.Config{})
	code, out := w.liveCheck()
	if code != 0 || !strings.Contains(out, "\n16 ok, 0 not\n") {
		t.Errorf("exit status %d:\n%s", code, out)
	}
	// What BigQuery does with rows far away in partitioned tables is not known: the line says what was seen of each.
	far := regexp.MustCompile(`(?m)^dates far away +ok +in a table partitioned by day all are taken: ` +
		`0001-01-01T00:00:00Z, .*, 9999-12-31T23:59:59.999999Z$`)
	if !far.MatchString(out) {
		t.Errorf("no line of dates far away:\n%s", out)
	}
	// The table is deleted, also when an experiment cannot be made, which is a failure.
	w.fault("bigquery", map[string]any{"kind": "aborted", "method": "finalize", "count": 1})
	code, out = w.liveCheck()
	if failed := regexp.MustCompile(`(?m)^finalize with appends in flight +failed +finalize: .*Aborted`); code != 1 ||
		!failed.MatchString(out) {
		t.Errorf("a finalize fails: exit status %d:\n%s", code, out)
	}
	w.fault("bigquery", map[string]any{"kind": "aborted", "method": "finalize", "count": 1})
	code, out = w.liveCheck("-o", "json")
	verdicts := map[string]int{}
	for line := range strings.Lines(out) {
		var one struct{ Check, Verdict, Seen string }
		if err := json.Unmarshal([]byte(line), &one); err != nil || one.Check == "" || one.Seen == "" {
			t.Errorf("%s: %v", line, err)
		}
		verdicts[one.Verdict]++
	}
	if code != 1 || verdicts["failed"] != 1 || verdicts["ok"]+verdicts["differs"] != 15 { // what it left may show later
		t.Errorf("as JSON: exit status %d, %v", code, verdicts)
	}
	text, err := stack.Fetch(w.ctx, "http://"+w.Endpoints.BigQueryREST+
		"/bigquery/v2/projects/sandbox/datasets/waybill/tables")
	if err != nil || !bytes.Contains(text, []byte(`"totalItems":0`)) {
		t.Errorf("a table is left behind: %s, %v", text, err)
	}
}

// A BigQuery that does otherwise is found out: this one takes any bytes for rows and keeps none.
func TestLiveCheckDiffers(t *testing.T) {
	t.Parallel()
	w := sandboxOnly(t, stack.Config{SandboxArgs: []string{"--discard"}})
	code, out := w.liveCheck()
	for _, line := range []string{
		`(?m)^partial overlap +ok +AlreadyExists/OFFSET_ALREADY_EXISTS "`,
		`(?m)^row errors +differs +a NUMERIC that is no number was taken$`,
		`(?m)^rows are readable +differs +a query finds 0 rows, [1-9]\d* were acknowledged$`,
	} {
		if !regexp.MustCompile(line).MatchString(out) {
			t.Errorf("no line %s", line)
		}
	}
	if code != 1 {
		t.Errorf("exit status %d", code)
	}
	if t.Failed() {
		t.Log(out)
	}
}

func sandboxOnly(t *testing.T, config stack.Config) *world {
	t.Helper()
	w := prepared(t, config)
	w.upSandbox()
	return w
}

func (w *world) liveCheck(more ...string) (code int, out string) {
	w.t.Helper()
	command := exec.CommandContext(w.ctx, filepath.Join(bin, "writer"), append([]string{
		"live-check", "--project", "sandbox", "--dataset", "waybill", "--insecure", "--endpoint-grpc",
		w.Endpoints.BigQueryGRPC, "--endpoint-rest", "http://" + w.Endpoints.BigQueryREST, "--schema-wait", "10s",
	}, more...)...)
	text, err := command.CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), string(text)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return 0, string(text)
}
