package source

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A request has nothing in it that its version does not know: brokers close the connection on tags of later ones,
// which an imitation passes over.
func TestFetchesHaveNoTags(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	checked := make(chan struct{}, 1)
	observe(c, kmsg.Fetch, func(r kmsg.Request) kmsg.Response {
		request := *r.(*kmsg.FetchRequest)
		if request.Version != 13 {
			return nil
		}
		written := request.AppendTo(nil)
		plain := kmsg.NewFetchRequest()
		plain.Version, plain.IsolationLevel = 13, request.IsolationLevel
		plain.MaxWaitMillis = request.MaxWaitMillis
		plain.MinBytes, plain.MaxBytes = request.MinBytes, request.MaxBytes
		topic, p, sent := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition(),
			request.Topics[0].Partitions[0]
		p.CurrentLeaderEpoch, p.FetchOffset = sent.CurrentLeaderEpoch, sent.FetchOffset
		p.PartitionMaxBytes = sent.PartitionMaxBytes
		topic.TopicID, topic.Partitions = request.Topics[0].TopicID, append(topic.Partitions, p)
		plain.Topics = append(plain.Topics, topic)
		if want := plain.AppendTo(nil); !bytes.Equal(want, written) {
			t.Errorf("the request is\n%x, want\n%x", written, want)
		}
		select {
		case checked <- struct{}{}:
		default:
		}
		return nil
	})
	o := start(t, testConfig(c.ListenAddrs()...), false).claim(t)
	mustCommitted(t, o, -1, "")
	r := open(t, o, 0)
	defer r.Close()
	<-checked
}
