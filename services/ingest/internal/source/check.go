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
	id, err := await(ctx, &s.calls, func() (string, error) { return clusterID(s.control, config.Kafka.Brokers, topics.Names) })
	if err != nil {
		return []findings.Finding{fail("brokers", explain(err), "start the brokers, or correct kafka.brokers, kafka.tls and kafka.sasl")}
	}
	s.cluster = id
	found = append(found, findings.Finding{What: "brokers", Detail: fmt.Sprintf("%d answer, cluster %q", len(s.control.Brokers()), s.cluster)})
	var readable []string
	names := slices.Clone(topics.Names)
	if topics.Match != nil {
		matched, err := await(ctx, &s.calls, func() (map[string]error, error) {
			return matching(s.control, topics, config.DeadLetter.Suffix)
		})
		if err != nil {
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
		letters := s.checkDeadLetters(ctx, topic)
		found = append(found, letters)
		if ok && letters.State != findings.Fail {
			found = append(found, s.checkReplays(ctx, topic)...)
		}
	}
	return append(found, s.checkGroup(ctx, readable)...)
}

func (s *Source) checkTopic(ctx context.Context, topic string) (findings.Finding, bool) {
	what := "topic " + topic
	type look struct {
		state      string
		partitions int
		rights     operations
	}
	seen, err := await(ctx, &s.calls, func() (l look, err error) {
		if l.state, err = lookAt(s.control, topic); l.state != topicReading {
			return l, err
		}
		partitions, err := s.control.Partitions(topic)
		if err != nil {
			return l, err
		}
		l.partitions = len(partitions)
		l.rights, err = topicRights(s.control, topic)
		return l, err
	})
	switch {
	case ctx.Err() != nil, seen.state == "", seen.state == topicReading && err != nil:
		return fail(what, err, "the brokers did not answer; try again"), false
	case seen.state == topicMissing:
		return findings.Finding{
			What: what, State: findings.Warn, Detail: "does not exist",
			Remedy: "create it, or correct the contract's topic; ingest waits for it",
		}, false
	case seen.state == topicRefused && errors.Is(err, errCompacted):
		return findings.Finding{
			What: what, State: findings.Fail, Detail: "is compacted",
			Remedy: "set cleanup.policy=delete: rows of a compacted topic cannot be counted on replay",
		}, false
	case seen.state == topicRefused:
		return fail(what, err, "grant READ on the topic to this principal"), false
	}
	if missing := seen.rights.lacks("READ"); missing != "" {
		return findings.Finding{
			What: what, State: findings.Fail, Detail: "may be seen and not read: " + missing + " is missing",
			Remedy: "grant READ on the topic to this principal",
		}, false
	}
	return findings.Finding{What: what, Detail: fmt.Sprintf("%d partitions", seen.partitions)}, true
}

func (s *Source) checkDeadLetters(ctx context.Context, topic string) findings.Finding {
	topic = s.config.DeadLetter.Topic(topic)
	what := "topic " + topic
	err := awaitErr(ctx, &s.calls, func() error { return s.control.RefreshMetadata(topic) })
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return s.checkMissingLetters(ctx, topic)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return fail(what, err, "grant WRITE on the topic to this principal: dead letters go to it")
	case err != nil:
		return fail(what, err, "the brokers did not answer; try again")
	}
	rights, err := await(ctx, &s.calls, func() (operations, error) { return topicRights(s.control, topic) })
	if err != nil {
		return fail(what, err, "the brokers did not answer; try again")
	}
	if missing := rights.lacks("WRITE"); missing != "" {
		return findings.Finding{
			What: what, State: findings.Fail, Detail: "may not be written: " + missing + " is missing",
			Remedy: "grant WRITE on the topic to this principal: a lane with a dead letter waits until it may",
		}
	}
	// A broker that does not tell is no fault: the operator vouches for the topic.
	policy, err := await(ctx, &s.calls, func() (string, error) { return cleanupPolicy(s.control, topic) })
	if err == nil && strings.Contains(policy, "compact") {
		return findings.Finding{
			What: what, State: findings.Warn, Detail: "is compacted",
			Remedy: "set cleanup.policy=delete: a letter that is written again would take the place of the mark that it has been replayed",
		}
	}
	return findings.Finding{What: what, Detail: "exists"}
}

// checkMissingLetters looks at what it takes to make a dead-letter topic and to write to it.
func (s *Source) checkMissingLetters(ctx context.Context, topic string) findings.Finding {
	what := "topic " + topic
	if !s.config.DeadLetter.Create {
		return findings.Finding{
			What: what, State: findings.Fail, Detail: "does not exist", Remedy: "create it, or set dead_letter.create: true",
		}
	}
	if err := awaitErr(ctx, &s.calls, func() error { return mayCreate(s.control, topic, &s.config.DeadLetter) }); err != nil {
		return fail(what, fmt.Errorf("does not exist and cannot be created: %w", err),
			"create it, or grant CREATE on it to this principal; a lane with a dead letter waits until it is there")
	}
	if err := awaitErr(ctx, &s.calls, func() error { return mayWrite(s.control, topic) }); err != nil {
		return fail(what, fmt.Errorf("could be created and not written: %w", err), "grant WRITE on the topic to this principal")
	}
	return findings.Finding{What: what, Detail: "does not exist; is made when the first dead letter is due"}
}

// checkReplays says which rights a replay of a topic's dead letters would lack. Ingest itself needs none of them.
func (s *Source) checkReplays(ctx context.Context, topic string) []findings.Finding {
	letters := s.config.DeadLetter.Topic(topic)
	id := TransactionalID(letters)
	var missing []string
	for _, m := range []struct {
		right string
		try   func() error
	}{
		{"READ on " + letters, func() error { return lacking(s.control, letters, "READ") }},
		{"WRITE on " + topic, func() error { return lacking(s.control, topic, "WRITE") }},
		{"WRITE and DESCRIBE on the transactional id " + id, func() error { return mayReplay(s.control, id) }},
	} {
		err := awaitErr(ctx, &s.calls, m.try)
		if errors.Is(err, sarama.ErrTopicAuthorizationFailed) || errors.Is(err, sarama.ErrTransactionalIDAuthorizationFailed) {
			missing = append(missing, m.right)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return []findings.Finding{{
		What: "replays of " + letters, State: findings.Warn, Detail: "lack " + strings.Join(missing, ", "),
		Remedy: "grant it to the principal that is to replay dead letters; ingest itself does not need it",
	}}
}

// lacking is sarama's error about a right when it is missing; nil when the topic does not exist.
func lacking(client sarama.Client, topic, right string) error {
	rights, err := topicRights(client, topic)
	if err == nil && rights.lacks(right) != "" {
		err = sarama.ErrTopicAuthorizationFailed
	}
	return err
}

// checkGroup looks at what a member needs: a coordinator, READ, the group's offsets, and no members that are other programs.
func (s *Source) checkGroup(ctx context.Context, topics []string) []findings.Finding {
	what := "group " + s.config.Kafka.Group
	const grant = "grant READ on the group to this principal"
	view, err := await(ctx, &s.calls, func() (groupView, error) {
		for {
			view, err := s.viewGroup()
			if err == nil || ctx.Err() != nil || !coordinatorMoved(err) {
				return view, err
			}
			sleep(ctx, s.backoff)
		}
	})
	if err != nil {
		return []findings.Finding{fail(what, explain(err), grant+", and check that a coordinator is available")}
	}
	if missing := view.rights.lacks("READ"); missing != "" {
		return []findings.Finding{{
			What: what, State: findings.Fail, Detail: "may be seen and not joined: " + missing + " is missing", Remedy: grant,
		}}
	}
	var found []findings.Finding
	if len(view.foreign) > 0 {
		found = append(found, findings.Finding{
			What: what, State: findings.Fail, Detail: "has members that are other programs: " + strings.Join(view.foreign, ", "),
			Remedy: "stop them, or set kafka.group to a name of its own: the partitions that the group gives them are not loaded",
		})
	}
	total, committed := 0, 0
	for _, topic := range topics {
		n, known, err := s.committedOf(ctx, topic)
		if err != nil {
			return append(found, fail(what, err, grant+", and check that a coordinator is available"))
		}
		total, committed = total+n, committed+known
	}
	f := findings.Finding{What: what, Detail: fmt.Sprintf("%d of %d partitions have a committed offset", committed, total)}
	if committed == 0 {
		f.Detail = fmt.Sprintf("nothing committed; starts at the %s offset", s.config.Kafka.Reset)
	}
	return append(found, f)
}

// committedOf counts the partitions of a topic, and those that have a committed offset.
func (s *Source) committedOf(ctx context.Context, topic string) (total, committed int, err error) {
	type counts struct{ total, committed int }
	c, err := await(ctx, &s.calls, func() (c counts, err error) {
		partitions, err := s.control.Partitions(topic)
		if err != nil {
			return c, err
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
				return c, err
			}
			if c.total++; position >= 0 {
				c.committed++
			}
		}
		return c, nil
	})
	return c.total, c.committed, err
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
