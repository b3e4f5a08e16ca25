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
	// troubles are why letters cannot be produced, by the topic of their records.
	troubles sync.Map
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
	together := chunkBytes
	for {
		var failed []*sarama.ProducerMessage
		var alone bool
		err := l.source.await(ctx, func() (err error) {
			failed, alone, err = l.send(rest, together)
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
		if alone {
			together = 0
		}
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
	l.troubles.Delete(batch[0].Record.Topic)
	return nil
}

// chunkBytes bounds what is on its way to a partition at a time: brokers limit a batch of records as they limit one record, to about a
// megabyte, and sarama would make one batch of all that waits.
const chunkBytes = 512 << 10

// chunk is how many messages may be sent together: at least one, and more while they have no more bytes than together.
func chunk(messages []*sarama.ProducerMessage, together int) int {
	n, bytes := 0, 0
	for n < len(messages) {
		bytes += messages[n].ByteSize(2)
		if n > 0 && bytes > together {
			break
		}
		n++
	}
	return n
}

// send makes one attempt, so many bytes together, and returns what is to be sent again. alone says that it is to be sent one by one, since
// the topic takes less at a time.
func (l *letters) send(batch []*sarama.ProducerMessage, together int) (failed []*sarama.ProducerMessage, alone bool, err error) {
	producer, err := l.open()
	if err != nil {
		return batch, false, err
	}
	if err := l.ensure(batch[0].Topic); err != nil {
		return batch, false, err
	}
	for rest := batch; len(rest) > 0; {
		n := chunk(rest, together)
		sent := rest[:n]
		rest = rest[n:]
		fault := producer.SendMessages(sent)
		if fault == nil {
			continue
		}
		err = fault
		var errs sarama.ProducerErrors
		if !errors.As(fault, &errs) {
			return append(append(failed, sent...), rest...), alone, err
		}
		err = errs[0].Err
		sized := true
		for _, e := range errs {
			tooLarge := errors.Is(e.Err, sarama.ErrMessageSizeTooLarge) || errors.Is(e.Err, sarama.ErrMessageTooLarge)
			switch {
			case tooLarge && n == 1:
				e.Msg = shorten(e.Msg)
			case tooLarge:
				alone = true
			case errors.Is(e.Err, sarama.ErrUnknownTopicOrPartition):
				l.forget(e.Msg.Topic)
			}
			sized = sized && tooLarge
			failed = append(failed, again(e.Msg))
		}
		if !sized {
			return append(failed, rest...), alone, err // the others would only wait for the same brokers
		}
	}
	return failed, alone, err
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
	l.troubles.Store(topic, fmt.Sprintf("dead letters cannot be written to %s%s: %v", topic, l.source.config.DeadLetter.Suffix, explain(err)))
	if first {
		l.source.log.Error("dead letters cannot be produced, trying again; lanes that have some wait",
			"topic", topic, "error", explain(err))
	}
}

// trouble is why the dead letters of a topic cannot be written, empty when they can.
func (l *letters) trouble(topic string) string {
	text, _ := l.troubles.Load(topic)
	why, _ := text.(string)
	return why
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
