package source

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// A batch that is damaged holds up what is behind it alone. What came before is passed on; damage on the way is gone
// with the next fetch, other is reported with topic, partition, offsets and checksums.
func TestDamagedBatch(t *testing.T) {
	for name, times := range map[string]int{"on the way": damages - 1, "on the broker's disk": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			r := loneReader(t)
			defer r.Close()
			whole := reply(batchOf(10, 11, 10, 11), batchOf(12, 14, 12, 13, 14), batchOf(15, 15, 15))
			var received error
			for fetch := 0; received == nil && fetch < 10; fetch++ {
				from, _ := r.progress()
				sent := whole
				if from == 12 {
					sent = reply(batchOf(12, 14, 12, 13, 14), batchOf(15, 15, 15))
				}
				if fetch < times {
					sent.raw[len(sent.raw)-len(encoded(batchOf(15, 15, 15)))-1] ^= 1 // in the batch at 12
				}
				switch err := r.take(sent.part()); {
				case errors.Is(err, lane.ErrUnreadable):
					received = err
					r.end(err)
				case err == nil:
					received = errReaderClosed // all is read
				case fetch >= times || !strings.Contains(err.Error(), "checksum"):
					t.Fatalf("fetch %d: %v", fetch, err)
				}
			}
			want := 2
			if times < damages {
				want = 6
			}
			got, err := r.Next(t.Context(), make([]record.Record, 0, 10), time.Time{})
			if err != nil || len(got) != want {
				t.Fatalf("%d records, %v; want %d", len(got), err, want)
			}
			if times < damages {
				return
			}
			_, err = r.Next(t.Context(), make([]record.Record, 0, 10), time.Time{})
			for _, text := range []string{
				testTopic + "/3", "offsets 12 to 14", "checksum", "and says", "kafka-consumer-groups --reset-offsets",
			} {
				if !errors.Is(err, lane.ErrUnreadable) || !strings.Contains(err.Error(), text) {
					t.Errorf("%v does not say %q", err, text)
				}
			}
		})
	}
}

// Fetches that fail, and partitions that have null where others have records, leave the connection and its other
// partitions alone.
func TestPartitionsFailOneByOne(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, testTopic))
	p := producer(t, c)
	s := start(t, testConfig(c.ListenAddrs()...).with(func(c *Config) { c.Kafka.Fetch.Clients = 1 }), false)
	o, other := s.claim(t), s.claim(t)
	if o.Number() != 0 {
		o, other = other, o
	}
	failing := true
	observe(c, kmsg.Fetch, func(r kmsg.Request) kmsg.Response {
		request := r.(*kmsg.FetchRequest)
		if !failing || request.Version > 12 {
			return nil
		}
		failing = false
		response := request.ResponseKind().(*kmsg.FetchResponse)
		for _, t := range request.Topics {
			topic := kmsg.NewFetchResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				one := kmsg.NewFetchResponseTopicPartition()
				one.Partition, one.ErrorCode, one.AbortedTransactions, one.RecordBatches = p.Partition, 6, nil, nil
				topic.Partitions = append(topic.Partitions, one)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response
	})
	// Without a call of Committed the topic has no id yet, and fetches are those by name.
	first, second := open(t, o, 0), open(t, other, 0)
	produce(t, p, 0, 0, 5)
	produce(t, p, 1, 0, 5)
	read(t, first, 5)
	read(t, second, 5)
}
