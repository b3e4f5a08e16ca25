package stack

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Delay is a relay whose responses are late: what comes back is held for a while and not slowed down.
type Delay struct {
	listener net.Listener
	behind   string
	late     atomic.Int64 // nanoseconds
	served   sync.WaitGroup
	ctx      context.Context
	cancel   context.CancelFunc
}

// NewDelay listens on loopback for what goes to an address. Nothing is late at first.
func NewDelay(behind string) (*Delay, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &Delay{listener: l, behind: behind}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.served.Go(d.serve)
	return d, nil
}

// Addr is where it listens.
func (d *Delay) Addr() string { return d.listener.Addr().String() }

// Set makes what comes from now on late.
func (d *Delay) Set(late time.Duration) { d.late.Store(int64(late)) }

// Close ends everything and waits for it.
func (d *Delay) Close() {
	d.cancel()
	d.listener.Close()
	d.served.Wait()
}

func (d *Delay) serve() {
	for {
		near, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.served.Go(func() { d.relay(near) })
	}
}

func (d *Delay) relay(near net.Conn) {
	far, err := new(net.Dialer).DialContext(d.ctx, "tcp", d.behind)
	if err != nil {
		near.Close()
		return
	}
	stop := context.AfterFunc(d.ctx, func() { near.Close(); far.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(far, near) // how it ends shows at both ends
		far.Close()
	})
	both.Go(func() {
		d.hold(near, far)
		near.Close()
	})
	both.Wait()
}

// chunk is bytes and when they are due.
type chunk struct {
	bytes []byte
	due   time.Time
}

// hold copies and holds what it copies. The queue is bounded by what fits into it: a relay for tests, of responses that
// are small.
func (d *Delay) hold(to io.Writer, from io.Reader) {
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
		if wait := time.Until(c.due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-d.ctx.Done():
			}
		}
		if _, err := to.Write(c.bytes); err != nil {
			break
		}
	}
	for range queue { // the other end is gone: read on until the reader sees it
	}
}
