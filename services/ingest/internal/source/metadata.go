package source

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// leadership is who leads a partition, as a broker's metadata has it.
type leadership struct {
	// topic is the id of the topic, which tells it from another one of the same name (KIP-516, Kafka 2.8); zero where
	// brokers give none.
	topic sarama.Uuid
	// broker leads in this epoch; brokers are the addresses of all.
	broker  int32
	epoch   int32
	brokers map[int32]string
}

// address is where the leader listens.
func (l *leadership) address() (string, error) {
	if a, ok := l.brokers[l.broker]; ok {
		return a, nil
	}
	return "", sarama.ErrLeaderNotAvailable
}

// directory looks up who leads partitions, by way of a client of sarama's. Lookups of a topic share one request, and
// after each the topic rests for a while, so that lanes that begin by the thousand share those of a large topic.
type directory struct {
	client sarama.Client
	// calls are the requests under way, which know no context.
	calls *sync.WaitGroup

	mu      sync.Mutex
	topics  map[string]*topicView
	lookups map[string]*lookup
}

// topicView is a topic as of a request.
type topicView struct {
	requested  time.Time
	rests      time.Time // until then
	id         sarama.Uuid
	brokers    map[int32]string
	partitions map[int32]*sarama.PartitionMetadata
}

// lookup is a request under way. When done is closed requested says when it was sent, and err is set.
type lookup struct {
	requested time.Time
	done      chan struct{}
	err       error
}

// A topic rests for restTimes what the last lookup took, and mostRest at most. A lookup of thousands of partitions
// takes megabytes and tens of milliseconds, one of a few next to nothing.
const (
	restTimes = 4
	mostRest  = 100 * time.Millisecond
)

func newDirectory(client sarama.Client, calls *sync.WaitGroup) *directory {
	return &directory{
		client: client, calls: calls, topics: make(map[string]*topicView), lookups: make(map[string]*lookup),
	}
}

// leader looks a partition up. What it returns was asked for at since or later.
func (d *directory) leader(ctx context.Context, tp topicPartition, since time.Time) (leadership, error) {
	v, err := d.topic(ctx, tp.topic, since)
	if err != nil {
		return leadership{}, fmt.Errorf("look up the leader of %s/%d: %w", tp.topic, tp.partition, err)
	}
	p := v.partitions[tp.partition]
	switch {
	case p == nil:
		return leadership{}, sarama.ErrUnknownTopicOrPartition
	case p.Err != sarama.ErrNoError && p.Err != sarama.ErrReplicaNotAvailable: // which still has a leader
		return leadership{}, p.Err
	}
	return leadership{topic: v.id, broker: p.Leader, epoch: p.LeaderEpoch, brokers: v.brokers}, nil
}

// topic looks a topic up.
func (d *directory) topic(ctx context.Context, name string, since time.Time) (*topicView, error) {
	for {
		d.mu.Lock()
		if v := d.topics[name]; v != nil && !v.requested.Before(since) {
			d.mu.Unlock()
			return v, nil
		}
		l := d.lookups[name]
		if l == nil {
			var rest time.Duration
			if v := d.topics[name]; v != nil {
				rest = time.Until(v.rests)
			}
			l = &lookup{done: make(chan struct{})}
			d.lookups[name] = l
			d.calls.Go(func() { d.look(name, l, rest) })
		}
		d.mu.Unlock()
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if l.err != nil && !l.requested.Before(since) {
			return nil, l.err
		}
	}
}

// look makes a lookup's request after a rest.
func (d *directory) look(name string, l *lookup, rest time.Duration) {
	time.Sleep(rest)
	l.requested = time.Now()
	v, err := d.request(name)
	received := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.err = err; err == nil {
		v.requested = l.requested
		v.rests = received.Add(min(restTimes*received.Sub(l.requested), mostRest))
		d.topics[name] = v
	}
	delete(d.lookups, name)
	close(l.done)
}

func (d *directory) request(name string) (*topicView, error) {
	response, err := d.metadata(name)
	if err != nil {
		// sarama finds out which brokers live.
		if err := d.client.RefreshMetadata(name); err != nil {
			return nil, err
		}
		if response, err = d.metadata(name); err != nil {
			return nil, err
		}
	}
	if len(response.Topics) != 1 {
		return nil, sarama.ErrIncompleteResponse
	}
	t := response.Topics[0]
	if t.Err != sarama.ErrNoError && t.Err != sarama.ErrLeaderNotAvailable { // which is one of some partitions'
		return nil, t.Err
	}
	v := &topicView{id: t.Uuid, brokers: make(map[int32]string), partitions: make(map[int32]*sarama.PartitionMetadata)}
	for _, b := range response.Brokers {
		v.brokers[b.ID()] = b.Addr()
	}
	for _, p := range t.Partitions {
		v.partitions[p.ID] = p
	}
	return v, nil
}

func (d *directory) metadata(name string) (*sarama.MetadataResponse, error) {
	b, err := AnyBroker(d.client)
	if err != nil {
		return nil, err
	}
	response, err := b.GetMetadata(sarama.NewMetadataRequest(d.client.Config().Version, []string{name}))
	if err != nil {
		_ = b.Close()
	}
	return response, err
}
