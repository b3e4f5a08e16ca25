package source

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/xdg-go/scram"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// newDialer makes connections for fetches and what belongs to them, with the security of sarama's own.
func newDialer(k *Kafka, c *sarama.Config) *kafkawire.Dialer {
	d := &kafkawire.Dialer{
		ClientID: c.ClientID, Connect: (&dialer{k}).DialContext, Timeout: k.fetchTimeout(),
		MaxResponse: int(sarama.MaxResponseSize),
	}
	if s := &c.Net.SASL; s.Enable {
		d.SASL = &kafkawire.SASL{Mechanism: string(s.Mechanism), User: s.User, Password: s.Password}
		if begin := s.SCRAMClientGeneratorFunc; begin != nil {
			d.SASL.SCRAM = func() (*scram.ClientConversation, error) {
				c := begin().(*scramClient)
				err := c.Begin(s.User, s.Password, "")
				return c.conversation, err
			}
		}
		if t, ok := s.TokenProvider.(*tokens); ok {
			d.SASL.Token = t.text
		}
	}
	return d
}

// leaders asks the leaders of partitions what they respond at once. A request carries the epoch of the leader, so that
// one that is none any more, and does not know it yet, refuses (KIP-320).
type leaders struct {
	directory *directory
	dialer    *kafkawire.Dialer

	mu    sync.Mutex
	links map[string]*link // by address
}

// link is a connection that requests take turns with.
type link struct {
	// turn holds a token while nobody uses conn, which is nil until it is first used and after an error.
	turn chan struct{}
	conn *kafkawire.Conn
}

func newLeaders(d *directory, dialer *kafkawire.Dialer) *leaders {
	return &leaders{directory: d, dialer: dialer, links: make(map[string]*link)}
}

// close ends the connections, of which none is in use.
func (l *leaders) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, link := range l.links {
		if link.conn != nil {
			_ = link.conn.Close()
			link.conn = nil
		}
	}
}

// at uses the connection to a broker. One that has rested may be broken without a sign, so what fails on it is tried
// on a new one: use must bear that.
func (l *leaders) at(ctx context.Context, address string, use func(*kafkawire.Conn) error) error {
	l.mu.Lock()
	k := l.links[address]
	if k == nil {
		k = &link{turn: make(chan struct{}, 1)}
		k.turn <- struct{}{}
		l.links[address] = k
	}
	l.mu.Unlock()
	select {
	case <-k.turn:
		defer func() { k.turn <- struct{}{} }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		rested := k.conn != nil
		if !rested {
			conn, err := l.dialer.Dial(ctx, address)
			if err != nil {
				return err
			}
			k.conn = conn
		}
		err := use(k.conn)
		if err == nil {
			return nil
		}
		_ = k.conn.Close()
		k.conn = nil
		if !rested || ctx.Err() != nil {
			return err
		}
	}
}

// sender sends a request to a leader and returns the error code of the response.
type sender func(*kafkawire.Conn, leadership) (int16, error)

// The pauses between attempts to reach the leader of a partition, and how many there are.
const (
	firstAttempt = 50 * time.Millisecond
	attempts     = 5
)

// request sends one to the leader of a partition, looked up at since or later, and again after each response that
// says it has moved. topic is the id that it must have; zero for any. send returns the response's error code.
func (l *leaders) request(
	ctx context.Context, tp topicPartition, topic sarama.Uuid, since time.Time, send sender,
) error {
	for attempt := 1; ; attempt++ {
		err := l.once(ctx, tp, topic, since, send)
		if err == nil || attempt == attempts || ctx.Err() != nil || errors.Is(err, errOtherTopic) || !passing(err) {
			return err
		}
		since = time.Now()
		if !Sleep(ctx, firstAttempt<<(attempt-1)) {
			return context.Cause(ctx)
		}
	}
}

func (l *leaders) once(ctx context.Context, tp topicPartition, topic sarama.Uuid, since time.Time, send sender) error {
	leader, err := l.directory.leader(ctx, tp, since)
	if err != nil {
		return err
	}
	if err := sameTopic(topic, leader.topic); err != nil {
		return err
	}
	address, err := leader.address()
	if err != nil {
		return err
	}
	var code int16
	err = l.at(ctx, address, func(c *kafkawire.Conn) (err error) {
		code, err = send(c, leader)
		return err
	})
	if err == nil && code != 0 {
		return sarama.KError(code)
	}
	return err
}

// passing says that an error of a request to a leader may be gone on the next attempt: all but what an operator must
// change, and what the caller decides.
func passing(err error) bool {
	for _, lasting := range []error{
		sarama.ErrTopicAuthorizationFailed, sarama.ErrClusterAuthorizationFailed, sarama.ErrInvalidTopic,
		sarama.ErrUnsupportedVersion, sarama.ErrOffsetOutOfRange,
	} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	var refused *kafkawire.AuthError
	return !errors.As(err, &refused)
}

// errOtherTopic says that the topic is not the one that is read: it was deleted, and another was made with its name.
var errOtherTopic = fmt.Errorf("%w: the topic was deleted, and another was made with its name", lane.ErrOffsetGone)

// sameTopic compares ids of topics, where both are known.
func sameTopic(want, got sarama.Uuid) error {
	none := sarama.Uuid{}
	if want != none && got != none && want != got {
		return fmt.Errorf("%w: it had the id %s and has %s", errOtherTopic, want, got)
	}
	return nil
}

// offset asks for an end of a partition, sarama.OffsetOldest or OffsetNewest; committed leaves out transactions that
// are open.
func (l *leaders) offset(
	ctx context.Context, tp topicPartition, topic sarama.Uuid, since time.Time, at int64, committed bool,
) (int64, error) {
	var offset int64
	err := l.request(ctx, tp, topic, since, func(c *kafkawire.Conn, leader leadership) (int16, error) {
		// Version 4 fences by epoch (Kafka 2.1); from version 5 on a leader says when it does not know the end yet.
		request, one := kmsg.NewPtrListOffsetsRequest(), kmsg.NewListOffsetsRequestTopic()
		p := kmsg.NewListOffsetsRequestTopicPartition()
		request.Version = 4
		p.Partition, p.CurrentLeaderEpoch, p.Timestamp = tp.partition, leader.epoch, at
		one.Topic, one.Partitions = tp.topic, append(one.Partitions, p)
		request.Topics = append(request.Topics, one)
		if committed {
			request.IsolationLevel = int8(sarama.ReadCommitted)
		}
		response, err := c.Do(ctx, request, 6)
		if err != nil {
			return 0, err
		}
		r := response.(*kmsg.ListOffsetsResponse)
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
			return 0, sarama.ErrIncompleteResponse
		}
		offset = r.Topics[0].Partitions[0].Offset
		return r.Topics[0].Partitions[0].ErrorCode, nil
	})
	return offset, err
}

// unknownEnd is what a leader says of an epoch that it knows nothing of.
const unknownEnd = -1

// epochEnd asks where the records of an epoch end in the log of a partition's leader, or those of the last epoch
// before it that has any. What was read in that epoch beyond it is not in the log any more. It is unknownEnd when the
// leader does not know.
func (l *leaders) epochEnd(ctx context.Context, tp topicPartition, topic sarama.Uuid, epoch int32) (int64, error) {
	end := int64(unknownEnd)
	err := l.request(ctx, tp, topic, time.Time{}, func(c *kafkawire.Conn, leader leadership) (int16, error) {
		request, one := kmsg.NewPtrOffsetForLeaderEpochRequest(), kmsg.NewOffsetForLeaderEpochRequestTopic()
		request.Version, request.ReplicaID = 3, -1
		partition := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		partition.Partition, partition.CurrentLeaderEpoch, partition.LeaderEpoch = tp.partition, leader.epoch, epoch
		one.Topic, one.Partitions = tp.topic, append(one.Partitions, partition)
		request.Topics = append(request.Topics, one)
		response, err := c.Do(ctx, request, 4)
		if err != nil {
			return 0, err
		}
		r := response.(*kmsg.OffsetForLeaderEpochResponse)
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
			return 0, sarama.ErrIncompleteResponse
		}
		p := r.Topics[0].Partitions[0]
		if end = p.EndOffset; end == unknownEnd && p.ErrorCode == 0 && leader.epoch >= 0 && leader.epoch < epoch {
			end = 0 // epochs never go back: this is another log
		}
		return p.ErrorCode, nil
	})
	return end, err
}
