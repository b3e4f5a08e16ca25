package source

import (
	"net"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// doorway is an address of a broker that comes and goes. It is held all the time: a port that is released may be
// another program's at once. While no broker is behind it, connections end as soon as they are made.
type doorway struct {
	net.Listener

	mu   sync.Mutex
	room *room // the broker's; nil while there is none
}

func newDoorway(t *testing.T) *doorway {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &doorway{Listener: l}
	var serving sync.WaitGroup
	serving.Go(d.serve)
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return d
}

func (d *doorway) serve() {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return // closed
		}
		d.mu.Lock()
		r := d.room
		d.mu.Unlock()
		if r == nil || !r.enters(conn) {
			_ = conn.Close()
		}
	}
}

// leadsTo has the next broker listen here.
func (d *doorway) leadsTo() kfake.Opt {
	return kfake.ListenFn(func(string, string) (net.Listener, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.room = &room{doorway: d, conns: make(chan net.Conn), closed: make(chan struct{})}
		return d.room, nil
	})
}

// room is the listener of one broker.
type room struct {
	*doorway
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (r *room) enters(conn net.Conn) bool {
	select {
	case r.conns <- conn:
		return true
	case <-r.closed:
		return false
	}
}

func (r *room) Accept() (net.Conn, error) {
	select {
	case conn := <-r.conns:
		return conn, nil
	case <-r.closed:
		return nil, net.ErrClosed
	}
}

func (r *room) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}
