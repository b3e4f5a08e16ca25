package source

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
)

// What is kept of replays is found by the names of their groups, with the positions of their lanes and who is at work;
// groups of others, and of other replays than these, are not.
func TestPlansAreFound(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(2, testTopic))
	config := testConfig(cluster.ListenAddrs()...)
	at := pauses.Lane{Topic: testTopic, Partition: 1}
	for group, entry := range map[string]string{
		"g-replay-a-plan": "a's", "g-replay-a": "a checkpoint", "g-replay-b-plan": "b's", "h-replay-c-plan": "c's",
		"g-plan": "none", "g-replay-d": "no plan",
	} {
		entries := NewPlan(config, group)
		if err := entries.Write(t.Context(), map[pauses.Lane]string{at: entry}); err != nil {
			t.Fatal(err)
		}
		entries.Close()
	}
	member, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumerGroup("g-replay-b"),
		kgo.ConsumeTopics(testTopic))
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	entries := NewEntries(config)
	defer entries.Close()
	eventually(t, "the plans", func() bool {
		plans, err := entries.Plans(t.Context(), testTopic, "g-replay-", "-plan", 10)
		if err != nil || len(plans) != 2 {
			t.Fatalf("%v, %v", plans, err)
		}
		a, b := plans[0], plans[1]
		if a.Group != "g-replay-a" || a.Entries[at] != "a's" || len(a.Positions) != 1 || a.Positions[at] != 0 ||
			len(a.Hosts) != 0 || b.Group != "g-replay-b" || len(b.Positions) != 0 {
			t.Fatalf("%+v", plans)
		}
		return slices.Equal(b.Hosts, []string{"127.0.0.1"})
	})
	if plans, err := entries.Plans(t.Context(), testTopic, "g-replay-", "-plan", 1); err != nil || len(plans) != 1 {
		t.Errorf("one at most: %v, %v", plans, err)
	}
}
