package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/singleflight"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// letters produces dead letters for all lanes, through one idempotent producer that is made when the first is due.
type letters struct {
	source *Source
	// opening makes one producer, however many lanes want it at once.
	opening singleflight.Group
	// uses are the calls that use the producer. They may outlive the lanes that made them; close waits for them.
	uses sync.WaitGroup

	mu       sync.Mutex
	client   sarama.Client
	producer sarama.SyncProducer
	known    map[string]bool
	// said are the faults in the log, by dead-letter topic: one line an outage.
	said   map[string]string
	closed bool
}

func newLetters(s *Source) *letters {
	return &letters{source: s, known: make(map[string]bool), said: make(map[string]string)}
}

// errClosed says that the source has ended; the next owner of the partition produces the letters.
var errClosed = errors.New("the producer of dead letters is closed")

// produce returns when every letter, all of one topic, is acknowledged by all in-sync replicas. It tries until ctx ends; letters may be there
// twice then. waits hears what keeps it from going on, and an empty string when it goes on.
func (l *letters) produce(ctx context.Context, batch []lane.DeadLetter, waits func(what string)) error {
	if len(batch) == 0 {
		return nil
	}
	now := time.Now()
	rest := make([]*sarama.ProducerMessage, 0, len(batch))
	for i := range batch {
		rest = append(rest, l.message(newDraft(&batch[i], now)))
	}
	topic := rest[0].Topic
	pause := l.source.backoff
	together := chunkBytes
	said := false
	defer func() {
		if said {
			waits("")
		}
	}()
	for {
		next, most := rest, together
		left, err := await(ctx, &l.source.calls, func() (unsent, error) { return l.send(next, most) })
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return err
		}
		l.source.metrics.letterRetries.Inc()
		// What is sent next differs when letters have become shorter or go alone: there is nothing to wait for.
		differs := left.shortened || left.alone
		if !differs {
			err = l.explain(topic, err)
			l.complain(topic, err)
			waits(err.Error())
			said = true
		}
		rest = left.messages
		if left.alone {
			together = 0
		}
		if differs {
			continue
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
	delete(l.said, topic)
	l.mu.Unlock()
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

// unsent is what an attempt leaves.
type unsent struct {
	// messages are to be sent again.
	messages []*sarama.ProducerMessage
	// alone says that they are to be sent one by one, since the topic takes less at a time.
	alone bool
	// shortened says that the topic refused some for their size alone, and that these have a part less now.
	shortened bool
}

// send makes one attempt, so many bytes together.
func (l *letters) send(batch []*sarama.ProducerMessage, together int) (left unsent, err error) {
	left.messages = batch
	if err := l.open(); err != nil {
		return left, err
	}
	if err := l.ensure(batch[0].Topic); err != nil {
		return left, err
	}
	left.messages = nil
	sized := true // whatever failed did so for its size
	for rest := batch; len(rest) > 0; {
		n := chunk(rest, together)
		sent := rest[:n]
		rest = rest[n:]
		failed, fault := l.sendChunk(sent)
		if fault == nil {
			continue
		}
		err = fault
		for _, f := range failed {
			m := f.Msg
			switch {
			case tooLarge(f.Err) && n == 1:
				shorter, ok := l.shorten(m)
				if !ok {
					err = &unfitError{m.Topic, m.ByteSize(2), f.Err}
				}
				m, left.shortened = shorter, left.shortened || ok
				sized = sized && ok
			case tooLarge(f.Err):
				left.alone = true
			case errors.Is(f.Err, sarama.ErrUnknownTopicOrPartition):
				l.forget(m.Topic)
				sized = false
			default:
				sized = false
			}
			left.messages = append(left.messages, again(m))
		}
		if !sized {
			left.messages = append(left.messages, rest...) // they would only wait for the same brokers
			break
		}
	}
	left.shortened = left.shortened && sized
	return left, err
}

// sendChunk sends messages in one batch, and returns those that failed with their errors. It looks at the size that the producer would refuse
// by itself, for which sarama has no error of its own.
func (l *letters) sendChunk(sent []*sarama.ProducerMessage) ([]*sarama.ProducerError, error) {
	if len(sent) == 1 && sent[0].ByteSize(2) > maxLetter {
		return []*sarama.ProducerError{{Msg: sent[0], Err: sarama.ErrMessageSizeTooLarge}}, sarama.ErrMessageSizeTooLarge
	}
	producer, _, done, err := l.use()
	if err == nil {
		err = producer.SendMessages(sent)
		done()
	}
	if err == nil {
		return nil, nil
	}
	var errs sarama.ProducerErrors
	if errors.As(err, &errs) {
		return errs, errs[0].Err
	}
	failed := make([]*sarama.ProducerError, len(sent))
	for i, m := range sent {
		failed[i] = &sarama.ProducerError{Msg: m, Err: err}
	}
	return failed, err
}

// tooLarge says of an answer that the topic does not take so much: by max.message.bytes, by segment.bytes.
func tooLarge(err error) bool {
	return errors.Is(err, sarama.ErrMessageSizeTooLarge) || errors.Is(err, sarama.ErrMessageTooLarge) ||
		errors.Is(err, sarama.ErrMessageSetSizeTooLarge)
}

// unfitError says that a letter does not fit although all has been left out of it that can be.
type unfitError struct {
	topic string
	size  int
	cause error
}

func (u *unfitError) Error() string {
	return fmt.Sprintf("the dead-letter topic %s takes no letter of %d bytes, the least there is: raise its max.message.bytes: %v",
		u.topic, u.size, u.cause)
}

func (u *unfitError) Unwrap() error { return u.cause }

// use hands out the producer and its client until done is called.
func (l *letters) use() (producer sarama.SyncProducer, client sarama.Client, done func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.producer == nil {
		return nil, nil, nil, errClosed
	}
	l.uses.Add(1)
	return l.producer, l.client, l.uses.Done, nil
}

// open makes the producer if there is none yet.
func (l *letters) open() error {
	_, err, _ := l.opening.Do("", func() (any, error) {
		l.mu.Lock()
		open, closed := l.producer != nil, l.closed
		if !open && !closed {
			l.uses.Add(1) // close waits for what is being made
		}
		l.mu.Unlock()
		if closed {
			return nil, errClosed
		}
		if open {
			return nil, nil
		}
		defer l.uses.Done()
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
		l.mu.Lock()
		l.client, l.producer = client, producer
		l.mu.Unlock()
		return nil, nil
	})
	return err
}

// ensure makes the topic if it is missing and we may.
func (l *letters) ensure(topic string) error {
	l.mu.Lock()
	known := l.known[topic]
	l.mu.Unlock()
	if known {
		return nil
	}
	_, client, done, err := l.use()
	if err != nil {
		return err
	}
	defer done()
	err = client.RefreshMetadata(topic)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		err = l.create(client, topic)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.known[topic] = true
	l.mu.Unlock()
	return nil
}

// errCreate says that the topic is missing and could not be made.
var errCreate = errors.New("it does not exist and cannot be created")

func (l *letters) create(client sarama.Client, topic string) error {
	c := &l.source.config.DeadLetter
	if !c.Create {
		return fmt.Errorf("%w: create it, or set dead_letter.create", errCreate)
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return err
	}
	err = admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: c.Partitions, ReplicationFactor: c.Replication}, false)
	if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return fmt.Errorf("%w: create it by hand, or grant CREATE on it to this principal: %w", errCreate, err)
	}
	l.source.log.Info("created the dead-letter topic", "topic", topic, "partitions", c.Partitions)
	return client.RefreshMetadata(topic)
}

func (l *letters) forget(topic string) {
	l.mu.Lock()
	delete(l.known, topic)
	l.mu.Unlock()
}

// explain names the dead-letter topic, and the right that is missing.
func (l *letters) explain(topic string, err error) error {
	var unfit *unfitError
	switch {
	case errors.As(err, &unfit):
		return err
	case errors.Is(err, errCreate):
		return fmt.Errorf("the dead-letter topic %s: %w", topic, err)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return fmt.Errorf("grant WRITE on the dead-letter topic %s to this principal: %w", topic, err)
	case errors.Is(err, sarama.ErrClusterAuthorizationFailed):
		// What the broker says to an idempotent producer that may write to no topic, and before Kafka 3.0 to one that may.
		return fmt.Errorf("grant WRITE on the dead-letter topic %s to this principal, before Kafka 3.0 IDEMPOTENT_WRITE on the cluster too: %w",
			topic, err)
	}
	return fmt.Errorf("the dead-letter topic %s: %w", topic, explain(err))
}

func (l *letters) complain(topic string, err error) {
	l.mu.Lock()
	first := l.said[topic] != err.Error()
	l.said[topic] = err.Error()
	l.mu.Unlock()
	if first {
		l.source.log.Error("dead letters cannot be produced, trying again; lanes that have some wait",
			"dead_letter_topic", topic, "error", err)
	}
}

// close ends the producer, after the calls that use it: sarama's panics when it is closed under a call.
func (l *letters) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.uses.Wait()
	if l.producer != nil {
		_ = l.producer.Close() // nothing is in flight: SendMessages waits
		_ = l.client.Close()
	}
}

// again copies what a producer needs of a message: one that has been sent carries the producer's state.
func again(m *sarama.ProducerMessage) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{Topic: m.Topic, Key: m.Key, Value: m.Value, Headers: slices.Clip(m.Headers), Metadata: m.Metadata}
}
