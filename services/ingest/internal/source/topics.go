package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/IBM/sarama"
)

// States of a topic.
const (
	topicReading = "reading"
	topicMissing = "missing"
	topicRefused = "refused"
)

// Topics are the topics to read.
type Topics struct {
	// Names are topics that are waited for until they exist.
	Names []string
	// Match says of the cluster's other topics whether to read them; nil reads none. It is never asked about internal
	// topics, those that start with two underscores, and those that end in Except. The error refuses the topic.
	Match func(name string) (bool, error)
	// Except is the suffix of dead-letter topics; empty when there are none.
	Except string
}

// survey looks at the topics again and again, and logs what changes.
type survey struct {
	source *Source
	topics Topics
	last   map[string]string
	// why is the error of that state.
	why map[string]error
	// matched are the topics that Match found last, with why they are refused.
	matched map[string]error
	// silent are the topics that nothing was learned of, which is logged once.
	silent map[string]bool
}

func newSurvey(s *Source, topics Topics) *survey {
	topics.Names = slices.Compact(slices.Sorted(slices.Values(topics.Names)))
	return &survey{
		source: s, topics: topics,
		last: make(map[string]string), why: make(map[string]error), silent: make(map[string]bool),
	}
}

// readable returns the topics that can be read. A topic whose state cannot be learned keeps the one it had: a broker
// that is away for a moment must not cost a rebalance.
func (v *survey) readable() []string {
	var out []string
	counts := map[string]int{topicReading: 0, topicMissing: 0, topicRefused: 0}
	refused := map[string]error{}
	for _, topic := range v.names() {
		state, err := topicRefused, v.matched[topic]
		if err == nil {
			state, err = lookAt(v.source.control, topic)
		}
		if state == "" {
			v.source.metrics.connected.Set(0)
			state = v.last[topic]
			if state == "" {
				if !v.silent[topic] {
					v.silent[topic] = true
					v.source.log.Warn("the brokers do not say whether the topic exists, trying again", "topic", topic,
						"error", err)
				}
				state = topicMissing
			}
		} else {
			v.source.metrics.connected.Set(1)
			if v.last[topic] != state {
				v.say(topic, state, err)
			}
			v.last[topic] = state
			v.why[topic] = err
		}
		counts[state]++
		if state == topicRefused {
			refused[topic] = v.why[topic]
		}
		if state == topicReading {
			out = append(out, topic)
		}
	}
	v.source.refused.Store(&refused)
	for state, n := range counts {
		v.source.metrics.topics.WithLabelValues(state).Set(float64(n))
	}
	return out
}

// names are the topics of the configuration, and those of the cluster that match. Without a response those that matched
// last stay: a broker that is away for a moment must not cost a rebalance.
func (v *survey) names() []string {
	if v.topics.Match == nil {
		return v.topics.Names
	}
	matched, err := matching(v.source.control, v.topics)
	if err == nil {
		for topic := range v.matched {
			if _, still := matched[topic]; !still {
				delete(v.last, topic) // it is gone: that it comes back is news
			}
		}
		v.matched = matched
	}
	names := slices.Clone(v.topics.Names)
	return slices.Sorted(slices.Values(slices.AppendSeq(names, maps.Keys(v.matched))))
}

// ListTopics lists the names of the configuration and those of the cluster's topics that match. It ends when ctx does.
func ListTopics(ctx context.Context, config Config, topics Topics) ([]string, error) {
	names := slices.Clone(topics.Names)
	if topics.Match == nil {
		return names, nil
	}
	s := New(config, slog.New(slog.DiscardHandler), nil)
	if err := s.open(); err != nil {
		return nil, err
	}
	defer s.close()
	matched, err := Await(ctx, &s.calls, func() (map[string]error, error) {
		return matching(s.control, topics)
	})
	if err != nil {
		return nil, Explain(err)
	}
	for _, name := range slices.Sorted(maps.Keys(matched)) {
		if matched[name] == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// matching lists the topics of the cluster that match and have no entry of their own, with why they are refused.
func matching(client sarama.Client, topics Topics) (map[string]error, error) {
	b, err := AnyBroker(client)
	if err != nil {
		return nil, err
	}
	resp, err := b.GetMetadata(sarama.NewMetadataRequest(client.Config().Version, nil))
	if err != nil {
		_ = b.Close()
		return nil, err
	}
	found := map[string]error{}
	for _, t := range resp.Topics {
		internal := t.IsInternal || strings.HasPrefix(t.Name, "__")
		excepted := topics.Except != "" && strings.HasSuffix(t.Name, topics.Except)
		if internal || excepted || slices.Contains(topics.Names, t.Name) {
			continue
		}
		if ok, err := topics.Match(t.Name); ok || err != nil {
			found[t.Name] = err
		}
	}
	return found, nil
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
var errCompacted = errors.New("the topic is compacted: records vanish between two readings, so rows cannot be " +
	"counted on replay; set cleanup.policy=delete, or produce to a topic that has it")

// errSeenOnly refuses a topic that this principal may describe and not read.
var errSeenOnly = errors.New("may be seen and not read: READ is missing; grant READ on the topic to this principal")

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
	// DESCRIBE alone shows the topic as well.
	if rights, err := TopicRights(client, topic); err == nil && rights.Lacks("READ") != "" {
		return topicRefused, errSeenOnly
	}
	policy, err := CleanupPolicy(client, topic)
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

// CleanupPolicy reads the topic's cleanup.policy; empty when the broker does not tell.
func CleanupPolicy(client sarama.Client, topic string) (string, error) {
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
	resources := []*sarama.ConfigResource{{Type: sarama.TopicResource, Name: topic, ConfigNames: keys}}
	results, err := admin.DescribeConfigs(resources, sarama.DescribeConfigsOptions{})
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

// CountPartitions counts the partitions of the topics that can be read: as many lanes has a member that is alone in its
// group.
func CountPartitions(ctx context.Context, config Config, topics Topics) (int, error) {
	names, err := ListTopics(ctx, config, topics)
	if err != nil {
		return 0, err
	}
	s := New(config, slog.New(slog.DiscardHandler), nil)
	if err := s.open(); err != nil {
		return 0, err
	}
	defer s.close()
	return Await(ctx, &s.calls, func() (int, error) {
		n := 0
		for _, name := range names {
			partitions, _ := s.control.Partitions(name) // one that is missing or refused has no lanes
			n += len(partitions)
		}
		return n, nil
	})
}
