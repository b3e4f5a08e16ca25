package fleet

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// throttle is a relay that lets only so many bytes a second through to what is behind it, over all connections: it
// makes a process as fast as it says.
type throttle struct {
	*stack.Relay
	rate   atomic.Int64 // bytes a second; 0: all
	passed atomic.Int64

	mu   sync.Mutex
	next time.Time // when the next bytes may go
}

// held is how much a relay may hold back in the system's buffers: what waits there a lane takes for sent.
const held = 16 << 10

func newThrottle(to string) (*throttle, error) {
	t := &throttle{}
	var err error
	t.Relay, err = stack.NewRelay("127.0.0.1:0", to, func(ctx context.Context, near, far net.Conn) {
		if c, ok := near.(*net.TCPConn); ok {
			_ = c.SetReadBuffer(held) // it is no less right without, only later
		}
		stack.Both(near, far, func(to, from net.Conn) { t.slowly(ctx, to, from) }, stack.Copy)
	})
	return t, err
}

func (t *throttle) slowly(ctx context.Context, to, from net.Conn) {
	b := make([]byte, held/4)
	for {
		n, err := from.Read(b)
		t.passed.Add(int64(n))
		_ = stack.Pause(ctx, t.turn(n)) // a relay that is closed cannot write, which the next line sees
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
