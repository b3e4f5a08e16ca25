package chaos

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// relay is a TCP proxy that can make its connections half-open: both ends think that they are connected, and nothing
// passes any more.
type relay struct {
	listener net.Listener
	to       string
	wait     sync.WaitGroup

	mu     sync.Mutex
	pairs  map[*pair]struct{}
	held   bool
	closed bool
}

// pair is one connection through the relay. What arrives while it is dead vanishes, so it can never be revived, only
// closed.
type pair struct {
	in, out net.Conn
	dead    chan struct{}
}

// newRelay listens at an address, for what goes to another one.
func newRelay(at, to string) (*relay, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", at)
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, to: to, pairs: map[*pair]struct{}{}}
	r.wait.Go(r.accept)
	return r, nil
}

func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) accept() {
	for {
		in, err := r.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		r.wait.Go(func() { r.carry(in) })
	}
}

func (r *relay) carry(in net.Conn) {
	defer in.Close()
	out, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(context.Background(), "tcp", r.to)
	if err != nil {
		return
	}
	defer out.Close()
	p := &pair{in, out, make(chan struct{})}
	r.mu.Lock()
	if r.held || r.closed {
		r.mu.Unlock()
		return
	}
	r.pairs[p] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.pairs, p)
		r.mu.Unlock()
	}()
	var both sync.WaitGroup
	both.Go(func() { p.copy(out, in) })
	both.Go(func() { p.copy(in, out) })
	both.Wait()
}

// copy passes bytes on until an end closes. A dead pair goes on reading, so that neither end notices by a full buffer,
// and hides the end of one side from the other.
func (p *pair) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-p.dead:
			if err != nil {
				return
			}
			continue
		default:
		}
		if err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			p.in.Close()
			p.out.Close()
			return
		}
	}
}

// swallow makes all connections of now half-open and returns what closes those that are left.
func (r *relay) swallow() (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var dead []*pair
	for p := range r.pairs {
		select {
		case <-p.dead:
		default:
			close(p.dead)
			dead = append(dead, p)
		}
	}
	return func() {
		for _, p := range dead {
			p.in.Close()
			p.out.Close()
		}
	}
}

// hold lets no new connection through, and cuts those there are, until release.
func (r *relay) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = true
	r.cut()
}

func (r *relay) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = false
}

func (r *relay) cut() {
	for p := range r.pairs {
		p.in.Close()
		p.out.Close()
	}
}

// close ends everything and waits for it.
func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	r.listener.Close()
	r.cut()
	r.mu.Unlock()
	r.wait.Wait()
}

// layOutRelays puts a relay in front of each writer, and between it and BigQuery one that can be late.
func (r *run) layOutRelays() error {
	bigquery := r.relays[r.stack.Endpoints.BigQueryGRPC].addr()
	for i, w := range r.stack.Writers {
		one, err := newRelay(r.names.at(i), w.GRPC)
		if err != nil {
			return err
		}
		r.relays[w.GRPC] = one
		late, err := stack.NewDelay(bigquery)
		if err != nil {
			return err
		}
		r.late = append(r.late, late)
		if err := w.Redial(bigquery, late.Addr()); err != nil {
			return err
		}
	}
	return nil
}
