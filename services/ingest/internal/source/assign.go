package source

import (
	"slices"
	"strings"
	"sync/atomic"

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
		case AssignLoad:
			list = append(list, &byLoad{})
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

// mark puts in what the source needs of strategies. The subscription of the sticky one holds the last generation, so
// that no two are the same.
func (s *Source) mark(c *sarama.Config) {
	strategies := c.Consumer.Group.Rebalance.GroupStrategies
	for i, b := range strategies {
		switch b.Name() {
		case sarama.RangeBalanceStrategyName:
			strategies[i] = marked{b, &s.renewal}
		case sarama.StickyBalanceStrategyName:
			strategies[i] = &sticky{BalanceStrategy: b}
		case sarama.CooperativeStickyBalanceStrategyName, AssignLoad:
			strategies[i] = cooperative{b, s}
		}
	}
}

// sticky is the eager strategy of that name. Its members tell what a leader of the same strategy gave them. Sarama
// would tell what the last leader gave, also one of a cooperative strategy while the group changes from one to the
// other; a sticky leader cannot read that, of any version, and would never end the rebalance.
type sticky struct {
	sarama.BalanceStrategy
	given atomic.Pointer[[]byte]
}

var (
	_ sarama.SubscriptionUserDataBalanceStrategy = (*sticky)(nil)
	_ sarama.OnAssignmentBalanceStrategy         = (*sticky)(nil)
)

// SubscriptionUserData is what a leader gave; nothing before the first.
func (s *sticky) SubscriptionUserData([]string) ([]byte, error) {
	if given := s.given.Load(); given != nil {
		return *given, nil
	}
	return nil, nil
}

// OnAssignment learns of each assignment by this strategy.
func (s *sticky) OnAssignment(a *sarama.ConsumerGroupMemberAssignment, _ int32) {
	s.given.Store(&a.UserData)
}

// cooperative is a strategy whose leader is held to the argument of docs/exactly-once.md, whose members tell what they
// hold also when sarama does not know, and that tells the source of assignments before sarama acts on them.
type cooperative struct {
	sarama.BalanceStrategy
	source *Source
}

var (
	_ sarama.RebalanceProtocolBalanceStrategy    = cooperative{}
	_ sarama.SubscriptionUserDataBalanceStrategy = cooperative{}
	_ sarama.OnAssignmentBalanceStrategy         = cooperative{}
)

// heeded is what a leader of ours writes into each assignment: it has read the reports of the members, so what they
// given to hold was withheld.
var heeded = []byte("waybill 1")

// SupportedProtocols says that a member that names others beside this one may use it eagerly.
func (c cooperative) SupportedProtocols() []sarama.RebalanceProtocol {
	return []sarama.RebalanceProtocol{sarama.RebalanceProtocolCooperative, sarama.RebalanceProtocolEager}
}

// SubscriptionUserData is our report. It holds the last generation, so that no two joins are the same; see renewal.
func (c cooperative) SubscriptionUserData([]string) ([]byte, error) { return c.source.report(), nil }

// AssignmentData is what the leader sends to a member beside its partitions.
func (c cooperative) AssignmentData(string, map[string][]int32, int32) ([]byte, error) {
	return heeded, nil
}

// OnAssignment learns of each assignment, the first and the empty ones included.
func (c cooperative) OnAssignment(a *sarama.ConsumerGroupMemberAssignment, generation int32) {
	c.source.assignment(generation, a.Topics, slices.Equal(a.UserData, heeded))
}

// Plan assigns partitions as the leader.
func (c cooperative) Plan(
	members map[string]sarama.ConsumerGroupMemberMetadata, topics map[string][]int32,
) (sarama.BalanceStrategyPlan, error) {
	return c.BalanceStrategy.Plan(currentOwners(members), topics)
}

// assignment tells the membership.
func (s *Source) assignment(generation int32, topics map[string][]int32, reported bool) {
	if m := s.member.Load(); m != nil {
		m.assignment(generation, topics, reported)
		if s.entered != nil {
			s.entered(m)
		}
	}
}

// report is what the leader gets at the next join.
func (s *Source) report() []byte {
	m := s.member.Load()
	if m == nil { // before the first one
		return nil
	}
	r := m.report()
	return r.Append(nil)
}
