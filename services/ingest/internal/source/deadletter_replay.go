package source

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/IBM/sarama"
)

// ErrOvertaken says that a newer replay of the same dead-letter topic has fenced this one, or that the coordinator gave a transaction up.
var ErrOvertaken = errors.New("another replay of the topic has taken over")

// transactionTimeout is how long the coordinator waits for the end of a transaction whose producer has died. Until then the readers of its
// partitions wait too.
const transactionTimeout = 30 * time.Second

// Replay produces the records of letters again. Each transaction holds records and the marks of their letters, so that either both are
// there or neither. Its transactional id is fixed by the dead-letter topic: a new Replay ends the transactions of all older ones, and what
// those have not committed they never will. What is read of the topic after that knows every record that was produced again.
type Replay struct {
	d        *DeadLetters
	topic    string
	id       string
	version  string
	keep     bool
	client   sarama.Client
	producer sarama.AsyncProducer
}

// TransactionalID is that of the replays of a dead-letter topic: ACLs may name it.
func TransactionalID(topic string) string { return "waybill-replay-" + topic }

// Replay fences all older replays of a dead-letter topic. Records keep their own timestamps with keepTimestamp, else they get that of now.
func (d *DeadLetters) Replay(ctx context.Context, topic string, keepTimestamp bool) (*Replay, error) {
	r := &Replay{d: d, topic: topic, id: TransactionalID(topic), version: letterVersion(), keep: keepTimestamp}
	config, err := d.config.Kafka.producerConfig()
	if err != nil {
		return nil, err
	}
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Transaction.ID = r.id
	config.Producer.Transaction.Timeout = transactionTimeout
	err = await(ctx, &d.calls, func() error {
		client, err := sarama.NewClient(d.config.Kafka.Brokers, config)
		if err != nil {
			return err
		}
		producer, err := sarama.NewAsyncProducerFromClient(client)
		if err != nil {
			_ = client.Close()
			return err
		}
		if ctx.Err() != nil { // nobody waits for it any more
			_ = producer.Close()
			_ = client.Close()
			return context.Cause(ctx)
		}
		r.client, r.producer = client, producer
		return nil
	})
	if err != nil {
		return nil, r.explain(fmt.Errorf("begin to replay %s: %w", topic, err))
	}
	return r, nil
}

// Close ends the connections. A transaction that has not been committed never will be.
func (r *Replay) Close() {
	_ = r.producer.Close() // what was not acknowledged is in an aborted transaction
	_ = r.client.Close()
}

// Produce produces the records of letters and their marks in one transaction, and returns when it is committed. After an error the
// transaction may have been committed or not; nothing more can be produced with this Replay. It is not interrupted, and bounded by the
// timeouts of its requests.
func (r *Replay) Produce(letters []*Letter) error {
	err := r.transact(letters)
	if err == nil {
		return nil
	}
	if r.producer.TxnStatus()&sarama.ProducerTxnFlagFatalError == 0 {
		// Otherwise the coordinator does it when the next replay begins, or after the timeout.
		_ = r.producer.AbortTxn()
	}
	if tooLarge := errors.Is(err, sarama.ErrMessageSizeTooLarge) || errors.Is(err, sarama.ErrMessageTooLarge); tooLarge && r.d.together > 0 {
		r.d.together = 0
		return fmt.Errorf("a topic takes less than %d bytes at a time, so its records go one by one", chunkBytes)
	}
	return r.explain(fmt.Errorf("replay %d letters from %s on: %w", len(letters), letters[0].Of(), err))
}

func (r *Replay) transact(letters []*Letter) error {
	if err := r.producer.BeginTxn(); err != nil {
		return err
	}
	now := time.Now()
	records := make([]*sarama.ProducerMessage, len(letters))
	for i, l := range letters {
		records[i] = l.replayed(r.keep)
	}
	if err := r.send(records); err != nil {
		return err
	}
	marks := make([]*sarama.ProducerMessage, len(letters))
	for i, l := range letters {
		m := records[i]
		marks[i] = l.mark(Place{m.Topic, m.Partition, m.Offset}, r.version, now)
	}
	if err := r.send(marks); err != nil {
		return err
	}
	return r.producer.CommitTxn()
}

// send returns when every message is acknowledged, or one has failed and nothing is on its way; the messages have their offsets then.
func (r *Replay) send(messages []*sarama.ProducerMessage) error {
	for rest := messages; len(rest) > 0; {
		n := chunk(rest, r.d.together)
		if err := r.exchange(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// exchange sends some messages and takes their answers.
func (r *Replay) exchange(messages []*sarama.ProducerMessage) error {
	var first error
	input, next := r.producer.Input(), 0
	for done := 0; done < len(messages); {
		var message *sarama.ProducerMessage
		if next < len(messages) {
			message = messages[next]
		} else {
			input = nil
		}
		select {
		case input <- message:
			next++
		case <-r.producer.Successes():
			done++
		case failed := <-r.producer.Errors():
			// What follows the first fault fails for that reason alone.
			if done++; first == nil {
				first = failed.Err
			}
		}
	}
	return first
}

// explain adds what an operator can do.
func (r *Replay) explain(err error) error {
	switch {
	case errors.Is(err, sarama.ErrProducerFenced), errors.Is(err, sarama.ErrInvalidProducerEpoch):
		return fmt.Errorf("%w, or a transaction took longer than %s", ErrOvertaken, transactionTimeout)
	case errors.Is(err, sarama.ErrTransactionalIDAuthorizationFailed):
		return fmt.Errorf("grant WRITE and DESCRIBE on the transactional id %s to this principal: %w", r.id, err)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return fmt.Errorf("grant WRITE on %s and on the topics of its letters to this principal: %w", r.topic, err)
	}
	return explain(err)
}

// Retention is how long the brokers keep the records of a topic after the timestamps that producers give them; 0 when that is for ever,
// when the brokers give the timestamps, and when they do not tell.
func (d *DeadLetters) Retention(ctx context.Context, topic string) (time.Duration, error) {
	var values map[string]string
	err := d.retry(ctx, topic, func() (err error) {
		values, err = topicConfig(d.client, topic, "retention.ms", "message.timestamp.type")
		return err
	})
	if errors.As(err, new(sarama.KError)) {
		return 0, nil // most often because we are not allowed to ask
	}
	ms, bad := strconv.ParseInt(values["retention.ms"], 10, 64)
	if err != nil || bad != nil || ms <= 0 || values["message.timestamp.type"] == "LogAppendTime" {
		return 0, err
	}
	return time.Duration(min(ms, int64(1<<62/time.Millisecond))) * time.Millisecond, nil
}
