package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
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

// lingering is quick, but a lane whose claim has ended may take its time to settle.
const lingering = `  session_timeout: 6s
  rebalance_timeout: 150s
  drain_timeout: 120s
`

// Another member owns the partition, says the group's coordinator. The lane is seen with that cause while it settles
// what it has sent, which BigQuery keeps it from, and ends; then its member joins the group again, and the lane opens.
func TestCauseOfAFencedLane(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{
		DeliveryPartitions: 1, StockPartitions: 1, KafkaYAML: lingering,
		Contracts: "  - builtin: delivery.v6\n    freshness: {goal: 1s, stale: 2s}\n",
	})
	w.produce(stack.DeliveryTopic, 100, events.Config{})
	w.settled()
	s := see(w, stack.DeliveryTopic)
	commits := func(fault string) {
		w.fault(stack.Kafka, map[string]any{
			"key": "OffsetCommit", "error": fault, "group": stack.Group, "topic": stack.DeliveryTopic, "count": -1,
		})
	}
	s.play(scene{
		cause: "fenced", says: "another member owns the partition, since",
		provoke: func() {
			// A commit is sent again and again, and there is a window that is not settled, before the coordinator has
			// anything to say of who owns the partition.
			commits("COORDINATOR_LOAD_IN_PROGRESS")
			w.produce(stack.DeliveryTopic, 50, events.Config{})
			s.until("nothing is left to be settled", func() error {
				if now := s.metric(w.Ingests[0], "waybill_ingest_settled_rows_total"); now < 150 {
					return fmt.Errorf("%v rows are settled", now)
				}
				return nil
			})
			w.fault(stack.BigQuery, map[string]any{"kind": "quota", "method": "append"})
			w.produce(stack.DeliveryTopic, 200, events.Config{})
			s.until("the window waits for BigQuery", func() error { return s.lane("quota") })
			commits("UNKNOWN_MEMBER_ID")
			if err := w.ClearFaults(w.ctx, stack.Kafka, "1"); err != nil { // the first: no commit passes in between
				t.Fatal(err)
			}
		},
		lift: func() { s.lift(stack.BigQuery)(); s.lift(stack.Kafka)() },
	})
	w.verified()
}

// Each cause that the code knows has its scene, and each scene is of a cause.
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
	for cause := range known {
		if !played[cause] {
			t.Errorf("no scene provokes %s", cause)
		}
	}
}
