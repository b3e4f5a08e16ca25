package source

import (
	"errors"
	"math"
	"time"

	"github.com/IBM/sarama"

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
	offset int64
	bytes  int32
	epoch  int32
}

// follow keeps a fetcher of the broker that serves the partition at work, until Close or the end of the partition's data.
func (r *reader) follow(pool *fetchers) {
	defer close(r.done)
	var pause time.Duration
	for search := false; ; {
		err := r.serve(pool, search)
		switch {
		case errors.Is(err, errReaderClosed):
			return
		case errors.Is(err, lane.ErrOffsetGone):
			r.end(err)
			return
		case errors.Is(err, errMoved):
			search, pause = false, 0
			continue
		case !leadership(err):
			r.fault(err)
		}
		if r.moved.Swap(false) {
			pause = 0
		}
		search, pause = true, min(max(2*pause, firstSearch), lastSearch)
		select {
		case <-r.closing:
			return
		case <-time.After(pause):
		}
	}
}

// serve has a broker's fetcher fetch, and returns why it let go.
func (r *reader) serve(pool *fetchers, search bool) error {
	if search {
		if err := pool.client.RefreshMetadata(r.tp.topic); err != nil {
			return err
		}
	}
	broker, err := r.locate(pool)
	if err != nil {
		return err
	}
	f := pool.join(broker, r)
	r.fetcher.Store(f)
	select {
	case err := <-r.released:
		return err
	case <-r.closing:
		f.leave(r)
		return errReaderClosed
	}
}

// locate finds the broker to fetch from: a replica nearby that the leader has named (KIP-392), else the leader.
func (r *reader) locate(pool *fetchers) (*sarama.Broker, error) {
	r.mu.Lock()
	replica := r.replica
	r.mu.Unlock()
	if replica >= 0 {
		if broker, err := pool.client.Broker(replica); err == nil {
			return broker, nil
		}
		r.leaveReplica()
		if err := pool.client.RefreshMetadata(r.tp.topic); err != nil {
			return nil, err
		}
	}
	broker, epoch, err := pool.client.LeaderAndEpoch(r.tp.topic, r.tp.partition)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.epoch = epoch
	r.mu.Unlock()
	return broker, nil
}

// leadership says that an error is a change of leaders, or one under way, which is no fault.
func leadership(err error) bool {
	for _, e := range []error{
		sarama.ErrNotLeaderForPartition, sarama.ErrLeaderNotAvailable, sarama.ErrReplicaNotAvailable, sarama.ErrFencedLeaderEpoch,
		sarama.ErrUnknownLeaderEpoch, sarama.ErrUnknownTopicOrPartition,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// wants is what to ask for; false when there is no room.
func (r *reader) wants() (want, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return want{r.offset, r.fetch, r.epoch}, !r.paused && r.err == nil
}

// take takes an answer for the partition over, with the bytes of its records. An error lets go of the reader.
func (r *reader) take(b *sarama.FetchResponseBlock, answer *kafkawire.Memory) error {
	r.mu.Lock()
	from, replica := r.offset, r.replica
	r.mu.Unlock()
	switch {
	case errors.Is(b.Err, sarama.ErrOffsetOutOfRange) && replica >= 0:
		// A follower may lag behind what the leader has served; only the leader knows.
		r.leaveReplica()
		return errMoved
	case errors.Is(b.Err, sarama.ErrOffsetOutOfRange):
		return lane.ErrOffsetGone
	case !errors.Is(b.Err, sarama.ErrNoError):
		r.leaveReplica()
		return b.Err
	}
	c, err := unpack(r.tp, b, answer, from, r.committed)
	if err != nil {
		return err
	}
	r.newest.Store(b.HighWaterMarkOffset)
	r.heard.Store(time.Now().UnixNano())
	r.trouble.Store(nil)
	r.put(c)
	return r.choose(b.PreferredReadReplica)
}

// choose follows the leader's word about a replica nearby, and goes back to ask it again after a while: the replica may have fallen behind.
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
