package service

import (
	"cmp"
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	// connectsAtOnce is how many connections of one host begin together, and connectsASecond how many a second from
	// then on: others wait for it, none is turned away. An ingest makes one or two.
	connectsAtOnce  = 64
	connectsASecond = 256
	// silentAtOnce is how many calls of one host may be without their first message before others are looked at more
	// slowly, silentASecond a second. Ingests send theirs with the call.
	silentAtOnce  = 512
	silentASecond = 1000
)

// Credentials are c, nil for none, for connections that begin at a pace. A connection costs its handshake and
// more than 100 KB of buffers before its client has said anything, so a thousand that come together would stand before
// all that lanes wait for.
func (p *Pace) Credentials(c credentials.TransportCredentials) grpc.ServerOption {
	return grpc.Creds(&pacedHandshake{cmp.Or(c, insecure.NewCredentials())})
}

// pacedHandshake waits for the pace of the host before it shakes hands.
type pacedHandshake struct {
	credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (h *pacedHandshake) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if a, ok := raw.RemoteAddr().(*pacedAddr); ok && !a.conn.await() {
		return nil, nil, net.ErrClosed
	}
	return h.TransportCredentials.ServerHandshake(raw)
}

// Clone implements credentials.TransportCredentials.
func (h *pacedHandshake) Clone() credentials.TransportCredentials {
	return &pacedHandshake{h.TransportCredentials.Clone()}
}

// await waits until it is the connection's turn; false when it, or its listener, was closed before.
func (c *pacedConn) await() bool {
	rest := c.host.connects.Reserve().Delay()
	if rest < leastRest {
		return true
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.closed:
	case <-c.over:
	}
	return false
}

// Await says that a call awaits its first message, until end is called, once. Where a host has many that do, others of
// its calls are looked at more slowly. Calls over transports that no Pace listens to are none of it.
func Await(call context.Context) (end func()) {
	a := addressOf(call)
	if a == nil {
		return func() {}
	}
	silent := &a.conn.host.silent
	silent.Add(1)
	return func() { silent.Add(-1) }
}

type pacedListener struct {
	net.Listener
	pace *Pace

	once sync.Once
	over chan struct{}
}

// Accept implements net.Listener.
func (l *pacedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.pace.admits(conn.RemoteAddr()) {
			return newPacedConn(conn, l.pace.host(conn.RemoteAddr()), l.over), nil
		}
		_ = conn.Close() // whatever comes of it, the next is waited for
	}
}

// Close implements net.Listener. Connections that have not begun do not.
func (l *pacedListener) Close() error {
	l.once.Do(func() { close(l.over) })
	return l.Listener.Close()
}
