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

// CheckBeside looks at what belongs to a topic, on a connected client; readable says that the topic itself is as it
// should be.
type CheckBeside func(ctx context.Context, client sarama.Client, topic string, readable bool) []findings.Finding

// Check looks at all that the configuration points to and changes nothing. It ends when ctx does. beside, which may be
// nil, is called for each topic.
func Check(ctx context.Context, config Config, topics Topics, beside CheckBeside) []findings.Finding {
	s := New(config, slog.New(slog.DiscardHandler), nil)
	if err := s.open(); err != nil {
		return []findings.Finding{findings.Failed("brokers", err, "check the kafka section")}
	}
	defer s.close()
	var found []findings.Finding
	id, err := Await(ctx, &s.calls, func() (string, error) {
		return clusterID(s.control, config.Kafka.Brokers,
			topics.Names)
	})
	if err != nil {
		return []findings.Finding{findings.Failed("brokers", Explain(err),
			"start the brokers, or correct kafka.brokers, kafka.tls and kafka.sasl")}
	}
	s.cluster = id
	found = append(found, findings.Finding{What: "brokers", Detail: fmt.Sprintf("%d respond, cluster %q",
		len(s.control.Brokers()), s.cluster)})
	var readable []string
	names := slices.Clone(topics.Names)
	if topics.Match != nil {
		matched, err := Await(ctx, &s.calls, func() (map[string]error, error) {
			return matching(s.control, topics)
		})
		if err != nil {
			return append(found, findings.Failed("topics", Explain(err),
				"grant DESCRIBE on the topics to this principal"))
		}
		for _, name := range slices.Sorted(maps.Keys(matched)) {
			if err := matched[name]; err != nil {
				found = append(found, findings.Failed("topic "+name, err,
					"narrow one topic_pattern, or name the topic in an entry of its own"))
				continue
			}
			names = append(names, name)
		}
		if len(matched) == 0 {
			found = append(found, findings.Finding{
				What: "topics", State: findings.Warn, Detail: "none matches a topic_pattern",
				Remedy: "create one, or correct the pattern; ingest waits for it",
			})
		}
	}
	for _, topic := range names {
		f, ok := s.checkTopic(ctx, topic)
		found = append(found, f)
		if ok {
			readable = append(readable, topic)
		}
		if beside != nil {
			found = append(found, beside(ctx, s.control, topic, ok)...)
		}
	}
	found = append(found, s.checkGroup(ctx, readable)...)
	return append(found, s.checkSteering(ctx)...)
}

// checkSteering warns where pauses could not be kept: lanes run all the same. It has nothing to say otherwise.
func (s *Source) checkSteering(ctx context.Context) []findings.Finding {
	group := s.config.Kafka.Group + steeringSuffix
	o := &offsets{client: s.offsets.client, group: group}
	may, err := Await(ctx, &s.calls, func() (bool, error) {
		for {
			rights, err := o.rights()
			switch {
			case errors.Is(err, sarama.ErrGroupAuthorizationFailed):
				return false, nil
			case err == nil || ctx.Err() != nil || !coordinatorMoved(err):
				return rights.Lacks("READ") == "", err
			}
			Sleep(ctx, s.backoff)
		}
	})
	if may || err != nil { // what is wrong with the brokers, the group's own check says
		return nil
	}
	return []findings.Finding{{
		What: "group " + group, State: findings.Warn, Detail: "READ is missing: operators cannot pause lanes",
		Remedy: "grant READ on this group to this principal too; lanes run without",
	}}
}

func (s *Source) checkTopic(ctx context.Context, topic string) (findings.Finding, bool) {
	what := "topic " + topic
	type look struct {
		state      string
		partitions int
	}
	seen, err := Await(ctx, &s.calls, func() (l look, err error) {
		if l.state, err = lookAt(s.control, topic); l.state != topicReading {
			return l, err
		}
		partitions, err := s.control.Partitions(topic)
		l.partitions = len(partitions)
		return l, err
	})
	switch {
	case ctx.Err() != nil, seen.state == "", seen.state == topicReading && err != nil:
		return findings.Failed(what, err, "the brokers did not respond; try again"), false
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
	case seen.state == topicRefused && errors.Is(err, errSeenOnly):
		return findings.Finding{
			What: what, State: findings.Fail, Detail: "may be seen and not read: READ is missing",
			Remedy: "grant READ on the topic to this principal",
		}, false
	case seen.state == topicRefused:
		return findings.Failed(what, err, "grant READ on the topic to this principal"), false
	}
	return findings.Finding{What: what, Detail: fmt.Sprintf("%d partitions", seen.partitions)}, true
}

// checkGroup looks at what a member needs: a coordinator, READ, the group's offsets, and no members that are other
// programs.
func (s *Source) checkGroup(ctx context.Context, topics []string) []findings.Finding {
	what := "group " + s.config.Kafka.Group
	const grant = "grant READ on the group to this principal"
	view, err := Await(ctx, &s.calls, func() (groupView, error) {
		for {
			view, err := s.viewGroup()
			if err == nil || ctx.Err() != nil || !coordinatorMoved(err) {
				return view, err
			}
			Sleep(ctx, s.backoff)
		}
	})
	if err != nil {
		return []findings.Finding{findings.Failed(what, Explain(err), grant+
			", and check that a coordinator is available")}
	}
	if missing := view.rights.Lacks("READ"); missing != "" {
		return []findings.Finding{{
			What: what, State: findings.Fail, Detail: "may be seen and not joined: " + missing + " is missing",
			Remedy: grant,
		}}
	}
	var found []findings.Finding
	if len(view.foreign) > 0 {
		found = append(found, findings.Finding{
			What: what, State: findings.Fail, Detail: "has members that are other programs: " +
				strings.Join(view.foreign, ", "),
			Remedy: "stop them, or set kafka.group to a name of its own: the partitions that the group gives them " +
				"are not loaded",
		})
	}
	total, committed := 0, 0
	for _, topic := range topics {
		n, known, err := s.committedOf(ctx, topic)
		if err != nil {
			return append(found, findings.Failed(what, err, grant+", and check that a coordinator is available"))
		}
		total, committed = total+n, committed+known
	}
	f := findings.Finding{What: what, Detail: fmt.Sprintf("%d of %d partitions have a committed offset", committed,
		total)}
	if committed == 0 {
		f.Detail = fmt.Sprintf("nothing committed; starts at the %s offset", s.config.Kafka.Reset)
	}
	return append(found, f)
}

// committedOf counts the partitions of a topic, and those that have a committed offset.
func (s *Source) committedOf(ctx context.Context, topic string) (total, committed int, err error) {
	type counts struct{ total, committed int }
	c, err := Await(ctx, &s.calls, func() (c counts, err error) {
		partitions, err := s.control.Partitions(topic)
		if err != nil {
			return c, err
		}
		for _, p := range partitions {
			committed, err := s.offsets.fetch(topicPartition{topic, p})
			if errors.Is(err, sarama.ErrGroupIDNotFound) {
				// Nobody has used the group yet. A member never takes this for a response: its group exists.
				committed.Position, err = -1, nil
			}
			if err != nil {
				committed, err = s.offsets.committed(ctx, topicPartition{topic, p}, s.backoff)
			}
			if err != nil {
				return c, err
			}
			if c.total++; committed.Position >= 0 {
				c.committed++
			}
		}
		return c, nil
	})
	return c.total, c.committed, err
}

// CheckTimeout is patience enough for a check of brokers that are there.
const CheckTimeout = 20 * time.Second
