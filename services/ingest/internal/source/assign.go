package source

import (
	"encoding/binary"
	"strings"

	"github.com/IBM/sarama"
)

// strategies are those that the configuration names, the preferred one first. The group uses one that all its members
// name. A member revokes all its partitions in each rebalance (eager) unless every strategy that it names is
// cooperative.
func (k *Kafka) strategies() []sarama.BalanceStrategy {
	var list []sarama.BalanceStrategy
	for _, name := range k.assignments() {
		switch name {
		case AssignRange:
			list = append(list, sarama.NewBalanceStrategyRange())
		case AssignSticky:
			list = append(list, sarama.NewBalanceStrategySticky())
		case AssignCooperative:
			list = append(list, sarama.NewBalanceStrategyCooperativeSticky())
		}
	}
	return list
}

// assignments are the names in kafka.assignment.
func (k *Kafka) assignments() []string {
	names := strings.Split(k.Assignment, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// mark puts in what the source needs of strategies. The sticky one needs nothing: its subscription holds the last
// generation, so that no two are the same.
func (s *Source) mark(c *sarama.Config) {
	strategies := c.Consumer.Group.Rebalance.GroupStrategies
	for i, b := range strategies {
		switch b.Name() {
		case sarama.RangeBalanceStrategyName:
			strategies[i] = marked{b, &s.renewal}
		case sarama.CooperativeStickyBalanceStrategyName:
			strategies[i] = cooperative{b, s}
		}
	}
}

// cooperative is sarama's strategy, with its leader held to the argument of docs/exactly-once.md, and the source
// told of assignments before sarama acts on them.
type cooperative struct {
	sarama.BalanceStrategy
	source *Source
}

var (
	_ sarama.RebalanceProtocolBalanceStrategy    = cooperative{}
	_ sarama.SubscriptionUserDataBalanceStrategy = cooperative{}
	_ sarama.OnAssignmentBalanceStrategy         = cooperative{}
)

// SupportedProtocols says that a member that names others beside this one may use it eagerly.
func (c cooperative) SupportedProtocols() []sarama.RebalanceProtocol {
	return []sarama.RebalanceProtocol{sarama.RebalanceProtocolCooperative, sarama.RebalanceProtocolEager}
}

// SubscriptionUserData holds the last generation, so that no two joins are the same; see renewal.
func (c cooperative) SubscriptionUserData(topics []string) ([]byte, error) {
	return c.BalanceStrategy.(sarama.SubscriptionUserDataBalanceStrategy).SubscriptionUserData(topics)
}

// OnAssignment hears of each assignment, the first and the empty ones included.
func (c cooperative) OnAssignment(a *sarama.ConsumerGroupMemberAssignment, generation int32) {
	c.BalanceStrategy.(sarama.OnAssignmentBalanceStrategy).OnAssignment(a, generation)
	c.source.assignment(generation, a.Topics)
}

// Plan assigns partitions as the leader.
func (c cooperative) Plan(
	members map[string]sarama.ConsumerGroupMemberMetadata, topics map[string][]int32,
) (sarama.BalanceStrategyPlan, error) {
	return c.BalanceStrategy.Plan(currentOwners(members), topics)
}

// assignment tells the membership.
func (s *Source) assignment(generation int32, topics map[string][]int32) {
	if m := s.member.Load(); m != nil {
		m.assignment(generation, topics)
	}
}

// currentOwners leaves of what members say that they own what they can still own. A static member that missed
// generations, or whose last word the coordinator repeats for it, may name partitions that have gone to another one
// since. Sarama's strategy would take it for an owner: it gives a partition at once to whoever names it, while the true
// owner has yet to drain it. Of two that name a partition, the one with the newer generation is its owner. That two
// name it with the same generation does not happen; the first by id would be.
func currentOwners(members map[string]sarama.ConsumerGroupMemberMetadata) map[string]sarama.ConsumerGroupMemberMetadata {
	type owner struct {
		id         string
		generation int32
	}
	newest := make(map[topicPartition]owner)
	for id, meta := range members {
		for _, tp := range ownedBy(meta) {
			at := owner{id, generationOf(meta)}
			if o, taken := newest[tp]; !taken || at.generation > o.generation || at.generation == o.generation && id < o.id {
				newest[tp] = at
			}
		}
	}
	out := make(map[string]sarama.ConsumerGroupMemberMetadata, len(members))
	for id, meta := range members {
		byTopic := make(map[string][]int32)
		for _, tp := range ownedBy(meta) {
			if newest[tp].id == id {
				byTopic[tp.topic] = append(byTopic[tp.topic], tp.partition)
			}
		}
		meta.OwnedPartitions = nil
		for topic, partitions := range byTopic {
			meta.OwnedPartitions = append(meta.OwnedPartitions, &sarama.OwnedPartition{Topic: topic, Partitions: partitions})
		}
		out[id] = meta
	}
	return out
}

func ownedBy(meta sarama.ConsumerGroupMemberMetadata) []topicPartition {
	var list []topicPartition
	for _, o := range meta.OwnedPartitions {
		for _, p := range o.Partitions {
			list = append(list, topicPartition{o.Topic, p})
		}
	}
	return list
}

// generationOf is the generation in which a member owned what it names: a field from version 2 of the metadata on
// (KIP-792), before that the user data.
func generationOf(meta sarama.ConsumerGroupMemberMetadata) int32 {
	switch {
	case meta.Version >= 2:
		return meta.GenerationID
	case len(meta.UserData) >= 4:
		return int32(binary.BigEndian.Uint32(meta.UserData))
	}
	return -1
}
