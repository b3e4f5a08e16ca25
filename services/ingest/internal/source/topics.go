package source

import (
	"errors"
	"fmt"
	"strings"

	"github.com/IBM/sarama"
)

// States of a configured topic.
const (
	topicReading = "reading"
	topicMissing = "missing"
	topicRefused = "refused"
)

// survey looks at the configured topics again and again, and logs what changes.
type survey struct {
	source *Source
	last   map[string]string
	// silent are the topics that nothing was learned of, which is logged once.
	silent map[string]bool
}

func newSurvey(s *Source) *survey {
	return &survey{source: s, last: make(map[string]string), silent: make(map[string]bool)}
}

// readable returns the topics that can be read. A topic whose state cannot be learned keeps the one it had: a broker that is away for
// a moment must not cost a rebalance.
func (v *survey) readable(topics []string) []string {
	var out []string
	counts := map[string]int{topicReading: 0, topicMissing: 0, topicRefused: 0}
	for _, topic := range topics {
		state, err := lookAt(v.source.control, topic)
		if state == "" {
			v.source.metrics.connected.Set(0)
			state = v.last[topic]
			if state == "" {
				if !v.silent[topic] {
					v.silent[topic] = true
					v.source.log.Warn("the brokers do not say whether the topic exists, trying again", "topic", topic, "error", err)
				}
				state = topicMissing
			}
		} else {
			v.source.metrics.connected.Set(1)
			if v.last[topic] != state {
				v.say(topic, state, err)
			}
			v.last[topic] = state
		}
		counts[state]++
		if state == topicReading {
			out = append(out, topic)
		}
	}
	for state, n := range counts {
		v.source.metrics.topics.WithLabelValues(state).Set(float64(n))
	}
	return out
}

func (v *survey) say(topic, state string, err error) {
	switch state {
	case topicReading:
		v.source.log.Info("reading the topic", "topic", topic)
	case topicMissing:
		v.source.log.Warn("the topic does not exist yet, waiting for it", "topic", topic)
	case topicRefused:
		v.source.log.Error("the topic is refused", "topic", topic, "error", err)
	}
}

// errCompacted refuses a compacted topic.
var errCompacted = errors.New("the topic is compacted: records vanish between two readings, so rows cannot be counted on replay; " +
	"set cleanup.policy=delete, or produce to a topic that has it")

// lookAt says which state a topic is in, and why when it is refused; an empty state when the brokers do not say.
func lookAt(client sarama.Client, topic string) (string, error) {
	err := client.RefreshMetadata(topic)
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return topicMissing, nil
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return topicRefused, fmt.Errorf("grant READ and DESCRIBE on the topic to this principal: %w", err)
	case errors.Is(err, sarama.ErrInvalidTopic):
		return topicRefused, err
	case err != nil && !errors.Is(err, sarama.ErrLeaderNotAvailable):
		return "", err
	}
	if partitions, _ := client.Partitions(topic); len(partitions) == 0 {
		return topicMissing, nil
	}
	policy, err := cleanupPolicy(client, topic)
	switch {
	case errors.As(err, new(sarama.KError)):
		// The broker does not tell, most often because we are not allowed to ask: the operator vouches for the topic.
		return topicReading, nil
	case err != nil:
		return "", err
	case strings.Contains(policy, "compact"):
		return topicRefused, errCompacted
	}
	return topicReading, nil
}

// cleanupPolicy reads the topic's cleanup.policy; empty when the broker does not tell.
func cleanupPolicy(client sarama.Client, topic string) (string, error) {
	const key = "cleanup.policy"
	values, err := topicConfig(client, topic, key)
	return values[key], err
}

// topicConfig reads keys of a topic's configuration; a key that the broker does not tell is absent.
func topicConfig(client sarama.Client, topic string, keys ...string) (map[string]string, error) {
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return nil, err
	}
	results, err := admin.DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: topic, ConfigNames: keys}},
		sarama.DescribeConfigsOptions{})
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, r := range results {
		if r.ErrorCode != sarama.ErrNoError {
			return nil, r.ErrorCode
		}
		for i := range r.Configs {
			values[r.Configs[i].Name] = r.Configs[i].Value
		}
	}
	return values, nil
}
