// Package kafkatest is what tests of several packages need of a broker.
package kafkatest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Patience is how long a test waits for what must come. It is for hangs only.
const Patience = time.Minute

// Cluster runs a cluster of one broker for the length of a test; its id is test-cluster.
func Cluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.ClusterID("test-cluster")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Producer makes a client for the length of a test, which writes to the partitions that records name.
func Producer(t testing.TB, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}, opts...)
	p, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// SameRecords compares records by what Kafka holds: null and empty are different, but no headers are no headers.
var SameRecords = cmp.Options{
	cmpopts.IgnoreUnexported(record.Record{}),
	cmp.FilterValues(
		func(a, b []record.Header) bool { return len(a)+len(b) == 0 },
		cmp.Comparer(func(_, _ []record.Header) bool { return true }),
	),
}

// Eventually waits for something that another goroutine or process decides, and fails the test when it does not come.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never came: %s", what)
}
