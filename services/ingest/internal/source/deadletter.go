package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/pkg/version"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// letters produces dead letters for all lanes, through one idempotent producer that is made when the first is due.
type letters struct {
	source *Source
	// version is the value of the header that names layout and program.
	version string

	mu       sync.Mutex
	client   sarama.Client
	producer sarama.SyncProducer
	known    map[string]bool
	// said limits the log to one line an outage.
	said bool
}

func newLetters(s *Source) *letters {
	return &letters{source: s, version: letterVersion(), known: make(map[string]bool)}
}

// letterVersion is what the header of letters and marks says of who wrote them.
func letterVersion() string { return strconv.Itoa(letterLayout) + "/" + version.String() }

// produce returns when every letter is acknowledged by all in-sync replicas. It tries until ctx ends; letters may be there twice then.
func (l *letters) produce(ctx context.Context, batch []lane.DeadLetter) error {
	if len(batch) == 0 {
		return nil
	}
	now := time.Now()
	rest := make([]*sarama.ProducerMessage, 0, len(batch))
	for i := range batch {
		rest = append(rest, l.message(&batch[i], now))
	}
	pause := l.source.backoff
	for {
		var failed []*sarama.ProducerMessage
		err := l.source.await(ctx, func() (err error) {
			failed, err = l.send(rest)
			return err
		})
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return err // failed is the call's, which may still run
		}
		l.source.metrics.letterRetries.Inc()
		l.complain(batch[0].Record.Topic, err)
		rest = failed
		if !sleep(ctx, pause) {
			return fmt.Errorf("%w (last answer: %w)", context.Cause(ctx), err)
		}
		pause = min(2*pause, 10*time.Second)
	}
	for i := range batch {
		l.source.metrics.letters.WithLabelValues(batch[i].Reason).Inc()
	}
	l.mu.Lock()
	l.said = false
	l.mu.Unlock()
	return nil
}

// send makes one attempt and returns what is to be sent again.
func (l *letters) send(batch []*sarama.ProducerMessage) ([]*sarama.ProducerMessage, error) {
	producer, err := l.open()
	if err != nil {
		return batch, err
	}
	if err := l.ensure(batch[0].Topic); err != nil {
		return batch, err
	}
	err = producer.SendMessages(batch)
	var errs sarama.ProducerErrors
	if err == nil || !errors.As(err, &errs) {
		return batch, err
	}
	failed := make([]*sarama.ProducerMessage, 0, len(errs))
	for _, e := range errs {
		if errors.Is(e.Err, sarama.ErrMessageSizeTooLarge) || errors.Is(e.Err, sarama.ErrMessageTooLarge) {
			e.Msg = shorten(e.Msg)
		}
		if errors.Is(e.Err, sarama.ErrUnknownTopicOrPartition) {
			l.forget(e.Msg.Topic)
		}
		failed = append(failed, again(e.Msg))
	}
	return failed, errs[0].Err
}

// open returns the producer, making it first if need be.
func (l *letters) open() (sarama.SyncProducer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.producer != nil {
		return l.producer, nil
	}
	config, err := l.source.config.Kafka.producerConfig()
	if err != nil {
		return nil, err
	}
	client, err := sarama.NewClient(l.source.config.Kafka.Brokers, config)
	if err != nil {
		return nil, err
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	l.client, l.producer = client, producer
	return producer, nil
}

// ensure makes the topic if it is missing and we may.
func (l *letters) ensure(topic string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known[topic] {
		return nil
	}
	err := l.client.RefreshMetadata(topic)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		err = l.create(topic)
	}
	if err != nil {
		return err
	}
	l.known[topic] = true
	return nil
}

func (l *letters) create(topic string) error {
	c := &l.source.config.DeadLetter
	if !c.Create {
		return fmt.Errorf("the dead-letter topic %s does not exist: create it, or set dead_letter.create", topic)
	}
	admin, err := sarama.NewClusterAdminFromClient(l.client)
	if err != nil {
		return err
	}
	err = admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: c.Partitions, ReplicationFactor: c.Replication}, false)
	if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return fmt.Errorf("create the dead-letter topic %s (create it by hand, or grant CREATE on it): %w", topic, err)
	}
	l.source.log.Info("created the dead-letter topic", "topic", topic, "partitions", c.Partitions)
	return l.client.RefreshMetadata(topic)
}

func (l *letters) forget(topic string) {
	l.mu.Lock()
	delete(l.known, topic)
	l.mu.Unlock()
}

func (l *letters) complain(topic string, err error) {
	l.mu.Lock()
	first := !l.said
	l.said = true
	l.mu.Unlock()
	if first {
		l.source.log.Error("dead letters cannot be produced, trying again; lanes that have some wait",
			"topic", topic, "error", explain(err))
	}
}

func (l *letters) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.producer != nil {
		_ = l.producer.Close() // nothing is in flight: SendMessages waits
		_ = l.client.Close()
		l.producer, l.client = nil, nil
	}
}

// again copies what a producer needs of a message: one that has been sent carries the producer's state.
func again(m *sarama.ProducerMessage) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{Topic: m.Topic, Key: m.Key, Value: m.Value, Headers: m.Headers}
}

// shorten leaves out the value of a letter that the dead-letter topic does not take whole, and says so in a header: the place of the
// original is in the others, and its partition must go on.
func shorten(m *sarama.ProducerMessage) *sarama.ProducerMessage {
	if m.Value == nil {
		return m
	}
	out := again(m)
	out.Headers = append(slices.Clip(out.Headers), header(headerLeftOut, strconv.Itoa(m.Value.Length())))
	out.Value = nil
	return out
}
