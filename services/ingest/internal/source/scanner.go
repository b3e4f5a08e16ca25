package source

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// Scanner reads topics from end to end, outside of the group, and tells what there is to know of them. It commits
// nothing. Not safe for concurrent use.
type Scanner struct {
	client  sarama.Client
	leaders *leaders
	calls   sync.WaitGroup
}

// NewScanner connects to the brokers; topics are some of those that will be read. It is an error when no broker
// responds.
func NewScanner(ctx context.Context, k *Kafka, topics []string) (*Scanner, error) {
	c, err := k.ClientConfig()
	if err != nil {
		return nil, err
	}
	client, err := sarama.NewClient(k.Brokers, c)
	if err != nil {
		return nil, err
	}
	sc := &Scanner{client: client}
	sc.leaders = newLeaders(newDirectory(client, &sc.calls), newDialer(k, c))
	if _, err = Await(ctx, &sc.calls, func() (string,
		error,
	) {
		return clusterID(client, k.Brokers, topics)
	}); err != nil {
		sc.Close()
		return nil, Explain(err)
	}
	return sc, nil
}

// Client is the scanner's own, which others may use until it is closed.
func (sc *Scanner) Client() sarama.Client { return sc.client }

// Close ends the connections, after what is under way.
func (sc *Scanner) Close() {
	sc.calls.Wait()
	_ = sc.client.Close() // nothing is lost: all was read or acknowledged
	sc.leaders.close()
}

// Partitions is how many partitions a topic has.
func (sc *Scanner) Partitions(ctx context.Context, topic string) (int, error) {
	return retry(ctx, sc, topic, func() (int, error) {
		if err := sc.client.RefreshMetadata(topic); err != nil {
			return 0, err
		}
		partitions, err := sc.client.Partitions(topic)
		return len(partitions), err
	})
}

// retries bounds how often a request is made again: with the pauses, about half a minute.
const retries = 8

// retry makes a call of sarama's about a topic again while it may help. It ends when ctx does; see Await for what the
// call may do.
func retry[T any](ctx context.Context, sc *Scanner, topic string, call func() (T, error)) (T, error) {
	pause := 100 * time.Millisecond // the first back-off
	for attempt := 1; ; attempt++ {
		value, err := Await(ctx, &sc.calls, func() (T, error) {
			value, err := call()
			if err != nil && Passes(err) {
				_ = sc.client.RefreshMetadata(topic) // the leader may have moved; the next try tells
			}
			return value, err
		})
		if err == nil || ctx.Err() != nil || attempt == retries || !Passes(err) {
			return value, err
		}
		if !Sleep(ctx, pause) {
			return value, fmt.Errorf("%w (last response: %w)", context.Cause(ctx), err)
		}
		pause = min(2*pause, 8*time.Second)
	}
}

// Passes says of an error that it may be gone on the next try.
func Passes(err error) bool {
	for _, lasting := range []error{
		ErrNoTopic, sarama.ErrUnknownTopicOrPartition, sarama.ErrTopicAuthorizationFailed,
		sarama.ErrGroupAuthorizationFailed, sarama.ErrClusterAuthorizationFailed,
		sarama.ErrTransactionalIDAuthorizationFailed, sarama.ErrSASLAuthenticationFailed,
		sarama.ErrInvalidTopic, sarama.ErrOffsetOutOfRange, sarama.ErrMessageSizeTooLarge, sarama.ErrMessageTooLarge,
		sarama.ErrInvalidTimestamp,
	} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	return true
}

// Retention is how long the brokers keep the records of a topic after the timestamps that producers give them; 0 when
// that is for ever, when the brokers give the timestamps, and when they do not tell.
func (sc *Scanner) Retention(ctx context.Context, topic string) (time.Duration, error) {
	values, err := retry(ctx, sc, topic, func() (map[string]string, error) {
		return topicConfig(sc.client, topic, "retention.ms", "message.timestamp.type")
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
