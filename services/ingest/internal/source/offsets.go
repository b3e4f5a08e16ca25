package source

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/pkg/mutant"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// member is the identity that fences a commit.
type member struct {
	id         string
	generation int32
	instance   *string
}

// same says whether two are the same member in the same generation.
func (m member) same(as member) bool { return m.id == as.id && m.generation == as.generation }

// offsets reads and writes the group's offsets on a client of its own. Checkpoints never go through sarama's session:
// MarkOffset drops an equal offset with new metadata and Commit reports no error.
type offsets struct {
	client sarama.Client
	group  string
	// lost says that the last request did not come back, so the coordinator is to be looked up again.
	lost atomic.Bool
	// responded is when the coordinator last responded, in nanoseconds since 1970.
	responded atomic.Int64
}

// idle is how long a connection may rest and be used again. Brokers (connections.max.idle.ms, 10 minutes), proxies and
// firewalls drop those that rest, which shows only in the request after it: that would be a doubtful commit for
// nothing.
const idle = 30 * time.Second

// unsentError is a failure from before the first byte of a request was written.
type unsentError struct{ error }

func (u unsentError) Unwrap() error { return u.error }

// refusedError is a response that sending again will not change: the lane stops loudly.
type refusedError struct {
	err    error
	remedy string
}

func (f *refusedError) Error() string { return f.err.Error() }
func (f *refusedError) Unwrap() error { return f.err }

// commit sends the pairs in one request. What was not sent, or got an error in response, can be sent again; see
// errDoubtful for the rest.
func (o *offsets) commit(m member, pairs map[topicPartition]*handed) map[topicPartition]error {
	errs := make(map[topicPartition]error, len(pairs))
	resp, err := roundTrip(o, func(b *sarama.Broker) (*sarama.OffsetCommitResponse, error) {
		// A new request for every attempt: sending one may lower its version in place.
		req := sarama.NewOffsetCommitRequest(o.client.Config(), o.group)
		req.ConsumerGroupGeneration = m.generation
		req.ConsumerID = m.id
		if req.Version >= 7 {
			req.GroupInstanceId = m.instance
		}
		for tp, p := range pairs {
			// AddBlock would claim leader epoch 0; -1 says that we do not know it.
			req.AddBlockWithLeaderEpoch(tp.topic, tp.partition, p.Position, -1, 0, p.Checkpoint)
		}
		return b.CommitOffset(req)
	})
	var unsent unsentError
	if err != nil && !errors.As(err, &unsent) {
		err = fmt.Errorf("%w: %w", errDoubtful, err)
	}
	moved := false
	for tp := range pairs {
		failed := err
		if err == nil {
			code, ok := resp.Errors[tp.topic][tp.partition]
			switch {
			case !ok:
				failed = sarama.ErrIncompleteResponse
			case code != sarama.ErrNoError:
				failed = code
			}
		}
		if failed != nil {
			errs[tp] = judge(failed)
			moved = moved || coordinatorMoved(failed)
		}
	}
	if moved {
		o.lost.Store(true)
	}
	return errs
}

// committed reads one partition's offset and metadata, waiting for transactional commits under way. It tries until ctx
// ends.
func (o *offsets) committed(ctx context.Context, tp topicPartition, backoff time.Duration) (lane.Pair, error) {
	for {
		p, err := o.fetch(tp)
		if err == nil {
			return p, nil
		}
		var fault *refusedError
		if err = judge(err); errors.As(err, &fault) {
			return lane.Pair{}, fmt.Errorf("read the committed offset of %s/%d: %w; %s",
				tp.topic, tp.partition, err, fault.remedy)
		}
		select {
		case <-ctx.Done():
			return lane.Pair{}, fmt.Errorf("read the committed offset of %s/%d: %w (last response: %w)",
				tp.topic, tp.partition, context.Cause(ctx), err)
		case <-time.After(backoff):
		}
	}
}

func (o *offsets) fetch(tp topicPartition) (lane.Pair, error) {
	resp, err := roundTrip(o, func(b *sarama.Broker) (*sarama.OffsetFetchResponse, error) {
		req := sarama.NewOffsetFetchRequest(o.client.Config().Version, o.group,
			map[string][]int32{tp.topic: {tp.partition}})
		req.RequireStable = req.Version >= 7
		return b.FetchOffset(req)
	})
	if err != nil {
		return lane.Pair{}, err
	}
	if code := resp.GroupError(); code != sarama.ErrNoError {
		if coordinatorMoved(code) {
			o.lost.Store(true)
		}
		return lane.Pair{}, code
	}
	block := resp.GetBlock(tp.topic, tp.partition)
	switch {
	case block == nil:
		return lane.Pair{}, sarama.ErrIncompleteResponse
	case block.Err != sarama.ErrNoError:
		return lane.Pair{}, block.Err
	}
	return lane.Pair{Position: block.Offset, Checkpoint: block.Metadata}, nil
}

// roundTrip sends one request to the group's coordinator. After a transport error the connection is dropped and the
// coordinator looked up anew. An error is an unsentError when nothing of the request has left.
func roundTrip[R any](o *offsets, send func(*sarama.Broker) (R, error)) (R, error) {
	var none R
	if o.lost.Swap(false) {
		if err := o.client.RefreshCoordinator(o.group); err != nil {
			o.lost.Store(true)
			return none, unsentError{err}
		}
	}
	b, err := o.client.Coordinator(o.group)
	if err != nil {
		o.lost.Store(true)
		return none, unsentError{err}
	}
	if time.Since(time.Unix(0, o.responded.Load())) > idle {
		_ = b.Close()
	}
	// An open broker returns ErrAlreadyConnected; a dropped one dials again. Connected waits for that.
	Connect(o.client, b)
	if ok, err := b.Connected(); !ok {
		if err == nil {
			err = sarama.ErrNotConnected
		}
		_ = b.Close()
		o.lost.Store(true)
		return none, unsentError{err}
	}
	resp, err := send(b)
	if err != nil {
		_ = b.Close()
		o.lost.Store(true)
		var encoding sarama.PacketEncodingError
		if errors.Is(err, sarama.ErrNotConnected) || errors.Is(err, sarama.ErrUnsupportedVersion) ||
			errors.As(err, &encoding) {
			err = unsentError{err}
		}
		return none, err
	}
	o.responded.Store(time.Now().UnixNano())
	return resp, nil
}

func coordinatorMoved(err error) bool {
	return errors.Is(err, sarama.ErrNotCoordinatorForConsumer) ||
		errors.Is(err, sarama.ErrConsumerCoordinatorNotAvailable)
}

// judge sorts a response of the coordinator by what we do next: lane.ErrFenced ends the claim, a *refusedError stops
// the lane loudly, anything else is sent again.
func judge(err error) error {
	var code sarama.KError
	if !errors.As(err, &code) || errors.Is(err, errDoubtful) {
		return err // transport
	}
	switch code {
	case sarama.ErrIllegalGeneration, sarama.ErrUnknownMemberId, sarama.ErrFencedInstancedId:
		if mutant.Generation { // a stale member's commit counts as done
			return nil
		}
		return fmt.Errorf("%w: %w", lane.ErrFenced, code)
	case sarama.ErrOffsetMetadataTooLarge:
		return &refusedError{code, "the checkpoint is larger than the broker's offset.metadata.max.bytes (4096 " +
			"unless changed); this is a fault of the writer"}
	case sarama.ErrGroupAuthorizationFailed:
		return &refusedError{code, "grant READ on the consumer group to this principal"}
	case sarama.ErrTopicAuthorizationFailed:
		return &refusedError{code, "grant READ on the topic to this principal"}
	case sarama.ErrInvalidGroupId:
		return &refusedError{code, "set kafka.group to a valid consumer group id"}
	case sarama.ErrInvalidCommitOffsetSize:
		return &refusedError{code, "the broker refuses offset commits of this size"}
	default:
		return err
	}
}
