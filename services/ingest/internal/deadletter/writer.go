package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Writer produces dead letters for all lanes, through one idempotent producer that is made when the first is due.
type Writer struct {
	config  Config
	kafka   *source.Kafka
	log     *slog.Logger
	metrics *metrics
	// backoff is the first pause after an attempt that failed.
	backoff time.Duration
	// calls are those that their callers may have left.
	calls sync.WaitGroup

	// opening makes one producer, however many lanes want it at once.
	opening singleflight.Group
	// uses are the calls that use the producer. They may outlive the lanes that made them; close waits for them.
	uses sync.WaitGroup

	mu       sync.Mutex
	client   sarama.Client
	producer sarama.SyncProducer
	known    map[string]bool
	rooms    map[string]*semaphore.Weighted
	// logged are the faults in the log, by dead-letter topic: one line an outage.
	logged map[string]string
	closed bool
}

var _ source.Letters = (*Writer)(nil)

// NewWriter returns a writer that has not yet done anything. reg may be nil. Close it after the lanes have ended.
func NewWriter(config Config, kafka *source.Kafka, log *slog.Logger, reg prometheus.Registerer) *Writer {
	return &Writer{
		config: config, kafka: kafka, log: log, metrics: newMetrics(reg), backoff: 100 * time.Millisecond,
		known: make(map[string]bool), logged: make(map[string]string), rooms: make(map[string]*semaphore.Weighted),
	}
}

// errClosed says that the writer was closed; the next owner of the partition produces the letters.
var errClosed = errors.New("the producer of dead letters is closed")

// Produce implements source.Letters. It returns when every letter, all of one topic, is acknowledged by all in-sync
// replicas. It tries until ctx ends; letters may be there twice then. waits is called with what keeps it from going on,
// and an empty string when it goes on.
func (w *Writer) Produce(ctx context.Context, batch []lane.DeadLetter, waits func(what string)) error {
	if len(batch) == 0 {
		return nil
	}
	now := time.Now()
	rest := make([]*sarama.ProducerMessage, 0, len(batch))
	for i := range batch {
		rest = append(rest, w.message(newDraft(&batch[i], now)))
	}
	topic := rest[0].Topic
	pause := w.backoff
	together := chunkBytes
	waiting := false
	defer func() {
		if waiting {
			waits("")
		}
	}()
	for {
		next, most := rest, together
		left, err := source.Await(ctx, &w.calls, func() (unsent, error) { return w.send(next, most) })
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return err
		}
		w.metrics.retries.Inc()
		// What is sent next differs when letters have become shorter or go alone: there is nothing to wait for.
		differs := left.shortened || left.alone
		if !differs {
			err = w.explain(topic, err)
			w.complain(topic, err)
			waits(err.Error())
			waiting = true
		}
		rest = left.messages
		if left.alone {
			together = 0
		}
		if differs {
			continue
		}
		if !source.Sleep(ctx, pause) {
			return fmt.Errorf("%w (last response: %w)", context.Cause(ctx), err)
		}
		pause = min(2*pause, 10*time.Second)
	}
	for i := range batch {
		w.metrics.letters.WithLabelValues(batch[i].Reason).Inc()
	}
	w.mu.Lock()
	delete(w.logged, topic)
	w.mu.Unlock()
	return nil
}

// chunkBytes bounds what is on its way to a topic at a time: brokers limit a batch of records as they limit one
// record, to about a megabyte, and sarama would make one batch of all that waits.
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
func (w *Writer) send(batch []*sarama.ProducerMessage, together int) (left unsent, err error) {
	left.messages = batch
	if err := w.open(); err != nil {
		return left, err
	}
	if err := w.ensure(batch[0].Topic); err != nil {
		return left, err
	}
	left.messages = nil
	sized := true // whatever failed did so for its size
	for rest := batch; len(rest) > 0; {
		n := chunk(rest, together)
		sent := rest[:n]
		rest = rest[n:]
		failed, alone, fault := w.sendChunk(sent, together == 0)
		if fault == nil {
			continue
		}
		err = fault
		for _, f := range failed {
			m := f.Msg
			switch {
			case tooLarge(f.Err) && n == 1 && alone:
				shorter, ok := w.shorten(m)
				if !ok {
					err = &unfitError{m.Topic, m.ByteSize(2), f.Err}
				}
				m, left.shortened = shorter, left.shortened || ok
				sized = sized && ok
			case tooLarge(f.Err):
				left.alone = true
			case errors.Is(f.Err, sarama.ErrUnknownTopicOrPartition):
				w.forget(m.Topic)
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

// sendChunk sends messages in one batch, and returns those that failed with their errors. It looks at the size that the
// producer would refuse by itself, for which sarama has no error of its own. alone says that no letter of another lane
// can have been in the batch, as only asks for: sarama makes one of all that lanes send at a time, so that one lane's
// letter may be refused for the size of another's.
func (w *Writer) sendChunk(sent []*sarama.ProducerMessage, only bool) (_ []*sarama.ProducerError, alone bool, _ error) {
	if len(sent) == 1 && sent[0].ByteSize(2) > maxLetter {
		return []*sarama.ProducerError{{Msg: sent[0], Err: sarama.ErrMessageSizeTooLarge}}, true,
			sarama.ErrMessageSizeTooLarge
	}
	bytes := 0
	for _, m := range sent {
		bytes += m.ByteSize(2)
	}
	alone = only || bytes >= chunkBytes
	share := int64(chunkBytes)
	if !alone {
		share = int64(bytes)
	}
	room := w.room(sent[0].Topic)
	err := room.Acquire(context.Background(), share)
	if err == nil {
		err = w.sendNow(sent)
		room.Release(share)
	}
	if err == nil {
		return nil, alone, nil
	}
	if errs, ok := errors.AsType[sarama.ProducerErrors](err); ok {
		return errs, alone, errs[0].Err
	}
	failed := make([]*sarama.ProducerError, len(sent))
	for i, m := range sent {
		failed[i] = &sarama.ProducerError{Msg: m, Err: err}
	}
	return failed, alone, err
}

func (w *Writer) sendNow(sent []*sarama.ProducerMessage) error {
	producer, _, done, err := w.use()
	if err != nil {
		return err
	}
	defer done()
	return producer.SendMessages(sent)
}

// room bounds what is on its way to a dead-letter topic at a time, of all lanes, to chunkBytes.
func (w *Writer) room(topic string) *semaphore.Weighted {
	w.mu.Lock()
	defer w.mu.Unlock()
	room := w.rooms[topic]
	if room == nil {
		room = semaphore.NewWeighted(chunkBytes)
		w.rooms[topic] = room
	}
	return room
}

// tooLarge reports whether a response says that the topic does not take so much: by max.message.bytes, by
// segment.bytes.
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
	return fmt.Sprintf("the dead-letter topic %s takes no letter of %d bytes, the least there is: raise its "+
		"max.message.bytes: %v",
		u.topic, u.size, u.cause)
}

func (u *unfitError) Unwrap() error { return u.cause }

// explain names the dead-letter topic, and the right that is missing.
func (w *Writer) explain(topic string, err error) error {
	var unfit *unfitError
	switch {
	case errors.As(err, &unfit):
		return err
	case errors.Is(err, errCreate):
		return fmt.Errorf("the dead-letter topic %s: %w", topic, err)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return fmt.Errorf("grant WRITE on the dead-letter topic %s to this principal: %w", topic, err)
	case errors.Is(err, sarama.ErrClusterAuthorizationFailed):
		// What the broker says to an idempotent producer that may write to no topic, and before Kafka 3.0 to one that
		// may.
		return fmt.Errorf("grant WRITE on the dead-letter topic %s to this principal, before Kafka 3.0 "+
			"IDEMPOTENT_WRITE on the cluster too: %w",
			topic, err)
	}
	return fmt.Errorf("the dead-letter topic %s: %w", topic, source.Explain(err))
}

func (w *Writer) complain(topic string, err error) {
	w.mu.Lock()
	first := w.logged[topic] != err.Error()
	w.logged[topic] = err.Error()
	w.mu.Unlock()
	if first {
		w.log.Error("dead letters cannot be produced, trying again; lanes that have some wait",
			"dead_letter_topic", topic, "error", err)
	}
}

// again copies what a producer needs of a message: one that has been sent carries the producer's state.
func again(m *sarama.ProducerMessage) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{
		Topic: m.Topic, Key: m.Key, Value: m.Value, Headers: slices.Clip(m.Headers),
		Metadata: m.Metadata,
	}
}
