package deadletter

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// producerConfig is for dead letters.
func producerConfig(k *source.Kafka) (*sarama.Config, error) {
	c, err := k.ClientConfig()
	if err != nil {
		return nil, err
	}
	c.Net.MaxOpenRequests = 1
	p := &c.Producer
	p.RequiredAcks = sarama.WaitForAll
	p.Idempotent = true
	p.Timeout = time.Duration(k.RequestTimeout)
	p.Compression = sarama.CompressionSnappy
	p.Retry.Max = 3
	p.Return.Successes = true
	p.Return.Errors = true
	// The broker's bound decides what is too large, not ours; what is larger than a request may be is shortened before.
	p.MaxMessageBytes = maxLetter
	return c, nil
}

// use hands out the producer and its client until done is called.
func (w *Writer) use() (producer sarama.SyncProducer, client sarama.Client, done func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.producer == nil {
		return nil, nil, nil, errClosed
	}
	w.uses.Add(1)
	return w.producer, w.client, w.uses.Done, nil
}

// open makes the producer if there is none yet.
func (w *Writer) open() error {
	_, err, _ := w.opening.Do("", func() (any, error) {
		w.mu.Lock()
		open, closed := w.producer != nil, w.closed
		if !open && !closed {
			w.uses.Add(1) // close waits for what is being made
		}
		w.mu.Unlock()
		if closed {
			return nil, errClosed
		}
		if open {
			return nil, nil
		}
		defer w.uses.Done()
		config, err := producerConfig(w.kafka)
		if err != nil {
			return nil, err
		}
		client, err := sarama.NewClient(w.kafka.Brokers, config)
		if err != nil {
			return nil, err
		}
		producer, err := sarama.NewSyncProducerFromClient(client)
		if err != nil {
			_ = client.Close()
			return nil, err
		}
		w.mu.Lock()
		w.client, w.producer = client, producer
		w.mu.Unlock()
		return nil, nil
	})
	return err
}

// ensure makes the topic if it is missing and we may.
func (w *Writer) ensure(topic string) error {
	w.mu.Lock()
	known := w.known[topic]
	w.mu.Unlock()
	if known {
		return nil
	}
	_, client, done, err := w.use()
	if err != nil {
		return err
	}
	defer done()
	err = client.RefreshMetadata(topic)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		err = w.create(client, topic)
	}
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.known[topic] = true
	w.mu.Unlock()
	return nil
}

// errCreate says that the topic is missing and could not be made.
var errCreate = errors.New("it does not exist and cannot be created")

func (w *Writer) create(client sarama.Client, topic string) error {
	c := &w.config
	if !c.Create {
		return fmt.Errorf("%w: create it, or set dead_letter.create", errCreate)
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return err
	}
	err = admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: c.Partitions, ReplicationFactor: c.Replication},
		false)
	if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return fmt.Errorf("%w: create it by hand, or grant CREATE on it to this principal: %w", errCreate, err)
	}
	w.log.Info("created the dead-letter topic", "topic", topic, "partitions", c.Partitions)
	return client.RefreshMetadata(topic)
}

func (w *Writer) forget(topic string) {
	w.mu.Lock()
	delete(w.known, topic)
	w.mu.Unlock()
}

// Close ends the producer, after the calls that use it: sarama's panics when it is closed under a call.
func (w *Writer) Close() {
	defer w.calls.Wait()
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.uses.Wait()
	if w.producer != nil {
		_ = w.producer.Close() // nothing is in flight: SendMessages waits
		_ = w.client.Close()
		w.producer, w.client = nil, nil
	}
}
