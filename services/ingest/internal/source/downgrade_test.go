package source

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
)

// A group goes back from cooperative to eager assignment, member by member, in the same two steps, as it must when an
// older version comes back. At no moment has a partition two owners, or all are without one for good.
func TestGroupMovesBackToEagerInTwoSteps(t *testing.T) {
	for _, last := range []string{AssignSticky, AssignRange} {
		t.Run(last, func(t *testing.T) {
			t.Parallel()
			const partitions = 4
			c := newCluster(t, kfake.SeedTopics(partitions, testTopic))
			_, join, wait := watchGroup(t, partitions, c.ListenAddrs()...)
			a, b := join(AssignCooperative), join(AssignCooperative)
			wait(a, b)
			for _, assignment := range []string{last + ", " + AssignCooperative, last} {
				replace(&a, &b, assignment, join, wait)
			}
		})
	}
}

// What a leader of the cooperative strategy wrote is not what a member tells one of the sticky strategy, which could
// not read it.
func TestStickyTellsWhatStickyGave(t *testing.T) {
	config := testConfig("127.0.0.1:1")
	config.Kafka.Assignment = AssignSticky + ", " + AssignCooperative
	c, err := config.Kafka.groupConfig()
	if err != nil {
		t.Fatal(err)
	}
	s := &Source{config: config}
	s.mark(c)
	strategies := c.Consumer.Group.Rebalance.GroupStrategies
	reports := func() []byte {
		t.Helper()
		got, err := strategies[0].(sarama.SubscriptionUserDataBalanceStrategy).SubscriptionUserData([]string{testTopic})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := reports(); got != nil {
		t.Errorf("before an assignment it tells %q", got)
	}
	given, err := strategies[0].AssignmentData("me", map[string][]int32{testTopic: {1}}, 7)
	if err != nil {
		t.Fatal(err)
	}
	strategies[0].(sarama.OnAssignmentBalanceStrategy).OnAssignment(
		&sarama.ConsumerGroupMemberAssignment{UserData: given}, 7)
	if diff := cmp.Diff(given, reports()); diff != "" {
		t.Error(diff)
	}
	strategies[1].(sarama.OnAssignmentBalanceStrategy).OnAssignment(
		&sarama.ConsumerGroupMemberAssignment{UserData: heeded}, 8)
	members := map[string]sarama.ConsumerGroupMemberMetadata{"me": {Topics: []string{testTopic}, UserData: reports()}}
	if _, err := strategies[0].Plan(members, map[string][]int32{testTopic: {0, 1}}); err != nil {
		t.Errorf("a leader cannot read it: %v", err)
	}
}
