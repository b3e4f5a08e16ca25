package sink

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cloud.google.com/go/bigquery/storage/apiv1"
	"google.golang.org/api/option"
)

// callsPerConnection is how many append calls share a gRPC connection. BigQuery allows a hundred HTTP/2 streams on one;
// the 101st call hangs without an error.
const callsPerConnection = 80

// pool spreads append calls over gRPC connections: ceil(open calls / callsPerConnection) of them.
type pool struct {
	// dial makes a client with one gRPC connection. It does no I/O.
	dial func() (*storage.BigQueryWriteClient, error)

	mu      sync.Mutex
	members []*member
	closed  bool
}

type member struct {
	client *storage.BigQueryWriteClient
	calls  int
}

// acquire takes a place on a connection; release gives it back.
func (p *pool) acquire() (client *storage.BigQueryWriteClient, release func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, errors.New("the sink is closed")
	}
	var free *member
	for _, m := range p.members {
		// The fullest one that has room, so that connections no longer needed empty out.
		if m.calls < callsPerConnection && (free == nil || m.calls > free.calls) {
			free = m
		}
	}
	if free == nil {
		client, err := p.dial()
		if err != nil {
			return nil, nil, err
		}
		free = &member{client: client}
		p.members = append(p.members, free)
	}
	free.calls++
	return free.client, func() { p.release(free) }, nil
}

// release gives a place back, and closes a connection that nobody uses while another one stands.
func (p *pool) release(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.calls--
	if m.calls > 0 || p.closed || len(p.members) == 1 {
		return
	}
	for i, other := range p.members {
		if other == m {
			p.members = append(p.members[:i], p.members[i+1:]...)
			_ = m.client.Close() // Nothing is under way on it: there is nothing an error could tell.
			return
		}
	}
}

// close closes all connections.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var all error
	for _, m := range p.members {
		all = errors.Join(all, m.client.Close())
	}
	p.members = nil
	return all
}

// dialer makes clients with one gRPC connection each and no retries of their own: the queue and the calls in streams.go
// decide what is tried again.
func dialer(ctx context.Context, options []option.ClientOption) func() (*storage.BigQueryWriteClient, error) {
	return func() (*storage.BigQueryWriteClient, error) {
		client, err := storage.NewBigQueryWriteClient(ctx, options...)
		if err != nil {
			return nil, fmt.Errorf("make a Storage Write client: %w", err)
		}
		client.CallOptions = &storage.BigQueryWriteCallOptions{}
		return client, nil
	}
}
