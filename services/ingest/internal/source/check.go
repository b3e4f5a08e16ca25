package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/pkg/findings"
)

// Check looks at all that the configuration points to and changes nothing. It ends when ctx does.
func Check(ctx context.Context, config Config, topics Topics) []findings.Finding {
	s := New(config, slog.New(slog.DiscardHandler), nil)
	if err := s.open(); err != nil {
		return []findings.Finding{fail("brokers", err, "check the kafka section")}
	}
	defer s.close()
	var found []findings.Finding
	err := s.await(ctx, func() error {
		id, err := clusterID(s.control, topics.Names)
		s.cluster = id
		return err
	})
	if err != nil {
		return []findings.Finding{fail("brokers", explain(err), "start the brokers, or correct kafka.brokers, kafka.tls and kafka.sasl")}
	}
	found = append(found, findings.Finding{What: "brokers", Detail: fmt.Sprintf("%d answer, cluster %q", len(s.control.Brokers()), s.cluster)})
	var readable []string
	names := slices.Clone(topics.Names)
	if topics.Match != nil {
		var matched map[string]error
		if err := s.await(ctx, func() (err error) {
			matched, err = matching(s.control, topics, config.DeadLetter.Suffix)
			return err
		}); err != nil {
			return append(found, fail("topics", explain(err), "grant DESCRIBE on the topics to this principal"))
		}
		for _, name := range slices.Sorted(maps.Keys(matched)) {
			if err := matched[name]; err != nil {
				found = append(found, fail("topic "+name, err, "narrow one topic_pattern, or name the topic in an entry of its own"))
				continue
			}
			names = append(names, name)
		}
		if len(matched) == 0 {
			found = append(found, findings.Finding{What: "topics", State: findings.Warn, Detail: "none matches a topic_pattern", Remedy: "create one, or correct the pattern; ingest waits for it"})
		}
	}
	for _, topic := range names {
		f, ok := s.checkTopic(ctx, topic)
		found = append(found, f)
		if ok {
			readable = append(readable, topic)
		}
		found = append(found, s.checkDeadLetters(ctx, topic))
	}
	return append(found, s.checkGroup(ctx, readable))
}

func (s *Source) checkTopic(ctx context.Context, topic string) (findings.Finding, bool) {
	what := "topic " + topic
	var state string
	var partitions []int32
	err := s.await(ctx, func() (err error) {
		if state, err = lookAt(s.control, topic); state == topicReading {
			partitions, err = s.control.Partitions(topic)
		}
		return err
	})
	switch {
	case ctx.Err() != nil, state == "":
		return fail(what, err, "the brokers did not answer; try again"), false
	case state == topicMissing:
		return findings.Finding{
			What: what, State: findings.Warn, Detail: "does not exist",
			Remedy: "create it, or correct the contract's topic; ingest waits for it",
		}, false
	case state == topicRefused && errors.Is(err, errCompacted):
		return findings.Finding{
			What: what, State: findings.Fail, Detail: "is compacted",
			Remedy: "set cleanup.policy=delete: rows of a compacted topic cannot be counted on replay",
		}, false
	case state == topicRefused:
		return fail(what, err, "grant READ and DESCRIBE on the topic to this principal"), false
	}
	return findings.Finding{What: what, Detail: fmt.Sprintf("%d partitions", len(partitions))}, true
}

func (s *Source) checkDeadLetters(ctx context.Context, topic string) findings.Finding {
	topic += s.config.DeadLetter.Suffix
	what := "topic " + topic
	err := s.await(ctx, func() error { return s.control.RefreshMetadata(topic) })
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition) && s.config.DeadLetter.Create:
		return findings.Finding{What: what, Detail: "does not exist; is made when the first dead letter is due"}
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return findings.Finding{What: what, State: findings.Fail, Detail: "does not exist", Remedy: "create it, or set dead_letter.create: true"}
	case err != nil:
		return fail(what, err, "grant DESCRIBE and WRITE on the topic to this principal")
	}
	var policy string
	// A broker that does not tell is no fault: the operator vouches for the topic.
	if err := s.await(ctx, func() (err error) { policy, err = cleanupPolicy(s.control, topic); return err }); err == nil && strings.Contains(policy, "compact") {
		return findings.Finding{
			What: what, State: findings.Warn, Detail: "is compacted",
			Remedy: "set cleanup.policy=delete: a letter that is written again would take the place of the mark that it has been replayed",
		}
	}
	return findings.Finding{What: what, Detail: "exists"}
}

// checkGroup reads the group's offsets, which takes what a member needs: a coordinator, and access to the group.
func (s *Source) checkGroup(ctx context.Context, topics []string) findings.Finding {
	what := "group " + s.config.Kafka.Group
	total, committed := 0, 0
	err := s.await(ctx, func() error {
		for _, topic := range topics {
			partitions, err := s.control.Partitions(topic)
			if err != nil {
				return err
			}
			for _, p := range partitions {
				position, _, err := s.offsets.fetch(topicPartition{topic, p})
				if errors.Is(err, sarama.ErrGroupIDNotFound) {
					// Nobody has used the group yet. A member never takes this for an answer: its group exists.
					position, err = -1, nil
				}
				if err != nil {
					position, _, err = s.offsets.committed(ctx, topicPartition{topic, p}, s.backoff)
				}
				if err != nil {
					return err
				}
				if total++; position >= 0 {
					committed++
				}
			}
		}
		if len(topics) > 0 {
			return nil
		}
		_, err := s.offsets.client.Coordinator(s.config.Kafka.Group)
		return err
	})
	if err != nil {
		return fail(what, err, "grant READ on the group to this principal, and check that a coordinator is available")
	}
	if committed == 0 {
		return findings.Finding{What: what, Detail: fmt.Sprintf("nothing committed; starts at the %s offset", s.config.Kafka.Reset)}
	}
	return findings.Finding{What: what, Detail: fmt.Sprintf("%d of %d partitions have a committed offset", committed, total)}
}

func fail(what string, err error, remedy string) findings.Finding {
	detail := "timed out"
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		detail = err.Error()
	}
	return findings.Finding{What: what, State: findings.Fail, Detail: detail, Remedy: remedy}
}

// CheckTimeout is patience enough for a check of brokers that are there.
const CheckTimeout = 20 * time.Second
