//go:build realkafka

package realkafka

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// metadataMax is the broker's offset.metadata.max.bytes, which the tests leave at its default.
const metadataMax = 4096

// Behind a slow BigQuery, more bad records want to be in the list of left-out ones than an offset commit can carry: the
// lane settles first instead, no commit is refused, and nothing is lost over kills. The brokers do refuse one byte more
// than their bound.
func TestCheckpointFitsCommit(t *testing.T) {
	t.Parallel()
	// Windows so large that the list, left to itself, would reach twice the bound.
	w := newWorld(t, stack.Config{
		IngestYAML: "batch:\n  bytes: 256KiB\n  rows: 64\nwindow:\n  batches: 64\n  bytes: 32MiB\n",
	})
	for size, want := range map[int]error{metadataMax: nil, metadataMax + 1: kerr.OffsetMetadataTooLarge} {
		var offsets kadm.Offsets
		offsets.Add(kadm.Offset{Topic: w.topic(), Partition: 0, LeaderEpoch: -1, Metadata: strings.Repeat("x", size)})
		responses, err := w.admin.CommitOffsets(w.ctx, "metadata", offsets)
		if err == nil {
			err = responses.Error()
		}
		if !errors.Is(err, want) {
			t.Fatalf("a commit with %d bytes of metadata: %v, expected %v", size, err, want)
		}
	}

	w.fault(map[string]any{"kind": "latency", "method": "append", "delay": "1s"})
	bad := w.produceMostlyBad(6000)
	longest, stop, watched := 0, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		longest = w.longestCheckpoint(stop)
	}()
	w.committed(3000)
	w.restart(w.Writers[0])
	w.committed(6000)
	w.restart(w.Ingests[0])
	report := w.verified()
	close(stop)
	<-watched
	if report.DeadLetters != bad {
		t.Errorf("%d records are dead letters, %d are bad", report.DeadLetters, bad)
	}
	if n := w.metric(w.Ingests[0], "waybill_ingest_lane_calls_total", "outcome", "fatal"); n != 0 {
		t.Errorf("%v lanes were refused", n)
	}
	if longest < metadataMax/2 || longest > metadataMax {
		t.Errorf("the longest checkpoint has %d bytes, and %d is the bound: it was not put to the test", longest,
			metadataMax)
	}
	t.Logf("longest checkpoint: %d of %d bytes", longest, metadataMax)
}

// produceMostlyBad fills one partition with n good records, each followed by one to three of a type that no contract
// knows.
func (w *world) produceMostlyBad(n int) (bad int64) {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Seeds...), kgo.DefaultProduceTopic(w.topic()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	generator := events.New(plain)
	var records []*kgo.Record
	for i := range n {
		records = append(records, record(generator.Delivery(nil, uint64(i))))
		for range 1 + i*7%3 {
			records = append(records, &kgo.Record{
				Value: []byte("?"), Headers: []kgo.RecordHeader{{Key: "item_type_name", Value: []byte("unknown")}},
			})
			bad++
		}
	}
	if err := client.ProduceSync(w.ctx, records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
	w.produced(w.topic(), int64(len(records)))
	return bad
}

// longestCheckpoint watches what the group commits until stop is closed.
func (w *world) longestCheckpoint(stop <-chan struct{}) (longest int) {
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Seeds...))
	if err != nil {
		return 0
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return longest
		case <-tick.C:
			commits, err := admin.FetchOffsets(w.ctx, w.Config.Group)
			if err == nil {
				commits.Each(func(o kadm.OffsetResponse) { longest = max(longest, len(o.Metadata)) })
			}
		}
	}
}
