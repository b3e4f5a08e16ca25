package service

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/peer"
)

const (
	// strangersASecond is how many bytes a second are read from those connections of a host that carry nothing, and
	// strangersAtOnce how many at once. An Open is some kilobytes, 1 MiB at most.
	strangersASecond = 16 << 20
	strangersAtOnce  = 8 << 20
	// strangersRead is how much of such a connection is read at once, in bytes: what others of its host wait for.
	strangersRead = 16 << 10
)

// Carry says that the connection of a call carries something that is worth its bytes, until end is called, once: it is
// read as fast as it comes. Until then it is one of strangers, of which a host has strangersASecond. Calls over
// transports that no Pace listens to are none of it.
func Carry(ctx context.Context) (end func()) {
	a := addressOf(ctx)
	if a == nil {
		return func() {}
	}
	a.carries.Add(1)
	select {
	case a.known <- struct{}{}:
	default:
	}
	return func() { a.carries.Add(-1) }
}

// addressOf is where a call comes from, nil over a transport that no Pace listens to.
func addressOf(call context.Context) *pacedAddr {
	if p, ok := peer.FromContext(call); ok {
		a, _ := p.Addr.(*pacedAddr)
		return a
	}
	return nil
}

// pacedConn is a connection whose address gRPC shows to begin. One goroutine at a time reads it.
//
// Whatever a stranger sends is memory that has to be found, filled and collected, also when nothing comes of it. So the
// connections of a host that carry no lane are read at a pace, a little of each at a time.
type pacedConn struct {
	net.Conn
	from *pacedAddr
	host *pacedHost
	// rests is until when nothing more is read.
	rests time.Time

	once   sync.Once
	closed chan struct{}
	// over is closed when no connection may begin any more.
	over <-chan struct{}
}

// pacedAddr is the address of a caller, and the connection to close.
type pacedAddr struct {
	net.Addr
	conn    *pacedConn
	refused atomic.Int64
	// carries is for how many calls Carry was called; known receives when that is news.
	carries atomic.Int64
	known   chan struct{}
}

func newPacedConn(conn net.Conn, host *pacedHost, over <-chan struct{}) *pacedConn {
	c := &pacedConn{Conn: conn, host: host, closed: make(chan struct{}), over: over}
	c.from = &pacedAddr{Addr: conn.RemoteAddr(), conn: c, known: make(chan struct{}, 1)}
	return c
}

// RemoteAddr implements net.Conn.
func (c *pacedConn) RemoteAddr() net.Addr { return c.from }

// Close implements net.Conn.
func (c *pacedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// Read implements net.Conn. What it has read is the caller's at once; the next call waits.
func (c *pacedConn) Read(b []byte) (int, error) {
	c.rest()
	if c.from.carries.Load() > 0 {
		return c.Conn.Read(b)
	}
	n, err := c.Conn.Read(b[:min(len(b), strangersRead)])
	if n > 0 {
		now := time.Now()
		if rest := c.host.strangers.ReserveN(now, n).DelayFrom(now); rest >= leastRest {
			c.rests = now.Add(rest)
		}
	}
	return n, err
}

// rest waits until the connection may be read, carries something, or is closed.
func (c *pacedConn) rest() {
	if c.rests.IsZero() {
		return
	}
	timer := time.NewTimer(time.Until(c.rests))
	defer timer.Stop()
	for c.from.carries.Load() == 0 {
		select {
		case <-c.from.known: // or it was, and is no more
			continue
		case <-timer.C:
		case <-c.closed:
		}
		break
	}
	c.rests = time.Time{}
}
