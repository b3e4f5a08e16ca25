package stack

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Delay is a relay whose responses are late: what comes back is held for a while and not slowed down.
type Delay struct {
	*Relay
	late atomic.Int64 // nanoseconds
}

// NewDelay listens on loopback for what goes to an address. Nothing is late at first.
func NewDelay(to string) (*Delay, error) {
	d := &Delay{}
	var err error
	d.Relay, err = NewRelay("127.0.0.1:0", to, func(ctx context.Context, near, far net.Conn) {
		Both(near, far, Copy, func(to, from net.Conn) { d.hold(ctx, to, from) })
	})
	return d, err
}

// Set makes what comes from now on late.
func (d *Delay) Set(late time.Duration) { d.late.Store(int64(late)) }

// chunk is bytes and when they are due.
type chunk struct {
	bytes []byte
	due   time.Time
}

// hold copies and holds what it copies. The queue is bounded by what fits into it: a relay for tests, of responses that
// are small.
func (d *Delay) hold(ctx context.Context, to, from net.Conn) {
	queue := make(chan chunk, 1<<14)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(queue)
		for {
			b := make([]byte, 16<<10)
			n, err := from.Read(b)
			if n > 0 {
				queue <- chunk{b[:n], time.Now().Add(time.Duration(d.late.Load()))}
			}
			if err != nil {
				return
			}
		}
	})
	defer reading.Wait()
	for c := range queue {
		_ = Pause(ctx, time.Until(c.due)) // a relay that is closed cannot write, which the next line sees
		if _, err := to.Write(c.bytes); err != nil {
			break
		}
	}
	for range queue { // the other end is gone: read on until the reader sees it
	}
}
