package source

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// endsEvery is how often the ends of partitions are asked for that no fetch has shown in the meantime.
const endsEvery = 3 * time.Second

// ends finds out where the partitions of a generation end. What fetches say is used where it is newer, so it asks for
// nothing while lanes read: only for partitions whose lanes wait, are refused, or are full. It asks each broker once
// for all of them, and one that does not respond holds up no other.
type ends struct {
	source *Source

	mu     sync.Mutex
	claims map[*claim]struct{}
	// pending are the brokers that have not responded yet.
	pending map[int32]bool
}

func newEnds(s *Source) *ends {
	return &ends{source: s, claims: make(map[*claim]struct{}), pending: make(map[int32]bool)}
}

func (e *ends) add(c *claim) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.claims[c] = struct{}{}
}

func (e *ends) remove(c *claim) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.claims, c)
}

// run asks until ctx ends. What it has asked by then is awaited by the source.
func (e *ends) run(ctx context.Context) {
	for Sleep(ctx, e.source.endsEvery) {
		// Looking a leader up may ask brokers that are away.
		if AwaitErr(ctx, &e.source.calls, func() error { e.round(ctx); return nil }) != nil {
			return
		}
	}
}

// round asks the leaders of the partitions whose end nothing has shown lately.
func (e *ends) round(ctx context.Context) {
	e.mu.Lock()
	claims := slices.Collect(maps.Keys(e.claims))
	e.mu.Unlock()
	byBroker := map[int32][]*claim{}
	brokers := map[int32]*sarama.Broker{}
	lost := map[string]bool{} // topics without a known leader: asking for each partition would take for ever
	since := time.Now().Add(-e.source.endsEvery).UnixNano()
	for _, c := range claims {
		if ctx.Err() != nil {
			return
		}
		if c.newestAt() > since || lost[c.tp.topic] {
			continue
		}
		b, err := e.source.control.Leader(c.tp.topic, c.tp.partition)
		if err != nil {
			lost[c.tp.topic] = true
			continue
		}
		byBroker[b.ID()], brokers[b.ID()] = append(byBroker[b.ID()], c), b
	}
	for id, claims := range byBroker {
		e.mu.Lock()
		busy := e.pending[id]
		e.pending[id] = true
		e.mu.Unlock()
		if busy {
			continue
		}
		e.source.calls.Go(func() {
			e.request(brokers[id], claims)
			e.mu.Lock()
			delete(e.pending, id)
			e.mu.Unlock()
		})
	}
}

// request gets from one broker the ends of the partitions that it leads.
func (e *ends) request(b *sarama.Broker, claims []*claim) {
	client := e.source.control
	request := sarama.NewOffsetRequest(client.Config().Version)
	for _, c := range claims {
		request.AddBlock(c.tp.topic, c.tp.partition, sarama.OffsetNewest, 1)
	}
	Connect(client, b)
	response, err := b.GetAvailableOffsets(request)
	if err != nil {
		_ = b.Close() // whoever looks the broker up next opens it again
	}
	moved := map[string]bool{}
	for _, c := range claims {
		var block *sarama.OffsetResponseBlock
		if err == nil {
			block = response.GetBlock(c.tp.topic, c.tp.partition)
		}
		switch {
		case block == nil:
			moved[c.tp.topic] = true
		case block.Err != sarama.ErrNoError:
			moved[c.tp.topic] = true
		default:
			c.ends(block.Offset)
		}
	}
	if len(moved) > 0 {
		_ = client.RefreshMetadata(slices.Collect(maps.Keys(moved))...) // the next round tells
	}
}

// outlook is what a claim knows of what lies before it.
type outlook struct {
	mu sync.Mutex
	// end is where the partition ends by the last response to ends, at is when that was, in nanoseconds since 1970; 0
	// before any.
	end, at int64
}

func (c *claim) ends(offset int64) {
	c.outlook.mu.Lock()
	defer c.outlook.mu.Unlock()
	c.outlook.end, c.outlook.at = offset, time.Now().UnixNano()
}

// newestAt is when a response last said where the partition ends.
func (c *claim) newestAt() int64 {
	c.outlook.mu.Lock()
	at := c.outlook.at
	c.outlook.mu.Unlock()
	if r := c.reader(); r != nil {
		at = max(at, r.newestAt.Load())
	}
	return at
}

func (c *claim) reader() *reader {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Behind implements lane.Partition.
func (c *claim) Behind(position int64) int64 {
	c.outlook.mu.Lock()
	end, at := c.outlook.end, c.outlook.at
	c.outlook.mu.Unlock()
	passed := position
	if r := c.reader(); r != nil {
		if known := r.newestAt.Load(); known >= at {
			end, at = r.newest.Load(), known
		}
		if given, level := r.level(); position >= given {
			passed = max(passed, level)
		}
	}
	if at == 0 {
		return -1
	}
	return max(0, end-passed)
}

// level is the offset after the last record that was handed over, and the one up to which there is no other: markers
// and records of aborted transactions lie between the two.
func (r *reader) level() (given, level int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count > 0 || r.dropped {
		return r.given, r.given
	}
	return r.given, r.offset
}

// Trouble implements lane.Partition.
func (c *claim) Trouble() string {
	if r := c.reader(); r != nil {
		if trouble := r.trouble.Load(); trouble != nil {
			return *trouble
		}
	}
	return ""
}

// unreadable says why a partition cannot be read, for people.
func unreadable(err error) string {
	text := "records cannot be read: "
	if errors.Is(err, sarama.ErrTopicAuthorizationFailed) {
		text += "grant READ on the topic to this principal: "
	}
	return text + err.Error()
}
