package chaos

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/produce"
)

// load produces to one topic at a bounded rate, in short runs, so that Kafka can be restarted between two of them: a
// producer whose broker restarts under it may write a record twice, and then nobody could say how many bad ones there
// must be.
type load struct {
	seeds []string
	topic topic
	rate  float64
	mix   events.Config
	gate  *sync.RWMutex // held for writing while Kafka is away
	grown *atomic.Bool  // records have the new column

	mu    sync.Mutex
	sum   produce.Summary
	newer int64 // of the events: those with the new column
}

// run produces until ctx ends; what was begun is finished.
func (l *load) run(ctx context.Context) error {
	chunk := max(int64(l.rate), 1)
	for ctx.Err() == nil {
		l.gate.RLock()
		began := time.Now()
		one, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		grown := l.topic.grows && l.grown.Load()
		config := produce.Config{
			Seeds: l.seeds, Topic: l.topic.name, Events: chunk, First: uint64(l.made().Events), Rate: l.rate,
			Codec:     "none",
			Generator: l.mix,
		}
		if l.topic.event != nil {
			config.Event = func(dst []byte, index uint64) events.Event {
				return l.topic.event(l.mix.Seed, index, grown,
					dst)
			}
		}
		sum, err := produce.Run(one, config)
		cancel()
		l.gate.RUnlock()
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.sum.Events += sum.Events
		l.sum.Bytes += sum.Bytes
		l.sum.Truncated += sum.Truncated
		l.sum.UnknownTypes += sum.UnknownTypes
		if grown {
			l.newer += sum.Events
		}
		l.mu.Unlock()
		// The last chunk of a rate is a moment early; never faster than the rate.
		select {
		case <-time.After(time.Duration(float64(chunk)/l.rate*float64(time.Second)) - time.Since(began)):
		case <-ctx.Done():
		}
	}
	return nil
}

func (l *load) made() produce.Summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sum
}

// madeNewer is how many events have the new column.
func (l *load) madeNewer() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newer
}
