package fleet

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// throttle is a relay that lets only so many bytes a second through to what is behind it, over all connections: it
// makes a process as fast as it says.
type throttle struct {
	listener net.Listener
	behind   string
	rate     atomic.Int64 // bytes a second; 0: all
	passed   atomic.Int64
	served   sync.WaitGroup
	ctx      context.Context
	cancel   context.CancelFunc

	mu   sync.Mutex
	next time.Time // when the next bytes may go
}

func newThrottle(behind string) (*throttle, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &throttle{listener: l, behind: behind}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.served.Go(t.serve)
	return t, nil
}

func (t *throttle) addr() string { return t.listener.Addr().String() }

func (t *throttle) close() {
	t.cancel()
	t.listener.Close()
	t.served.Wait()
}

func (t *throttle) serve() {
	for {
		near, err := t.listener.Accept()
		if err != nil {
			return
		}
		t.served.Go(func() { t.relay(near) })
	}
}

// held is how much a relay may hold back in the system's buffers: what waits there a lane takes for sent.
const held = 16 << 10

func (t *throttle) relay(near net.Conn) {
	defer near.Close()
	far, err := new(net.Dialer).DialContext(t.ctx, "tcp", t.behind)
	if err != nil {
		return
	}
	defer far.Close()
	if c, ok := near.(*net.TCPConn); ok {
		_ = c.SetReadBuffer(held) // it is no less right without, only later
	}
	stop := context.AfterFunc(t.ctx, func() { near.Close(); far.Close() })
	defer stop()
	var both sync.WaitGroup
	defer both.Wait()
	both.Go(func() {
		t.slowly(far, near)
		far.Close()
	})
	responses := make([]byte, held)
	for {
		n, err := far.Read(responses)
		if _, e := near.Write(responses[:n]); e != nil || err != nil {
			near.Close()
			return
		}
	}
}

func (t *throttle) slowly(to, from net.Conn) {
	b := make([]byte, held/4)
	for {
		n, err := from.Read(b)
		t.passed.Add(int64(n))
		if wait := t.turn(n); wait > 0 {
			select {
			case <-time.After(wait):
			case <-t.ctx.Done():
			}
		}
		if _, e := to.Write(b[:n]); e != nil || err != nil {
			return
		}
	}
}

// turn is how long bytes have to wait. What was not used in the last half second is lost: a busy machine wakes whoever
// waits late.
func (t *throttle) turn(n int) time.Duration {
	rate := t.rate.Load()
	if rate <= 0 {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.next = later(t.next, now.Add(-500*time.Millisecond)).Add(time.Duration(n) * time.Second / time.Duration(rate))
	return t.next.Sub(now)
}
