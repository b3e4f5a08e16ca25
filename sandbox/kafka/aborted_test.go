package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/waybill-data/waybill/sandbox/kafka"
	"github.com/waybill-data/waybill/sandbox/sandboxtest"
)

// A read_committed fetch that asks for little in all still names the aborted transactions of what it gets.
func TestAbortedTransactionsAreNamed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cluster := sandboxtest.Kafka(t, kafka.Config{Topics: []kafka.Topic{{Name: "orders", Partitions: 1}}})
	client := sandboxtest.Client(t, cluster, kgo.TransactionalID("x"),
		kgo.DefaultProduceTopic("orders"),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MaxVersions(kversion.V2_5_0())) // fetches name topics, and not by id
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := client.ProduceSync(ctx, &kgo.Record{Value: make([]byte, 4000)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(ctx, end); err != nil {
			t.Fatal(err)
		}
	}
	fetch := kmsg.NewPtrFetchRequest()
	fetch.IsolationLevel, fetch.MaxBytes, fetch.MaxWaitMillis = 1, 6000, 100
	topic, partition := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	partition.PartitionMaxBytes, partition.CurrentLeaderEpoch = 1<<20, -1
	topic.Topic, topic.Partitions = "orders", append(topic.Partitions, partition)
	fetch.Topics = append(fetch.Topics, topic)
	leader, _, err := client.PartitionLeader("orders", 0)
	if err != nil {
		t.Fatal(err)
	}
	response, err := fetch.RequestWith(ctx, client.Broker(int(leader)))
	if err != nil {
		t.Fatal(err)
	}
	got := response.Topics[0].Partitions[0]
	if len(got.RecordBatches) < 4000 || len(got.AbortedTransactions) == 0 {
		t.Errorf("%d bytes with %d aborted transactions", len(got.RecordBatches), len(got.AbortedTransactions))
	}
}
