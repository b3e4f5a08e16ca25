package kafkawire

import (
	"sync/atomic"

	"github.com/waybill-data/waybill/pkg/buffers"
)

// pool has sizes as answers have them: fetches ask for 32 KiB to a megabyte of a partition. Smaller ones are rare
// where it matters.
var pool = buffers.New(16<<10, 32<<10, 64<<10, 128<<10, 256<<10, 512<<10, 1<<20, 2<<20, 4<<20)

// smallestPooled is the size in bytes from which memory is taken from the pool. Below it has the size it needs.
const smallestPooled = 8 << 10

// Memory is what records lie in. It comes with one hold, and is used for other records once there is none. Whoever
// loses a hold instead of letting it go does no harm: the garbage collector finds it.
type Memory struct {
	holds atomic.Int64
	bytes *[]byte
}

// NewMemory is memory of so many bytes, those of an earlier use.
func NewMemory(n int) *Memory {
	m := new(Memory)
	m.holds.Store(1)
	if n >= smallestPooled {
		m.bytes = pool.Get(n)
	} else {
		b := make([]byte, n)
		m.bytes = &b
	}
	return m
}

// Bytes are there for as long as the caller has a hold. None of nil.
func (m *Memory) Bytes() []byte {
	if m == nil {
		return nil
	}
	return *m.bytes
}

// cut shortens the memory to its first n bytes.
func (m *Memory) cut(n int) { *m.bytes = (*m.bytes)[:n] }

// Hold adds holds. The caller must have one.
func (m *Memory) Hold(n int) { m.holds.Add(int64(n)) }

// LetGo lets holds go. Behind the last one nobody may look at the bytes any more. It panics when there were not as
// many, and does nothing on nil.
func (m *Memory) LetGo(n int) {
	if m == nil {
		return
	}
	switch left := m.holds.Add(-int64(n)); {
	case left < 0:
		panic("kafkawire: memory of records was let go twice")
	case left == 0:
		pool.Put(m.bytes)
	}
}
