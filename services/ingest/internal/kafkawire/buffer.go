package kafkawire

import (
	"sync/atomic"

	"github.com/waybill-data/waybill/pkg/buffers"
)

// pool has sizes as responses have them: fetches ask for 32 KiB to a megabyte of a partition. Smaller ones are rare
// where it matters.
var pool = buffers.New(16<<10, 32<<10, 64<<10, 128<<10, 256<<10, 512<<10, 1<<20, 2<<20, 4<<20)

// smallestPooled is the size in bytes from which a buffer is taken from the pool. A smaller one has the size it needs.
const smallestPooled = 8 << 10

// Buffer is memory that records lie in. It counts references, begins with one, and its bytes are used for other records
// once there is none. A reference that is lost instead of released does no harm: the garbage collector finds the bytes.
type Buffer struct {
	references atomic.Int64
	bytes      *[]byte
}

// NewBuffer returns a buffer of n bytes with the content of an earlier use.
func NewBuffer(n int) *Buffer {
	b := new(Buffer)
	b.references.Store(1)
	if n >= smallestPooled {
		b.bytes = pool.Get(n)
	} else {
		bytes := make([]byte, n)
		b.bytes = &bytes
	}
	return b
}

// Bytes returns the bytes, which are valid for as long as the caller has a reference. Returns nil on a nil receiver.
func (b *Buffer) Bytes() []byte {
	if b == nil {
		return nil
	}
	return *b.bytes
}

// cut shortens the buffer to its first n bytes.
func (b *Buffer) cut(n int) { *b.bytes = (*b.bytes)[:n] }

// Retain adds n references. The caller must have one.
func (b *Buffer) Retain(n int) { b.references.Add(int64(n)) }

// Release gives up n references. After the last one nobody may look at the bytes any more. It panics when there were
// fewer, and does nothing on a nil receiver.
func (b *Buffer) Release(n int) {
	if b == nil {
		return
	}
	switch left := b.references.Add(-int64(n)); {
	case left < 0:
		panic("kafkawire: a buffer of records was released twice")
	case left == 0:
		pool.Put(b.bytes)
	}
}
