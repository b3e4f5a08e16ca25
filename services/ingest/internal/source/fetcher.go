package source

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
)

// fetchers fetch for some of the readers of one generation. Each broker has a fetcher with a connection of its own,
// which is there while it has readers.
type fetchers struct {
	// ctx ends what is under way.
	ctx     context.Context
	leaders *leaders
	config  *sarama.Config
	// running awaits the fetchers, and the readers that look for one.
	running *sync.WaitGroup
	// pace is the constant.
	pace time.Duration

	mu sync.Mutex
	// byBroker are they by the address of the broker; a fetcher is there until it ends.
	byBroker map[string]*fetcher
}

// fetcher fetches the partitions that one broker serves, many in a request, one request after the other. A reader
// that is full is left out of the requests, so it holds up nobody.
type fetcher struct {
	pool    *fetchers
	address string
	// readers are guarded by pool.mu.
	readers map[topicPartition]*reader
	// wake says that there may be something to ask for again.
	wake chan struct{}
	// conn is run's; nil until it is used and after an error.
	conn *kafkawire.Conn
}

func newFetchers(ctx context.Context, leaders *leaders, config *sarama.Config, running *sync.WaitGroup) *fetchers {
	return &fetchers{
		ctx: ctx, leaders: leaders, config: config, running: running, pace: pace, byBroker: make(map[string]*fetcher),
	}
}

// join lets a broker's fetcher fetch for a reader, until leave or until it releases the reader. From before the
// fetcher looks at the reader, the reader knows whom to wake. A reader that has been closed meanwhile is passed over:
// its partition may have another one by now.
func (p *fetchers) join(address string, r *reader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.closed() {
		return
	}
	f := p.byBroker[address]
	if f == nil {
		f = &fetcher{pool: p, address: address, readers: make(map[topicPartition]*reader), wake: make(chan struct{}, 1)}
		p.byBroker[address] = f
		p.running.Go(f.run)
	}
	r.fetcher.Store(f)
	f.readers[r.tp] = r
	f.poke()
}

// leave ends the fetching for a reader, and says whether there was any. What is under way for it is dropped by the
// reader.
func (p *fetchers) leave(r *reader) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := r.fetcher.Swap(nil)
	if f == nil {
		return false
	}
	delete(f.readers, r.tp)
	f.poke()
	return true
}

func (f *fetcher) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// pace is the pause after a response that leaves nothing behind at the broker. What trickles in then comes in fewer
// responses, each of which wakes a connection, readers and lanes. A response without records is followed at once, so
// a record that comes alone waits for nothing.
const pace = 20 * time.Millisecond

// run fetches until nobody reads.
func (f *fetcher) run() {
	timer := time.NewTimer(f.pool.pace)
	defer timer.Stop()
	defer f.disconnect()
	round := fetchRound{readers: make(map[topicPartition]*reader)}
	for f.plan(&round) {
		if len(round.readers) == 0 {
			<-f.wake // a reader that leaves wakes, too
			continue
		}
		if err := f.fetch(&round); err != nil {
			f.disconnect()
			f.releaseAll(err)
			continue
		}
		if f.deliver(&round) {
			timer.Reset(f.pool.pace)
			select {
			case <-timer.C:
			case <-f.wake: // a reader came or went, or has room again
			}
		}
	}
}

// fetchRound is a request and who asks. Its memory is that of the round before.
type fetchRound struct {
	request  kmsg.FetchRequest
	response kafkawire.FetchResponse
	readers  map[topicPartition]*reader
	// names are the topics of the request by their ids.
	names map[sarama.Uuid]string
}

// plan makes the next request: for what the readers want, if any of them has room. It is false when there are none
// left, and the fetcher is gone.
func (f *fetcher) plan(round *fetchRound) bool {
	c, spare := f.pool.config, round.request.Topics // whose memory is used again
	// Without a fetch session (KIP-227): each request names all its partitions.
	round.request = kmsg.NewFetchRequest()
	round.request.Version, round.request.Rack = kafkawire.FetchOldest, c.RackID
	round.request.IsolationLevel = int8(c.Consumer.IsolationLevel)
	round.request.MinBytes, round.request.MaxBytes = c.Consumer.Fetch.Min, c.Consumer.Fetch.MaxBytes
	clear(round.readers)
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	if len(f.readers) == 0 {
		delete(f.pool.byBroker, f.address)
		return false
	}
	// In no order: which partition comes first in a request decides which is served when they do not all fit (KIP-74).
	topics := make(map[sarama.Uuid]map[string]int)
	for tp, r := range f.readers {
		w, ok := r.wants()
		if !ok {
			continue
		}
		at, ok := topics[w.topic][tp.topic]
		if !ok {
			if at = len(round.request.Topics); topics[w.topic] == nil {
				topics[w.topic] = make(map[string]int)
			}
			topics[w.topic][tp.topic] = at
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = tp.topic, w.topic
			if at < len(spare) {
				t.Partitions = spare[at].Partitions[:0]
			}
			round.request.Topics = append(round.request.Topics, t)
		}
		t := &round.request.Topics[at]
		t.Partitions = append(t.Partitions, w.request(tp.partition))
		round.readers[tp] = r
	}
	round.request.MaxWaitMillis = int32(longPoll(len(f.readers), len(f.readers)-len(round.readers)) / time.Millisecond)
	return true
}

// fetch makes the request of a round.
func (f *fetcher) fetch(round *fetchRound) error {
	ctx := f.pool.ctx
	if f.conn == nil {
		conn, err := f.pool.leaders.dialer.Dial(ctx, f.address)
		if err != nil {
			return err
		}
		f.conn = conn
	}
	newest := int16(kafkawire.FetchNewest)
	round.names = make(map[sarama.Uuid]string, len(round.request.Topics))
	for _, t := range round.request.Topics {
		if round.names[t.TopicID] = t.Topic; t.TopicID == [16]byte{} {
			newest = kafkawire.FetchByName
		}
	}
	if err := f.conn.Speak(&round.request, newest); err != nil {
		return err
	}
	err := f.conn.Fetch(ctx, &round.request, &round.response)
	if code := round.response.ErrorCode; err == nil && code != 0 {
		err = sarama.KError(code)
	}
	return err
}

// deliver hands a response to the readers. paced says that it brought something and left nothing behind at the broker.
func (f *fetcher) deliver(round *fetchRound) (paced bool) {
	var passed, behind int64
	for i := range round.response.Partitions {
		part := &round.response.Partitions[i]
		topic := part.Topic
		if round.request.Version > kafkawire.FetchByName {
			topic = round.names[part.TopicID]
		}
		tp := topicPartition{topic, part.Partition}
		r := round.readers[tp]
		if r == nil {
			part.Records.Release(1)
			continue
		}
		delete(round.readers, tp) // one that was released is another fetcher's, whatever else the response says
		from, _ := r.progress()
		if err := r.take(part); err != nil {
			f.release(r, err)
			continue
		}
		to, left := r.progress()
		passed, behind = passed+to-from, behind+left
	}
	return passed > 0 && behind == 0
}

func (f *fetcher) disconnect() {
	if f.conn != nil {
		_ = f.conn.Close()
		f.conn = nil
	}
}

// release gives a reader up, which looks for a broker by why. One that was closed meanwhile has left by itself.
func (f *fetcher) release(r *reader, why error) {
	if f.pool.leave(r) {
		f.pool.running.Go(func() { r.follow(why) })
	}
}

// releaseAll releases all readers.
func (f *fetcher) releaseAll(err error) {
	f.pool.mu.Lock()
	readers := make([]*reader, 0, len(f.readers))
	for _, r := range f.readers {
		readers = append(readers, r)
	}
	f.pool.mu.Unlock()
	for _, r := range readers {
		f.release(r, err)
	}
}

// errStopped says that the generation is over.
var errStopped = errors.New("the generation is over")
