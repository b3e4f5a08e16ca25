package lanewire

import (
	"sync"

	"google.golang.org/grpc/mem"
)

// Buffers is the pool that rows lie in, of both services: ingest lays them down in its buffers, the writer's gRPC reads them into some. Unlike
// gRPC's own pools it does not clear what it hands out: whoever asks writes every byte before it is read.
var Buffers mem.BufferPool = new(pool)

// sizes are those of pooled buffers, in bytes. An HTTP/2 frame of gRPC has at most 16 KiB.
var sizes = [...]int{4 << 10, 16 << 10, 64 << 10, 256 << 10}

type pool [len(sizes)]sync.Pool

// Get implements mem.BufferPool. The bytes are those of an earlier use.
func (p *pool) Get(length int) *[]byte {
	for i, size := range sizes {
		if length > size {
			continue
		}
		if b, ok := p[i].Get().(*[]byte); ok {
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
func (p *pool) Put(b *[]byte) {
	for i, size := range sizes {
		if cap(*b) == size {
			p[i].Put(b)
			return
		}
	}
}
