package source

import (
	"maps"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/assignment"
)

// byLoad assigns by what partitions bring and members can carry; see package assignment. Its members and rates come
// from their reports.
type byLoad struct {
	// known are the rates last reported, for partitions that nobody holds at the moment.
	known map[assignment.Partition]float64
}

// Name implements sarama.BalanceStrategy.
func (b *byLoad) Name() string { return AssignLoad }

// AssignmentData implements sarama.BalanceStrategy.
func (b *byLoad) AssignmentData(string, map[string][]int32, int32) ([]byte, error) { return nil, nil }

// Plan implements sarama.BalanceStrategy. The members are the current owners.
func (b *byLoad) Plan(
	members map[string]sarama.ConsumerGroupMemberMetadata, topics map[string][]int32,
) (sarama.BalanceStrategyPlan, error) {
	var list []assignment.Member
	reported := make(map[assignment.Partition]float64)
	var capacity float64 // of those that tell
	tellers := 0
	for id, meta := range members {
		m := assignment.Member{ID: id, Topics: meta.Topics}
		holds := make(map[assignment.Partition]bool)
		for _, tp := range ownedBy(meta) {
			p := assignment.Partition{Topic: tp.topic, Number: tp.partition}
			holds[p] = true
			m.Holds = append(m.Holds, p)
		}
		if r, err := assignment.ParseReport(meta.UserData); err == nil {
			if m.Capacity = float64(r.Capacity); r.Capacity > 0 {
				capacity += m.Capacity
				tellers++
			}
			for _, s := range r.Holds {
				if holds[s.Partition] && s.Rate != assignment.Unknown {
					reported[s.Partition] = float64(s.Rate)
				}
			}
		}
		list = append(list, m)
	}
	for i := range list {
		if list[i].Capacity == 0 { // another program, or an older version: one like the others
			list[i].Capacity = max(1, capacity/float64(max(1, tellers)))
		}
	}
	plan := make(sarama.BalanceStrategyPlan, len(members))
	for id, partitions := range assignment.Make(list, b.rates(reported, topics)).Of {
		plan[id] = make(map[string][]int32)
		for _, p := range partitions {
			plan.Add(id, p.Topic, p.Number)
		}
	}
	withhold(plan, members)
	return plan, nil
}

// rates are those of all partitions: as reported, else as reported before, else the mean of the others.
func (b *byLoad) rates(
	reported map[assignment.Partition]float64, topics map[string][]int32,
) map[assignment.Partition]float64 {
	all := make(map[assignment.Partition]float64)
	var unknown []assignment.Partition
	sum := 0.0
	for topic, partitions := range topics {
		for _, number := range partitions {
			p := assignment.Partition{Topic: topic, Number: number}
			rate, ok := reported[p]
			if !ok {
				rate, ok = b.known[p]
			}
			if !ok {
				unknown = append(unknown, p)
				continue
			}
			all[p] = rate
			sum += rate
		}
	}
	b.known = maps.Clone(all)
	mean := sum / float64(max(1, len(all)))
	for _, p := range unknown {
		all[p] = mean
	}
	return all
}
