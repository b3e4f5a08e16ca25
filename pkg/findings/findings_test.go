package findings

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrint(t *testing.T) {
	var out strings.Builder
	failed := Print(&out, []Finding{
		{What: "configuration", State: OK, Detail: "ingest.yaml", Remedy: "not printed"},
		{
			What: "brokers", State: Warn, Detail: "1 of 3 responds\nthe others: connection refused",
			Remedy: "start the others",
		},
		{What: "topic größe", State: Fail, Detail: "does not exist", Remedy: "create it, or\nturn on auto-creation"},
		{What: "metrics", State: OK},
	})
	want := `ok    configuration  ingest.yaml
warn  brokers        1 of 3 responds
                     the others: connection refused
                     -> start the others
FAIL  topic größe    does not exist
                     -> create it, or
                        turn on auto-creation
ok    metrics

2 ok, 1 to look at, 1 failed
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !failed {
		t.Error("a failed finding was not reported")
	}
	if Print(&strings.Builder{}, []Finding{{State: Warn}, {State: OK}}) {
		t.Error("a warning was reported as failed")
	}
}

// On a terminal a long detail goes on below itself.
func TestPrintOnATerminal(t *testing.T) {
	var out strings.Builder
	printWithin(&out, 50, []Finding{
		{
			What: "brokers", State: Fail, Detail: "no broker responds: connection refused, again and again",
			Remedy: "start the brokers, or correct kafka.brokers",
		},
	})
	want := `FAIL  brokers  no broker responds: connection
               refused, again and again
               -> start the brokers, or correct
                  kafka.brokers

0 ok, 0 to look at, 1 failed
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// For machines the same is one object: counts, and each finding with what, state, detail and, where it is not well, its
// remedy.
func TestPrintJSON(t *testing.T) {
	var out strings.Builder
	failed := PrintJSON(&out, []Finding{
		{What: "configuration", State: OK, Detail: "ingest.yaml", Remedy: "not printed"},
		{What: "brokers", State: Warn, Detail: "1 of <3> responds\nthe others: no", Remedy: "start the others"},
		{What: "topic größe", State: Fail, Detail: "does not exist"},
	})
	want := `{
  "ok": 1,
  "warn": 1,
  "failed": 1,
  "findings": [
    {
      "what": "configuration",
      "state": "ok",
      "detail": "ingest.yaml"
    },
    {
      "what": "brokers",
      "state": "warn",
      "detail": "1 of <3> responds\nthe others: no",
      "remedy": "start the others"
    },
    {
      "what": "topic größe",
      "state": "fail",
      "detail": "does not exist"
    }
  ]
}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !failed || PrintJSON(&strings.Builder{}, []Finding{{State: Warn}, {State: OK}}) {
		t.Error("what failed is not what it says")
	}
}
