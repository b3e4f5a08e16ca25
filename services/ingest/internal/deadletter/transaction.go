package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// errOvertaken says that a newer replay of the same dead-letter topic has fenced this one, or that the coordinator gave
// a transaction up.
var errOvertaken = errors.New("another replay of the topic has taken over")

// transactionTimeout is how long the coordinator waits for the end of a transaction whose producer has died. Until then
// the readers of its partitions wait too.
const transactionTimeout = 30 * time.Second

// Transactions produces the records of letters again. Each transaction holds records and the marks of their letters, so
// that either both are there or neither. Its transactional id is fixed by the dead-letter topic: a new one ends the
// transactions of all older ones, and what those have not committed they never will. What is read of the topic after
// that knows every record that was produced again.
//
// It speaks the protocol (KIP-98) by itself, one request at a time: sarama's transactional producer fails a transaction
// on several goroutines at once, which is a data race.
type Transactions struct {
	d       *Reader
	topic   string
	id      string
	version string
	keep    bool
	// producer and epoch are what the coordinator fences by; sequences count the records of each partition.
	producer  int64
	epoch     int16
	sequences map[partition]int32
}

// partition names one.
type partition struct {
	topic     string
	partition int32
}

// transactionalID is that of the replays of a dead-letter topic: ACLs may name it.
func transactionalID(topic string) string { return "waybill-replay-" + topic }

// Begin fences all older replays of a dead-letter topic. Records keep their own timestamps with keepTimestamp, else
// they get that of now.
func (d *Reader) Begin(ctx context.Context, topic string, keepTimestamp bool) (*Transactions, error) {
	r := &Transactions{
		d: d, topic: topic, id: transactionalID(topic), version: letterVersion(wholeLayout), keep: keepTimestamp,
		sequences: map[partition]int32{},
	}
	request := &sarama.InitProducerIDRequest{
		Version: r.since27(4, 3), TransactionalID: &r.id, TransactionTimeout: transactionTimeout, ProducerID: -1,
		ProducerEpoch: -1,
	}
	begun, err := source.Await(ctx, &d.calls, func() (*sarama.InitProducerIDResponse, error) {
		var response *sarama.InitProducerIDResponse
		err := r.coordinate(ctx, func(b *sarama.Broker) (_ sarama.KError, err error) {
			if response, err = b.InitProducerID(request); err != nil {
				return 0, err
			}
			return response.Err, nil
		})
		return response, err
	})
	if err != nil {
		return nil, r.explain(fmt.Errorf("begin to replay %s: %w", topic, err))
	}
	r.producer, r.epoch = begun.ProducerID, begun.ProducerEpoch
	return r, nil
}

// since27 chooses a version of a request: Kafka 2.7 added the error that tells a fenced producer.
func (r *Transactions) since27(from, before int16) int16 {
	if r.d.scanner.Client().Config().Version.IsAtLeast(sarama.V2_7_0_0) {
		return from
	}
	return before
}

// Produce produces the records of letters and their marks in one transaction, and returns when it is committed. After
// an error the transaction may have been committed or not; nothing more can be produced with these. It is not
// interrupted, and bounded by the timeouts of its requests.
func (r *Transactions) Produce(letters []*Letter) error {
	err := r.transact(letters)
	if err == nil {
		return nil
	}
	// Otherwise the next replay does it, or the coordinator after the timeout. A committed transaction cannot be
	// aborted any more.
	_ = r.end(false)
	if tooLarge := errors.Is(err, sarama.ErrMessageSizeTooLarge) ||
		errors.Is(err, sarama.ErrMessageTooLarge); tooLarge &&
		r.d.together > 0 {
		r.d.together = 0
		return fmt.Errorf("a topic takes less than %d bytes at a time, so its records go one by one", chunkBytes)
	}
	return r.explain(fmt.Errorf("replay %d letters from %s on: %w", len(letters), letters[0].Of(), err))
}

func (r *Transactions) transact(letters []*Letter) error {
	now := time.Now()
	records := make([]*sarama.ProducerMessage, len(letters))
	for i, l := range letters {
		records[i] = l.replayed(r.keep)
	}
	if err := r.send(records, now); err != nil {
		return err
	}
	marks := make([]*sarama.ProducerMessage, len(letters))
	for i, l := range letters {
		m := records[i]
		marks[i] = l.mark(Place{m.Topic, m.Partition, m.Offset}, r.version, now)
	}
	if err := r.send(marks, now); err != nil {
		return err
	}
	return r.end(true)
}

// send adds the messages' partitions to the transaction and produces them, in order by partition. They have their
// offsets then.
func (r *Transactions) send(messages []*sarama.ProducerMessage, now time.Time) error {
	var order []partition
	by := map[partition][]*sarama.ProducerMessage{}
	for _, m := range messages {
		tp := partition{m.Topic, m.Partition}
		if by[tp] == nil {
			order = append(order, tp)
		}
		by[tp] = append(by[tp], m)
	}
	if err := r.add(order); err != nil {
		return err
	}
	for _, tp := range order {
		for rest := by[tp]; len(rest) > 0; {
			n := chunk(rest, r.d.together)
			if err := r.batch(tp, rest[:n], now); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	return nil
}

// deniedError says that we may not write to a topic.
type deniedError struct {
	topic string
	err   error
}

func (d *deniedError) Error() string {
	return fmt.Sprintf("grant WRITE on %s to this principal: %v", d.topic, d.err)
}

func (d *deniedError) Unwrap() error { return d.err }

// add tells the coordinator of partitions that the transaction will be in.
func (r *Transactions) add(partitions []partition) error {
	request := &sarama.AddPartitionsToTxnRequest{
		Version: r.since27(2, 1), TransactionalID: r.id, ProducerID: r.producer, ProducerEpoch: r.epoch,
		TopicPartitions: map[string][]int32{},
	}
	for _, p := range partitions {
		request.TopicPartitions[p.topic] = append(request.TopicPartitions[p.topic], p.partition)
	}
	return r.coordinate(context.Background(), func(b *sarama.Broker) (sarama.KError, error) {
		response, err := b.AddPartitionsToTxn(request)
		if err != nil {
			return 0, err
		}
		worst := sarama.ErrNoError
		for topic, errs := range response.Errors {
			for _, e := range errs {
				if e.Err == sarama.ErrTopicAuthorizationFailed {
					return 0, &deniedError{topic, e.Err}
				}
				// Where one fails, the others say that they were not attempted.
				if e.Err != sarama.ErrNoError && (worst == sarama.ErrNoError ||
					worst == sarama.ErrOperationNotAttempted) {
					worst = e.Err
				}
			}
		}
		return worst, nil
	})
}

// batch produces messages as one batch of records. The same batch may be sent again: its sequence tells the broker.
func (r *Transactions) batch(tp partition, messages []*sarama.ProducerMessage, now time.Time) error {
	b := &sarama.RecordBatch{
		Version: 2, Codec: sarama.CompressionSnappy, CompressionLevel: sarama.CompressionLevelDefault,
		IsTransactional: true, ProducerID: r.producer, ProducerEpoch: r.epoch, FirstSequence: r.sequences[tp],
		LastOffsetDelta: int32(len(messages) - 1),
	}
	for i, m := range messages {
		at := m.Timestamp
		if at.IsZero() {
			at = now
		}
		if at = at.Truncate(time.Millisecond); i == 0 {
			b.FirstTimestamp, b.MaxTimestamp = at, at
		}
		if at.After(b.MaxTimestamp) {
			b.MaxTimestamp = at
		}
		one := &sarama.Record{OffsetDelta: int64(i), TimestampDelta: at.Sub(b.FirstTimestamp)}
		for _, f := range []struct {
			from sarama.Encoder
			to   *[]byte
		}{{m.Key, &one.Key}, {m.Value, &one.Value}} {
			if f.from == nil {
				continue
			}
			var err error
			if *f.to, err = f.from.Encode(); err != nil {
				return err
			}
		}
		for j := range m.Headers {
			one.Headers = append(one.Headers, &m.Headers[j])
		}
		b.Records = append(b.Records, one)
	}
	err := persist(context.Background(), func() (bool, error) {
		first, err := r.produce(tp, b)
		if err != nil {
			_ = r.d.scanner.Client().RefreshMetadata(tp.topic) // the leader may have moved; the next try tells
			return resends(err), err
		}
		for i, m := range messages {
			m.Offset = first + int64(i)
		}
		return false, nil
	})
	r.sequences[tp] += int32(len(messages))
	return err
}

// produce makes one request and returns the offset of the first record.
func (r *Transactions) produce(tp partition, batch *sarama.RecordBatch) (int64, error) {
	broker, err := r.d.scanner.Client().Leader(tp.topic, tp.partition)
	if err != nil {
		return 0, err
	}
	timeout := int32(time.Duration(r.d.kafka.RequestTimeout) / time.Millisecond)
	request := &sarama.ProduceRequest{
		Version: 8, TransactionalID: &r.id, RequiredAcks: sarama.WaitForAll,
		Timeout: timeout,
	} // Kafka 2.4's
	request.AddBatch(tp.topic, tp.partition, batch)
	response, err := broker.Produce(request)
	if err != nil {
		_ = broker.Close() // it is opened again with the next request
		return 0, err
	}
	block := response.GetBlock(tp.topic, tp.partition)
	switch {
	case block == nil:
		return 0, sarama.ErrIncompleteResponse
	case block.Err == sarama.ErrTopicAuthorizationFailed:
		return 0, &deniedError{tp.topic, block.Err}
	case block.Err != sarama.ErrNoError:
		return 0, block.Err
	}
	return block.Offset, nil
}

// end commits the transaction or aborts it. Requested again, it has the same result.
func (r *Transactions) end(commit bool) error {
	request := &sarama.EndTxnRequest{
		Version: r.since27(2, 1), TransactionalID: r.id, ProducerID: r.producer, ProducerEpoch: r.epoch,
		TransactionResult: commit,
	}
	return r.coordinate(context.Background(), func(b *sarama.Broker) (sarama.KError, error) {
		response, err := b.EndTxn(request)
		if err != nil {
			return 0, err
		}
		return response.Err, nil
	})
}

// coordinate makes a request to the transaction's coordinator, wherever that is, and again while it is busy.
func (r *Transactions) coordinate(ctx context.Context, call func(*sarama.Broker) (sarama.KError, error)) error {
	return persist(ctx, func() (bool, error) {
		broker, err := r.d.scanner.Client().TransactionCoordinator(r.id)
		if err != nil {
			return resends(err), err
		}
		code, err := call(broker)
		if errors.As(err, new(*deniedError)) {
			return false, err
		}
		if err != nil {
			_ = broker.Close() // it is opened again with the next request
			_ = r.d.scanner.Client().RefreshTransactionCoordinator(r.id)
			return true, err
		}
		switch code {
		case sarama.ErrNoError:
			return false, nil
		case sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrNotCoordinatorForConsumer:
			_ = r.d.scanner.Client().RefreshTransactionCoordinator(r.id)
			return true, code
		case sarama.ErrOffsetsLoadInProgress, sarama.ErrConcurrentTransactions:
			return true, code // the markers of the last transaction are being written, or this one's log is being read
		}
		return resends(code), code
	})
}

// persist makes a call again while it says that this may help: for about half a minute at most.
func persist(ctx context.Context, call func() (again bool, err error)) error {
	pause := 20 * time.Millisecond
	for end := time.Now().Add(transactionTimeout); ; pause = min(2*pause, time.Second) {
		again, err := call()
		if err == nil || !again || time.Now().After(end) || !source.Sleep(ctx, pause) {
			return err
		}
	}
}

// resends says of an error that the same request may succeed: no broker has judged it.
func resends(err error) bool {
	code, judged := errors.AsType[sarama.KError](err)
	if !judged {
		return passes(err)
	}
	switch code {
	case sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition, sarama.ErrReplicaNotAvailable,
		sarama.ErrRequestTimedOut,
		sarama.ErrNetworkException, sarama.ErrNotEnoughReplicas, sarama.ErrNotEnoughReplicasAfterAppend,
		sarama.ErrKafkaStorageError,
		sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch, sarama.ErrConsumerCoordinatorNotAvailable,
		sarama.ErrThrottlingQuotaExceeded:
		return true
	}
	return false
}

// explain adds what an operator can do.
func (r *Transactions) explain(err error) error {
	switch {
	case errors.Is(err, sarama.ErrProducerFenced), errors.Is(err, sarama.ErrInvalidProducerEpoch):
		return fmt.Errorf("%w, or a transaction took longer than %s", errOvertaken, transactionTimeout)
	case errors.Is(err, sarama.ErrTransactionalIDAuthorizationFailed):
		return fmt.Errorf("grant WRITE and DESCRIBE on the transactional id %s to this principal: %w", r.id, err)
	case errors.As(err, new(*deniedError)):
		return err // it names the topic
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return fmt.Errorf("grant WRITE on %s and on the topics of its letters to this principal: %w", r.topic, err)
	}
	return source.Explain(err)
}
