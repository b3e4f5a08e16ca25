package source

import (
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
)

// fetchers fetch for the readers of one client in one generation. Each broker has a fetcher, which is there while it has readers.
type fetchers struct {
	client *dataClient
	config *sarama.Config
	// running awaits the fetchers.
	running *sync.WaitGroup

	mu       sync.Mutex
	byBroker map[int32]*fetcher
}

// fetcher fetches the partitions that one broker leads, many in a request, one request after the other. A reader that is full is left out of
// the requests, so it holds up nobody.
type fetcher struct {
	pool   *fetchers
	broker *sarama.Broker
	// readers are guarded by pool.mu.
	readers map[topicPartition]*reader
	// wake says that there may be something to ask for again.
	wake chan struct{}
}

func newFetchers(client *dataClient, config *sarama.Config, running *sync.WaitGroup) *fetchers {
	return &fetchers{client: client, config: config, running: running, byBroker: make(map[int32]*fetcher)}
}

// join lets a broker's fetcher fetch for a reader, until leave or until it lets go of the reader.
func (p *fetchers) join(broker *sarama.Broker, r *reader) *fetcher {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.byBroker[broker.ID()]
	if f == nil || f.broker != broker { // the broker has another address now
		f = &fetcher{pool: p, broker: broker, readers: make(map[topicPartition]*reader), wake: make(chan struct{}, 1)}
		p.byBroker[broker.ID()] = f
		p.running.Go(f.run)
	}
	f.readers[r.tp] = r
	f.poke()
	return f
}

// leave ends the fetching for a reader. What is under way for it is dropped by the reader.
func (f *fetcher) leave(r *reader) {
	f.pool.mu.Lock()
	if f.readers[r.tp] == r {
		delete(f.readers, r.tp)
	}
	f.pool.mu.Unlock()
	f.poke()
}

func (f *fetcher) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// pace is the pause after an answer that leaves nothing behind at the broker. What trickles in then comes in fewer answers, each of which wakes
// a connection, readers and lanes. An answer without records is followed at once, so a record that comes alone waits for nothing.
const pace = 20 * time.Millisecond

// run fetches until nobody reads.
func (f *fetcher) run() {
	timer := time.NewTimer(pace)
	defer timer.Stop()
	var asked []*reader
	for {
		request, more := f.request(&asked)
		if !more {
			return
		}
		if len(asked) == 0 {
			<-f.wake
			continue
		}
		response, records, err := f.pool.client.fetch(f.broker, request)
		if err != nil {
			// The connection may be in any state; whoever looks the broker up next opens a new one.
			_ = f.broker.Close()
			for _, r := range asked {
				f.release(r, err)
			}
			f.releaseAll(err)
			continue
		}
		var passed, behind int64
		for _, r := range asked {
			block := response.GetBlock(r.tp.topic, r.tp.partition)
			if block == nil { // the broker throttles
				continue
			}
			from, _ := r.progress()
			if err := r.take(block, records.Records(r.tp.topic, r.tp.partition)); err != nil {
				f.release(r, err)
				continue
			}
			to, left := r.progress()
			passed, behind = passed+to-from, behind+left
		}
		clear(asked)
		if passed > 0 && behind == 0 {
			timer.Reset(pace)
			select {
			case <-timer.C:
			case <-f.wake: // a reader came or went, or has room again
			}
		}
	}
}

// release lets go of a reader and tells it why.
func (f *fetcher) release(r *reader, err error) {
	f.leave(r)
	select {
	case r.released <- err:
	default:
	}
}

// releaseAll lets go of the readers that asked for nothing.
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

// request asks for what the readers want; more is false when there are none left, and the fetcher with them.
func (f *fetcher) request(asked *[]*reader) (_ *sarama.FetchRequest, more bool) {
	c := f.pool.config
	request := &sarama.FetchRequest{
		Version: kafkawire.FetchVersion, MinBytes: c.Consumer.Fetch.Min,
		MaxBytes: c.Consumer.Fetch.MaxBytes, Isolation: c.Consumer.IsolationLevel, RackID: c.RackID,
		SessionEpoch: noSession,
	}
	*asked = (*asked)[:0]
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	if len(f.readers) == 0 {
		if f.pool.byBroker[f.broker.ID()] == f {
			delete(f.pool.byBroker, f.broker.ID())
		}
		return nil, false
	}
	// In no order: which partition comes first in a request decides which is served when they do not all fit (KIP-74).
	for tp, r := range f.readers {
		if w, ok := r.wants(); ok {
			request.AddBlock(tp.topic, tp.partition, w.offset, w.bytes, w.epoch)
			*asked = append(*asked, r)
		}
	}
	request.MaxWaitTime = int32(longPoll(len(f.readers), len(f.readers)-len(*asked)) / time.Millisecond)
	return request, true
}
