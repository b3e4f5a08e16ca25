package chaos

import (
	"context"
	"net"
	"sync"

	"github.com/waybill-data/waybill/e2e/stack"
)

// relay can make its connections half-open: both ends think that they are connected, and nothing passes any more.
type relay struct {
	*stack.Relay

	mu    sync.Mutex
	pairs map[*pair]struct{}
	held  bool
}

// pair is one connection through the relay. What arrives while it is dead vanishes, so it can never be revived, only
// closed.
type pair struct {
	in, out net.Conn
	dead    chan struct{}
}

// newRelay listens at an address, for what goes to another one.
func newRelay(at, to string) (*relay, error) {
	r := &relay{pairs: map[*pair]struct{}{}}
	var err error
	r.Relay, err = stack.NewRelay(at, to, r.carry)
	return r, err
}

func (r *relay) carry(_ context.Context, in, out net.Conn) {
	p := &pair{in, out, make(chan struct{})}
	if !r.enter(p) {
		return
	}
	defer r.leave(p)
	var both sync.WaitGroup
	both.Go(func() { p.copy(out, in) })
	both.Go(func() { p.copy(in, out) })
	both.Wait()
}

// enter says whether the connection may be; leave forgets it.
func (r *relay) enter(p *pair) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.held {
		r.pairs[p] = struct{}{}
	}
	return !r.held
}

func (r *relay) leave(p *pair) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pairs, p)
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
			p.close()
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
			p.close()
		}
	}
}

// hold lets no new connection through, and cuts those there are, until release.
func (r *relay) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = true
	for p := range r.pairs {
		p.close()
	}
}

func (r *relay) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = false
}

func (p *pair) close() {
	p.in.Close()
	p.out.Close()
}

// layOutRelays puts a relay in front of each writer, and between it and BigQuery one that can be late.
func (r *run) layOutRelays() error {
	bigquery := r.relays[r.stack.Endpoints.BigQueryGRPC].Addr()
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
