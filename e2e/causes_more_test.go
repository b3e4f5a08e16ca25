package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
)

// What an ingest lacks itself is provoked: memory, while BigQuery is slow and the window has no end, and then the
// processor, which has a backlog of records that take long to read and become small rows.
func TestCausesOfAnIngest(t *testing.T) {
	t.Parallel()
	schema := filepath.Join(t.TempDir(), "note.json")
	if err := os.WriteFile(schema, fmt.Appendf(nil, notesSchema, ""), 0o600); err != nil {
		t.Fatal(err)
	}
	w := prepared(t, stack.Config{
		DeliveryPartitions: 1, StockPartitions: 1, Topics: []string{notesTopic + ":1"},
		Contracts: fmt.Sprintf(notesContract+"    freshness: {goal: 1s, stale: 2s}\n", schema),
	})
	w.Config.IngestYAML = "memory: {budget: 16MiB}\nwindow: {bytes: 1GiB, batches: 10000}\n"
	if err := w.Rejoin(stack.Group); err != nil { // which writes the configurations anew
		t.Fatal(err)
	}
	w.upSandbox()
	w.upServices()
	client := w.client()
	// Half a megabyte of brackets, which compress to nothing: three quarters of the budget hold twelve of them.
	value := fmt.Appendf(nil, `{"id":1,"pad":[%s[]]}`, bytes.Repeat([]byte("[],"), 1<<19/3))
	write := func(ctx context.Context, n int) {
		records := make([]*kgo.Record, n)
		for i := range records {
			records[i] = &kgo.Record{Topic: notesTopic, Value: value}
		}
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
	w.sent[notesTopic] = 0
	s := see(w, notesTopic)
	going, stop := context.WithCancel(w.ctx)
	var writing sync.WaitGroup
	defer writing.Wait()
	defer stop()
	s.play(
		scene{
			cause: "budget", says: "the memory budget, since",
			provoke: func() {
				w.fault(stack.BigQuery, map[string]any{"kind": "latency", "method": "append", "delay": "3s"})
				write(w.ctx, 100)
			},
		},
		scene{
			cause: "decode", says: "the processor, which decodes as fast as it can, since",
			provoke: func() {
				s.lift(stack.BigQuery)()
				writing.Go(func() { // until it has been seen, however fast this machine is
					for going.Err() == nil {
						write(going, 20)
					}
				})
			},
			lift: func() { stop(); writing.Wait() },
		},
	)
}

// Each cause that the code knows has its scene, and each scene is of a cause. That another member owns a partition ends
// the lane's claim at once, so nobody would see it here: it has its scene on the fake clock of the lane's own tests.
func TestEachCauseHasItsScene(t *testing.T) {
	t.Parallel()
	known := names(t, "../services/ingest/internal/causes/cause.go", `"([a-z]+)"[,}]?`)
	delete(known, "unknown")
	files, err := filepath.Glob("causes*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	played := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`\bcause: "([a-z]+)"`).FindAllStringSubmatch(string(text), -1) {
			played[match[1]] = true
			if !known[match[1]] {
				t.Errorf("%s provokes %s, which is no cause", file, match[1])
			}
		}
	}
	lanes, err := os.ReadFile("../services/ingest/internal/lane/time_test.go")
	if err != nil {
		t.Fatal(err)
	}
	played["fenced"] = strings.Contains(string(lanes), "causes.Fenced: ")
	for cause := range known {
		if !played[cause] {
			t.Errorf("no scene provokes %s", cause)
		}
	}
}
