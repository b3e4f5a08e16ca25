package source

import (
	"encoding/binary"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/assignment"
)

// currentOwners leaves of what members say that they hold what they can still hold. A static member that missed
// generations, or whose last metadata the coordinator repeats for it, may name partitions that have gone to another one
// since. Sarama's strategy would take it for an owner: it gives a partition at once to whoever names it, while the true
// owner has yet to drain it. Of two that name a partition, the one with the newer generation is its owner. That two
// name it with the same generation does not happen; the first by id would be.
//
// Members that join with a new session of sarama's while they keep their claims name them in their report alone. What
// is returned has all of it in the protocol's field, and that is what a plan goes by: the reports are as old as they
// were.
func currentOwners(
	members map[string]sarama.ConsumerGroupMemberMetadata,
) map[string]sarama.ConsumerGroupMemberMetadata {
	type owner struct {
		id         string
		generation int32
	}
	newest := make(map[topicPartition]owner)
	holdings := make(map[string]holding, len(members))
	for id, meta := range members {
		w := holdingOf(meta)
		holdings[id] = w
		for _, tp := range w.holds {
			o, taken := newest[tp]
			if !taken || w.generation > o.generation || w.generation == o.generation && id < o.id {
				newest[tp] = owner{id, w.generation}
			}
		}
	}
	out := make(map[string]sarama.ConsumerGroupMemberMetadata, len(members))
	for id, meta := range members {
		byTopic := make(map[string][]int32)
		for _, tp := range holdings[id].holds {
			if newest[tp].id == id {
				byTopic[tp.topic] = append(byTopic[tp.topic], tp.partition)
			}
		}
		meta.OwnedPartitions = nil
		for topic, partitions := range byTopic {
			owned := &sarama.OwnedPartition{Topic: topic, Partitions: partitions}
			meta.OwnedPartitions = append(meta.OwnedPartitions, owned)
		}
		meta.Version, meta.GenerationID = max(meta.Version, 2), holdings[id].generation
		out[id] = meta
	}
	return out
}

// holding is what a member says that it holds, and since when.
type holding struct {
	holds      []topicPartition
	generation int32
}

// holdingOf reads what the protocol has for it, and our report: a claim of an earlier session that still drains is in
// the report alone.
func holdingOf(meta sarama.ConsumerGroupMemberMetadata) holding {
	w := holding{holds: ownedBy(meta), generation: generationOf(meta)}
	r, err := assignment.ParseReport(meta.UserData)
	if err != nil {
		return w
	}
	if len(w.holds) == 0 {
		w.generation = r.Generation
	}
	named := make(map[topicPartition]bool, len(w.holds))
	for _, tp := range w.holds {
		named[tp] = true
	}
	for _, s := range r.Holds {
		if tp := (topicPartition{s.Topic, s.Number}); !named[tp] {
			w.holds = append(w.holds, tp)
		}
	}
	return w
}

// ownedBy are the partitions that a member names in the protocol's field.
func ownedBy(meta sarama.ConsumerGroupMemberMetadata) (holds []topicPartition) {
	for _, o := range meta.OwnedPartitions {
		for _, p := range o.Partitions {
			holds = append(holds, topicPartition{o.Topic, p})
		}
	}
	return holds
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

// withhold takes out of a plan what another one of the current owners holds: it is assigned once that one has drained
// it, and has joined again without it.
func withhold(plan sarama.BalanceStrategyPlan, members map[string]sarama.ConsumerGroupMemberMetadata) {
	holder := make(map[topicPartition]string)
	for id, meta := range members {
		for _, tp := range ownedBy(meta) {
			holder[tp] = id
		}
	}
	for id, topics := range plan {
		for topic, partitions := range topics {
			kept := partitions[:0]
			for _, p := range partitions {
				if h, held := holder[topicPartition{topic, p}]; !held || h == id {
					kept = append(kept, p)
				}
			}
			if topics[topic] = kept; len(kept) == 0 {
				delete(topics, topic)
			}
		}
	}
}
