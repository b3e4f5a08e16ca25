package kafka_test

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/sandbox/kafka"
	"github.com/waybill-data/waybill/sandbox/sandboxtest"
)

// Kafka's own tools ask as Java's AdminClient does: for the highest version of each request that the brokers offer.
// None of the responses may have null where Java expects a list, so none of the requests whose response would have is
// offered.
func TestAdminToolsOfKafka(t *testing.T) {
	cluster := sandboxtest.Kafka(t, kafka.Config{Topics: []kafka.Topic{{Name: "orders", Partitions: 3}}})
	cl := sandboxtest.Client(t, cluster)
	ctx := timed(t)

	offered := map[int16]int16{}
	versions, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range versions.ApiKeys {
		offered[key.ApiKey] = key.MaxVersion
	}
	for _, key := range []kmsg.Key{
		kmsg.DescribeTopicPartitions, kmsg.DescribeClientQuotas, kmsg.GetTelemetrySubscriptions,
	} {
		if version, ok := offered[int16(key)]; ok {
			t.Errorf("%s is offered, up to version %d", key.Name(), version)
		}
	}
	for key, least := range map[kmsg.Key]int16{
		kmsg.Fetch: 17, kmsg.Produce: 12, kmsg.Metadata: 12, kmsg.ListGroups: 5, kmsg.OffsetFetch: 9,
	} {
		if got := offered[int16(key)]; got < least {
			t.Errorf("%s is offered up to version %d, want %d", key.Name(), got, least)
		}
	}

	create := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "made", 5, -1
	create.Topics, create.TimeoutMillis = append(create.Topics, topic), 10_000
	created, err := create.RequestWith(ctx, cl)
	if err != nil || created.Topics[0].ErrorCode != 0 {
		t.Fatalf("create: %v %+v", err, created)
	}
	if created.Version >= 5 && created.Topics[0].Configs == nil {
		t.Errorf("CreateTopics %d returns null for no configurations, which Java cannot take", created.Version)
	}
}

// A group of either protocol is listed, whatever the case of the types that the tool asks for: Java writes "Classic".
func TestGroupsAreListed(t *testing.T) {
	cluster := sandboxtest.Kafka(t, kafka.Config{Topics: []kafka.Topic{{Name: "orders", Partitions: 1}}})
	ctx := timed(t)
	produce(ctx, t, sandboxtest.Client(t, cluster), "orders", 1, "x")
	member := sandboxtest.Client(t, cluster, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("orders"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(10*time.Second))
	consume(ctx, t, member, 1)
	for _, types := range [][]string{nil, {"Classic"}, {"classic"}, {"CONSUMER", "CLASSIC"}, {"Share"}} {
		list := kmsg.NewPtrListGroupsRequest()
		list.TypesFilter = types
		var groups []string
		for _, response := range member.RequestSharded(ctx, list) {
			if response.Err != nil {
				t.Fatal(response.Err)
			}
			for _, group := range response.Resp.(*kmsg.ListGroupsResponse).Groups {
				groups = append(groups, group.Group)
			}
		}
		want := []string{"readers"}
		if slices.Equal(types, []string{"Share"}) {
			want = nil
		}
		if !slices.Equal(groups, want) {
			t.Errorf("types %q list %q, want %q", types, groups, want)
		}
	}
}
