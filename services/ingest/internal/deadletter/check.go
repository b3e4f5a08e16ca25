package deadletter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Check looks at the dead-letter topic of a topic and at the rights on it, those of replays included, and changes
// nothing. It is a source.CheckBeside, once the configuration is given. The calls that ctx cuts short have ended when
// the client has.
func Check(config *Config) source.CheckBeside {
	return func(ctx context.Context, client sarama.Client, topic string, readable bool) []findings.Finding {
		c := &checking{config: config, client: client}
		defer c.calls.Wait()
		letters := c.topic(ctx, config.Topic(topic))
		if !readable || letters.State == findings.Fail {
			return []findings.Finding{letters}
		}
		return append([]findings.Finding{letters}, c.replays(ctx, topic)...)
	}
}

// checking is one look.
type checking struct {
	config *Config
	client sarama.Client
	calls  sync.WaitGroup
}

// topic looks at a dead-letter topic.
func (c *checking) topic(ctx context.Context, topic string) findings.Finding {
	what := "topic " + topic
	err := source.AwaitErr(ctx, &c.calls, func() error { return c.client.RefreshMetadata(topic) })
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return c.missing(ctx, topic)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return findings.Failed(what, err, "grant WRITE on the topic to this principal: dead letters go to it")
	case err != nil:
		return findings.Failed(what, err, "the brokers did not respond; try again")
	}
	rights, err := source.Await(ctx, &c.calls, func() (source.Operations, error) {
		return source.TopicRights(c.client,
			topic)
	})
	if err != nil {
		return findings.Failed(what, err, "the brokers did not respond; try again")
	}
	if missing := rights.Lacks("WRITE"); missing != "" {
		return findings.Finding{
			What: what, State: findings.Fail, Detail: "may not be written: " + missing + " is missing",
			Remedy: "grant WRITE on the topic to this principal: a lane with a dead letter waits until it may",
		}
	}
	// A broker that does not tell is no fault: the operator vouches for the topic.
	policy, err := source.Await(ctx, &c.calls, func() (string, error) { return source.CleanupPolicy(c.client, topic) })
	if err == nil && strings.Contains(policy, "compact") {
		return findings.Finding{
			What: what, State: findings.Warn, Detail: "is compacted",
			Remedy: "set cleanup.policy=delete: a letter that is written again would take the place of the mark that " +
				"it has been replayed",
		}
	}
	return findings.Finding{What: what, Detail: "exists"}
}

// missing looks at what it takes to make a dead-letter topic and to write to it.
func (c *checking) missing(ctx context.Context, topic string) findings.Finding {
	what := "topic " + topic
	if !c.config.Create {
		return findings.Finding{
			What: what, State: findings.Fail, Detail: "does not exist",
			Remedy: "create it, or set dead_letter.create: true",
		}
	}
	if err := source.AwaitErr(ctx, &c.calls, func() error { return mayCreate(c.client, topic, c.config) }); err != nil {
		return findings.Failed(what, fmt.Errorf("does not exist and cannot be created: %w", err),
			"create it, or grant CREATE on it to this principal; a lane with a dead letter waits until it is there")
	}
	if err := source.AwaitErr(ctx, &c.calls, func() error { return mayWrite(c.client, topic) }); err != nil {
		return findings.Failed(what, fmt.Errorf("could be created and not written: %w", err),
			"grant WRITE on the topic to this principal")
	}
	return findings.Finding{What: what, Detail: "does not exist; is made when the first dead letter is due"}
}

// replays says which rights a replay of a topic's dead letters would lack. Ingest itself needs none of them.
func (c *checking) replays(ctx context.Context, topic string) []findings.Finding {
	letters := c.config.Topic(topic)
	id := transactionalID(letters)
	var missing []string
	for _, m := range []struct {
		right string
		try   func() error
	}{
		{"READ on " + letters, func() error { return lacking(c.client, letters, "READ") }},
		{"WRITE on " + topic, func() error { return lacking(c.client, topic, "WRITE") }},
		{"WRITE and DESCRIBE on the transactional id " + id, func() error { return mayReplay(c.client, id) }},
	} {
		err := source.AwaitErr(ctx, &c.calls, m.try)
		if errors.Is(err, sarama.ErrTopicAuthorizationFailed) || errors.Is(err,
			sarama.ErrTransactionalIDAuthorizationFailed) {
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
	rights, err := source.TopicRights(client, topic)
	if err == nil && rights.Lacks(right) != "" {
		err = sarama.ErrTopicAuthorizationFailed
	}
	return err
}

// mayWrite asks whether we may write to a topic that need not exist. Nothing is written: the request is for a partition
// that no topic has, and brokers look at the right first.
func mayWrite(client sarama.Client, topic string) error {
	b, err := source.AnyBroker(client)
	if err != nil {
		return err
	}
	timeout := int32(client.Config().Net.ReadTimeout / time.Millisecond)
	request := &sarama.ProduceRequest{Version: 8, RequiredAcks: sarama.WaitForLocal, Timeout: timeout} // Kafka 2.4's
	now := time.Now()
	request.AddBatch(topic, math.MaxInt32, &sarama.RecordBatch{
		Version: 2, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, FirstTimestamp: now, MaxTimestamp: now,
		Records: []*sarama.Record{{}},
	})
	response, err := b.Produce(request)
	if err != nil {
		_ = b.Close()
		return err
	}
	if block := response.GetBlock(topic, math.MaxInt32); block != nil &&
		block.Err == sarama.ErrTopicAuthorizationFailed {
		return block.Err
	}
	return nil
}

// mayCreate asks whether we could create a topic, without doing so.
func mayCreate(client sarama.Client, topic string, c *Config) error {
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return err
	}
	err = admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: c.Partitions, ReplicationFactor: c.Replication},
		true)
	if errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return nil
	}
	return err
}

// mayReplay asks whether we may use a transactional id. Nothing is begun or ended: the request names a producer that no
// transaction has, and the coordinator looks at the right first.
func mayReplay(client sarama.Client, id string) error {
	b, err := client.TransactionCoordinator(id)
	if err != nil {
		return err
	}
	source.Connect(client, b)
	response, err := b.EndTxn(&sarama.EndTxnRequest{
		Version: 1, TransactionalID: id, ProducerID: math.MaxInt64,
		ProducerEpoch: math.MaxInt16,
	})
	if err != nil {
		_ = b.Close()
		return err
	}
	if response.Err == sarama.ErrTransactionalIDAuthorizationFailed {
		return response.Err
	}
	return nil
}
