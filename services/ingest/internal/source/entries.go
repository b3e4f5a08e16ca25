package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
)

// steeringSuffix makes the name of the group whose offset commits keep what operators have said of partitions.
const steeringSuffix = "-steering"

// Entries keeps what operators have said of partitions as offset commits of a group that has no members, for every
// member of ours to see. It has a client of its own: on that of the commits they would wait for each other. Close it.
type Entries struct {
	kafka   Kafka
	name    string         // of the group
	denied  error          // what a refusal is
	backlog sync.WaitGroup // calls of sarama's that their callers may have left

	mu      sync.Mutex
	offsets *offsets // nil before the first use
	lanes   *offsets // of the group of the lanes, on the same client
	closed  bool
}

// NewEntries does not connect yet.
func NewEntries(config Config) *Entries {
	return &Entries{kafka: config.Kafka, name: config.Kafka.Group + steeringSuffix, denied: pauses.ErrRefused}
}

// NewPlan is for what a replay keeps in a group, instead of what operators have said.
func NewPlan(config Config, group string) *Entries {
	return &Entries{kafka: config.Kafka, name: group, denied: ErrPlanRefused}
}

// ErrPlanRefused says that the plan of a replay may not be read or written.
var ErrPlanRefused = errors.New("the plan of the replay cannot be kept")

// Group is where they are kept.
func (w *Entries) Group() string { return w.name }

// open returns the client, and counts a call of it.
func (w *Entries) open() (*offsets, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, sarama.ErrClosedClient
	}
	if w.offsets == nil {
		base, err := w.kafka.ClientConfig()
		if err != nil {
			return nil, err
		}
		client, err := sarama.NewClient(w.kafka.Brokers, base)
		if err != nil {
			return nil, err
		}
		w.offsets = &offsets{client: client, group: w.Group()}
		w.lanes = &offsets{client: client, group: w.kafka.Group}
	}
	w.backlog.Add(1)
	return w.offsets, nil
}

// Close ends the client. Calls under way end with an error.
func (w *Entries) Close() {
	w.mu.Lock()
	w.closed = true
	o := w.offsets
	w.mu.Unlock()
	if o != nil {
		_ = o.client.Close() // only ErrClosedClient
	}
	w.backlog.Wait()
}

// Read returns what is kept. The error is pauses.ErrRefused when this principal may not.
func (w *Entries) Read(ctx context.Context) (map[pauses.Lane]string, error) {
	o, err := w.open()
	if err != nil {
		return nil, Explain(err)
	}
	defer w.backlog.Done()
	return Await(ctx, &w.backlog, func() (map[pauses.Lane]string, error) {
		out, err := o.all()
		return out, w.refused(err)
	})
}

// Write keeps entries. What failed may have been written for some of the partitions.
func (w *Entries) Write(ctx context.Context, entries map[pauses.Lane]string) error {
	o, err := w.open()
	if err != nil {
		return Explain(err)
	}
	defer w.backlog.Done()
	return AwaitErr(ctx, &w.backlog, func() error {
		pairs := make(map[topicPartition]*handed, len(entries))
		for l, text := range entries {
			pairs[topicPartition{l.Topic, l.Partition}] = &handed{Pair: lane.Pair{Checkpoint: text}}
		}
		// The coordinator may have moved, or the connection have rested: tried twice. The entries are the same.
		for attempt := 1; ; attempt++ {
			failed := o.commit(member{generation: -1}, pairs)
			var errs []error
			for tp, err := range failed {
				errs = append(errs, fmt.Errorf("%s/%d: %w", tp.topic, tp.partition, err))
			}
			if len(errs) == 0 || attempt == 2 {
				return w.refused(errors.Join(errs[:min(len(errs), 3)]...))
			}
		}
	})
}

// refused explains an error, and tells those that only an operator can mend.
func (w *Entries) refused(err error) error {
	if err == nil {
		return nil
	}
	var fault *refusedError
	if errors.As(judge(err), &fault) || errors.As(err, &fault) {
		return fmt.Errorf(
			"%w of group %s: %w; grant READ on that group to this principal",
			w.denied,
			w.Group(),
			err,
		)
	}
	return fmt.Errorf("group %s: %w", w.Group(), Explain(err))
}

// Partitions lists those of a topic. errors.Is(err, ErrNoTopic) when there is none.
func (w *Entries) Partitions(ctx context.Context, topic string) ([]int32, error) {
	o, err := w.open()
	if err != nil {
		return nil, Explain(err)
	}
	defer w.backlog.Done()
	return Await(ctx, &w.backlog, func() ([]int32, error) {
		if err := o.client.RefreshMetadata(topic); err != nil && !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return nil, Explain(err)
		}
		partitions, err := o.client.Partitions(topic)
		if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return nil, ErrNoTopic
		}
		return slices.Sorted(slices.Values(partitions)), Explain(err)
	})
}

// Committed reads the position that the group of the lanes, and not this one, has committed for a partition; -1 where
// it has none.
func (w *Entries) Committed(ctx context.Context, l pauses.Lane) (int64, error) {
	if _, err := w.open(); err != nil {
		return 0, Explain(err)
	}
	defer w.backlog.Done()
	read, err := Await(ctx, &w.backlog, func() (lane.Pair, error) {
		return w.lanes.fetch(topicPartition{l.Topic, l.Partition})
	})
	if errors.Is(err, sarama.ErrGroupIDNotFound) {
		return -1, nil // as some brokers put it
	}
	return read.Position, Explain(err)
}

// End asks the leader of a partition where that ends: the offset of the next record.
func (w *Entries) End(ctx context.Context, l pauses.Lane) (int64, error) {
	o, err := w.open()
	if err != nil {
		return 0, Explain(err)
	}
	defer w.backlog.Done()
	end, err := Await(ctx, &w.backlog, func() (int64, error) {
		return o.client.GetOffset(l.Topic, l.Partition, sarama.OffsetNewest)
	})
	return end, Explain(err)
}

// all reads the metadata of all commits of the group.
func (o *offsets) all() (map[pauses.Lane]string, error) {
	blocks, err := o.blocks()
	if err != nil {
		return nil, err
	}
	out := make(map[pauses.Lane]string)
	for topic, partitions := range blocks {
		for p, block := range partitions {
			if block.Err == sarama.ErrNoError && block.Metadata != "" {
				out[pauses.Lane{Topic: topic, Partition: p}] = block.Metadata
			}
		}
	}
	return out, nil
}

// blocks reads all commits of the group, by topic and partition.
func (o *offsets) blocks() (map[string]map[int32]*sarama.OffsetFetchResponseBlock, error) {
	resp, err := roundTrip(o, func(b *sarama.Broker) (*sarama.OffsetFetchResponse, error) {
		return b.FetchOffset(sarama.NewOffsetFetchRequest(o.client.Config().Version, o.group, nil))
	})
	if err != nil {
		return nil, err
	}
	switch code := resp.GroupError(); code {
	case sarama.ErrNoError:
	case sarama.ErrGroupIDNotFound: // nothing was ever kept
		return nil, nil
	default:
		if coordinatorMoved(code) {
			o.lost.Store(true)
		}
		return nil, code
	}
	if len(resp.Groups) > 0 {
		return resp.Groups[0].Blocks, nil
	}
	return resp.Blocks, nil
}
