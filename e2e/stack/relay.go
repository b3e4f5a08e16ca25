package stack

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Relay stands on loopback in front of an address, and carries connections to it in a way of its own: late, slowly, not
// at all.
type Relay struct {
	listener net.Listener
	to       string
	carry    func(ctx context.Context, near, far net.Conn)
	served   sync.WaitGroup
	ctx      context.Context // of all connections: the relay is their scope
	cancel   context.CancelFunc
}

// NewRelay listens at an address, host:port, for what goes to another one. carry has both ends of one connection, near
// that of whoever connected, and returns when nothing is to pass any more; then they are closed, and before that when
// the relay is.
func NewRelay(at, to string, carry func(ctx context.Context, near, far net.Conn)) (*Relay, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", at)
	if err != nil {
		return nil, err
	}
	r := &Relay{listener: l, to: to, carry: carry}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.served.Go(r.serve)
	return r, nil
}

// Addr is where it listens.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Close ends everything and waits for it.
func (r *Relay) Close() {
	r.cancel()
	r.listener.Close()
	r.served.Wait()
}

func (r *Relay) serve() {
	for {
		near, err := r.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err == nil:
			r.served.Go(func() { r.connect(near) })
		}
	}
}

func (r *Relay) connect(near net.Conn) {
	defer near.Close()
	far, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(r.ctx, "tcp", r.to)
	if err != nil {
		return
	}
	defer far.Close()
	stop := context.AfterFunc(r.ctx, func() { near.Close(); far.Close() })
	defer stop()
	r.carry(r.ctx, near, far)
}

// Both carries requests and responses at once. Each returns when an end has closed, and the end that it wrote to is
// closed behind it.
func Both(near, far net.Conn, requests, responses func(to, from net.Conn)) {
	var both sync.WaitGroup
	both.Go(func() {
		requests(far, near)
		far.Close()
	})
	both.Go(func() {
		responses(near, far)
		near.Close()
	})
	both.Wait()
}

// Copy carries bytes as they come, until an end closes.
func Copy(to, from net.Conn) {
	_, _ = io.Copy(to, from) // how it ends shows at both ends
}
