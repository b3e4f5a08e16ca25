// Package buffers keeps byte slices of a few sizes for the next use.
//
//	pool := buffers.New(16<<10, 256<<10)
//	b := pool.Get(n) // *b has n bytes, of an earlier use
//	pool.Put(b)
//
// Unlike gRPC's own pools it does not clear what it hands out: whoever asks writes every byte before it is read. With
// the race detector what comes back is overwritten, so that a use after that shows.
package buffers

import (
	"sync"

	"google.golang.org/grpc/mem"
)

// Pool is safe for concurrent use. What nobody takes out for a while is left to the garbage collector.
type Pool struct {
	sizes []int
	kept  []sync.Pool
}

var _ mem.BufferPool = (*Pool)(nil)

// New makes a pool of buffers of these sizes in bytes, which ascend.
func New(sizes ...int) *Pool {
	return &Pool{sizes: sizes, kept: make([]sync.Pool, len(sizes))}
}

// Get implements mem.BufferPool. A buffer larger than the largest size is a new one.
func (p *Pool) Get(length int) *[]byte {
	for i, size := range p.sizes {
		if length > size {
			continue
		}
		if b, ok := p.kept[i].Get().(*[]byte); ok {
			*b = (*b)[:length]
			return b
		}
		b := make([]byte, length, size)
		return &b
	}
	b := make([]byte, length)
	return &b
}

// Put implements mem.BufferPool. A buffer of another size, as one that was grown, is left to the garbage collector.
func (p *Pool) Put(b *[]byte) {
	spoil(*b)
	for i, size := range p.sizes {
		if cap(*b) == size {
			p.kept[i].Put(b)
			return
		}
	}
}
