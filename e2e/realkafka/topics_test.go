//go:build realkafka

package realkafka

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/waybill-data/waybill/e2e/stack"
)

var errNoLanes = errors.New("no lanes")

// A compacted topic is refused where an operator looks: by `ingest check`, in the log, in a metric. Once it is no
// longer compacted it is read.
func TestCompactedTopicRefused(t *testing.T) {
	t.Parallel()
	const topic = "compacted_delivery_events_v6_topic"
	w := lay(t, stack.Config{Group: "compacted", Contracts: "  - builtin: delivery.v6\n    topic: " + topic + "\n"})
	compact, remove := "compact", "delete"
	w.create(topic, map[string]*string{"cleanup.policy": &compact})
	if err := w.UpSandbox(w.ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Down(0) })
	ingest := w.Ingests[0]
	for _, p := range []*stack.Process{w.Writers[0].Process, ingest.Process} {
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
	w.logged(ingest, "the topic is compacted: records vanish between two readings")
	check, err := exec.Command(ingest.Path, "check", "--config", ingest.Config).CombinedOutput()
	if err == nil || !strings.Contains(string(check), "is compacted") ||
		!strings.Contains(string(check), "set cleanup.policy=delete") {
		t.Errorf("ingest check (%v) does not refuse the topic:\n%s", err, check)
	}
	w.until("the metric shows it", func() error {
		if n := w.metric(ingest, "waybill_ingest_source_topics", "state", "refused"); n != 1 {
			return fmt.Errorf("%v topics are refused", n)
		}
		return nil
	})
	if lanes, err := ingest.Lanes(w.ctx); err != nil || len(lanes) != 0 {
		t.Errorf("lanes of a compacted topic: %v, %v", lanes, err)
	}

	responses, err := w.admin.AlterTopicConfigs(w.ctx,
		[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: &remove}}, topic)
	if err != nil || responses[0].Err != nil {
		t.Fatalf("alter the topic: %v, %v", err, responses)
	}
	w.logged(ingest, "reading the topic")
	w.until("the topic has lanes", func() error {
		lanes, err := ingest.Lanes(w.ctx)
		if err == nil && len(lanes) != partitions {
			err = errNoLanes
		}
		return err
	})
}
