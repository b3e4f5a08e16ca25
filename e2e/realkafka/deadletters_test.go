//go:build realkafka

package realkafka

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/waybill-data/waybill/e2e/stack"
)

// The real coordinator fences an older replay, and ends the transaction that a killed one left open: each letter is
// replayed once, and its row arrives once.
func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{})
	mix := plain
	mix.UnknownTypeEvery = 1
	const letters = 5000
	w.produce(w.topic(), letters, mix)
	w.settled()
	ingest := w.Ingests[0]
	text, err := os.ReadFile(ingest.Config)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte("    topic: " + w.topic() + "\n")
	types := []byte("    types: [contracts.delivery.delivery_events_v6.*, contracts.delivery.delivery_events_v7.*]\n")
	if err := os.WriteFile(ingest.Config, bytes.Replace(text, line, append(line, types...), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	w.restart(ingest)

	run := func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, filepath.Join(bin, "ingest"), "dead-letters", "replay", "--all", "--config",
			ingest.Config)
	}
	end := func() int64 {
		ends, err := w.admin.ListEndOffsets(w.ctx, w.topic()+stack.DeadLetters)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := ends.Lookup(w.topic()+stack.DeadLetters, 0)
		return o.Offset
	}
	for range 2 {
		before := end()
		killed := run(w.ctx)
		if err := killed.Start(); err != nil {
			t.Fatal(err)
		}
		w.until("a part is replayed", func() error {
			if now := end(); now < before+200 {
				return fmt.Errorf("%d marks", now-before)
			}
			return nil
		})
		if err := killed.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := killed.Wait(); err == nil {
			t.Fatal("the replay had ended before it was killed")
		}
	}
	var all sync.WaitGroup
	outs := make([]string, 3)
	for i := range outs {
		all.Go(func() {
			out, err := run(w.ctx).CombinedOutput()
			outs[i] = fmt.Sprintf("%s(%v)", out, err)
		})
	}
	all.Wait()
	finished := false
	for _, out := range outs {
		t.Log(out)
		finished = finished || strings.HasSuffix(out, "(<nil>)")
		if !strings.HasSuffix(out, "(<nil>)") && !strings.Contains(out, "another replay of the topic has taken over") {
			t.Errorf("a replay failed for another reason:\n%s", out)
		}
	}
	if !finished {
		t.Error("no replay has finished")
	}
	w.until("every replayed record has its row", func() error {
		report := w.compared()
		if report.Replayed != letters || report.Rows != letters || report.DeadLetters != letters {
			return fmt.Errorf("%s", report.Line())
		}
		return nil
	})
	if out, err := run(w.ctx).CombinedOutput(); err != nil ||
		!strings.Contains(string(out), "replayed 0 records; 5,000 already replayed, 0 skipped") {
		t.Errorf("again: %v\n%s", err, out)
	}
}
