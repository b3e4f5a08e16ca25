package source

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// errMoved sends a reader to another broker that is known already.
var errMoved = errors.New("another broker serves the partition")

// The pauses between attempts to find a broker that serves the partition.
const (
	firstSearch = 50 * time.Millisecond
	lastSearch  = time.Second
)

// want is what a reader asks a broker for.
type want struct {
	topic  sarama.Uuid
	offset int64
	bytes  int32
	epoch  int32
}

// request is the part of a fetch that asks for it.
func (w *want) request(partition int32) kmsg.FetchRequestTopicPartition {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.FetchOffset, p.PartitionMaxBytes = partition, w.epoch, w.offset, w.bytes
	return p
}

// follow finds the broker that serves the partition and leaves the reader to a fetcher of it. It does not wait for its
// end, so a reader at rest has no goroutine: a fetcher that releases the reader calls follow again, and says why.
func (r *reader) follow(why error) {
	for {
		since, ok := r.searches(why)
		if !ok {
			return
		}
		address, err := r.locate(since)
		if err == nil {
			r.pool.join(address, r)
			return
		}
		why = err
	}
}

// searches says whether a broker is to be looked for after an error of the last one, nil for the first, and pauses
// before. What is relied on then is to be asked for at since or later.
func (r *reader) searches(why error) (since time.Time, ok bool) {
	ctx := r.pool.ctx
	switch {
	case ctx.Err() != nil:
		r.end(errStopped)
		return since, false
	case errors.Is(why, lane.ErrOffsetGone), errors.Is(why, lane.ErrUnreadable):
		r.end(why)
		return since, false
	case why == nil, errors.Is(why, errMoved):
		r.pause = 0
		return since, true
	case !moves(why):
		r.fault(why)
	}
	if r.moved.Swap(false) {
		r.pause = 0
	}
	since, r.pause = time.Now(), min(max(2*r.pause, firstSearch), lastSearch)
	select {
	case <-r.closing:
		return since, false
	case <-ctx.Done():
		r.end(errStopped)
		return since, false
	case <-time.After(r.pause):
		return since, true
	}
}

// locate finds the broker to fetch from: a replica nearby that the leader has named (KIP-392), else the leader. A
// leader of another epoch than the one before must have in its log what was read.
func (r *reader) locate(since time.Time) (string, error) {
	pool := r.pool
	l, err := pool.leaders.directory.leader(pool.ctx, r.tp, since)
	if err != nil {
		return "", err
	}
	if err := sameTopic(r.topic, l.topic); err != nil {
		return "", err
	}
	r.mu.Lock()
	offset, last, checked, replica := r.offset, r.lastEpoch, r.epoch, r.replica
	r.mu.Unlock()
	if l.epoch != checked && last >= 0 {
		end, err := pool.leaders.epochEnd(pool.ctx, r.tp, r.topic, last)
		switch {
		case err != nil:
			return "", err
		case end != unknownEnd && end < offset:
			return "", fmt.Errorf("%w: the log of the leader in epoch %d ends at %d where what was read goes on to %d",
				lane.ErrOffsetGone, l.epoch, end, offset)
		}
	}
	r.mu.Lock()
	r.epoch = l.epoch
	r.mu.Unlock()
	if address, ok := l.brokers[replica]; ok && replica >= 0 {
		return address, nil
	}
	r.leaveReplica()
	return l.address()
}

// moves says that an error is a change of leaders, or one under way, which is no fault.
func moves(err error) bool {
	for _, e := range []error{
		sarama.ErrNotLeaderForPartition, sarama.ErrLeaderNotAvailable, sarama.ErrReplicaNotAvailable,
		sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch, sarama.ErrOffsetNotAvailable,
		sarama.ErrUnknownTopicOrPartition, errUnknownTopicID, errInconsistentTopicID,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// What brokers respond to fetches of a topic that was deleted, or that they do not know yet (KIP-516).
const (
	errUnknownTopicID      = sarama.KError(100)
	errInconsistentTopicID = sarama.KError(103)
)

// wants is what to ask for; false when there is no room.
func (r *reader) wants() (want, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return want{r.topic, r.offset, r.fetch, r.epoch}, !r.paused && r.err == nil
}

// take takes a response for the partition over. An error releases the reader, with what is good before it taken.
func (r *reader) take(p *kafkawire.FetchedPartition) error {
	r.mu.Lock()
	from, replica := r.offset, r.replica
	r.mu.Unlock()
	switch code := sarama.KError(p.ErrorCode); {
	case code == sarama.ErrOffsetOutOfRange && replica >= 0:
		// A follower may lag behind what the leader has served; only the leader knows.
		r.leaveReplica()
		return errMoved
	case code == sarama.ErrOffsetOutOfRange:
		return lane.ErrOffsetGone
	case code != sarama.ErrNoError:
		r.leaveReplica()
		return code
	}
	result, err := unpack(r.tp, p, from, r.committed)
	r.newest.Store(p.HighWatermark)
	r.newestAt.Store(time.Now().UnixNano())
	if err == nil {
		r.trouble.Store(nil) // who sees the records sees no trouble
	}
	r.put(result)
	if err != nil {
		return r.damaged(result.next, err)
	}
	return r.choose(p.PreferredReadReplica)
}

// damages is how often bytes that cannot be read are fetched, before the lane learns of them: they may have been
// damaged on the way.
const damages = 3

// damaged counts that the bytes at an offset cannot be read, and says so for good when it was often enough.
func (r *reader) damaged(offset int64, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.damagedAt != offset {
		r.damagedAt, r.damages = offset, 0
	}
	if r.damages++; r.damages < damages {
		return err
	}
	return r.unreadable(err)
}

// choose follows what the leader says of a replica nearby, and goes back to ask it again after a while: the replica
// may have fallen behind.
func (r *reader) choose(preferred int32) error {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case now.Before(r.replicaUntil): // one that failed is not tried again before
	case preferred >= 0 && preferred != r.replica:
		r.replica, r.replicaUntil = preferred, now.Add(r.lease)
		return errMoved
	case r.replica >= 0:
		r.replica = -1
		return errMoved
	}
	return nil
}

func (r *reader) leaveReplica() {
	r.mu.Lock()
	r.replica = -1
	r.mu.Unlock()
}

// larger is the size of the next fetch after one in which no whole batch came.
func larger(bytes int32) int32 {
	if bytes > math.MaxInt32/2 {
		return math.MaxInt32
	}
	return 2 * bytes
}
