package buffers

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/mem"
)

// Counted is a pool that knows how many bytes are out, and says when they are more than a limit, or would be with what
// was announced. It hands out buffers
// all the same: what is to be done about it is the caller's to know. Safe for concurrent use.
//
// A buffer that its user forgets is out until the garbage collector has found it: gRPC forgets what a call that has
// ended did not read. So Out may be too high, never too low; runtime.GC makes it exact.
type Counted struct {
	limit   atomic.Int64
	early   atomic.Int64
	over    chan struct{}
	classes []class
	// made are the bytes of all buffers that the collector has not taken, kept those of them that came back and are not
	// out again, left those of kept that do not lie in the pool: they are the collector's.
	made, kept, left atomic.Int64
	puts             atomic.Uint32
}

var _ mem.BufferPool = (*Counted)(nil)

// class is the buffers of one size.
type class struct {
	size int

	mu   sync.Mutex
	free []*[]byte
	// least is the shortest that free was since trimmed.
	least   int
	trimmed time.Time
}

const (
	// unusedFor is how long a buffer lies in the pool before it is left to the collector.
	unusedFor = 10 * time.Second
	// looksAfter is how many buffers come back between two looks at the clock.
	looksAfter = 256
)

// NewCounted makes a pool of buffers of these sizes in bytes, which ascend. More than limit bytes out is too many.
func NewCounted(limit int64, sizes ...int) *Counted {
	p := &Counted{over: make(chan struct{}, 1), classes: make([]class, len(sizes))}
	p.limit.Store(limit)
	for i, size := range sizes {
		p.classes[i].size = size
	}
	return p
}

// Get implements mem.BufferPool. A buffer larger than the largest size is a new one.
func (p *Counted) Get(length int) *[]byte {
	b := p.take(length)
	if p.Early() {
		select {
		case p.over <- struct{}{}:
		default:
		}
	}
	return b
}

func (p *Counted) take(length int) *[]byte {
	for i := range p.classes {
		c := &p.classes[i]
		if length > c.size {
			continue
		}
		p.kept.Add(-int64(c.size))
		if b := c.pop(); b != nil {
			*b = (*b)[:length]
			return b
		}
		p.kept.Add(int64(c.size))
		return p.make(length, c.size)
	}
	return p.make(length, length)
}

func (p *Counted) make(length, size int) *[]byte {
	b := make([]byte, length, size)
	p.made.Add(int64(size))
	runtime.AddCleanup(&b, p.collected, int64(size))
	return &b
}

// collected is called for each buffer that the collector has found. Whether it was left or forgotten nobody knows, so
// what was left comes first: Out is too high until that is found as well.
func (p *Counted) collected(size int64) {
	for left := p.left.Load(); left >= size; left = p.left.Load() {
		if p.left.CompareAndSwap(left, left-size) {
			p.kept.Add(-size)
			break
		}
	}
	p.made.Add(-size)
}

// Put implements mem.BufferPool. A buffer of another size is left to the garbage collector, and so is what would be
// more than the limit with all others: what lies here for the next use takes the collector's room to work in.
func (p *Counted) Put(b *[]byte) {
	spoil(*b)
	for i := range p.classes {
		c := &p.classes[i]
		if cap(*b) != c.size {
			continue
		}
		p.kept.Add(int64(c.size))
		if p.made.Load()-p.left.Load() > p.limit.Load() {
			p.left.Add(int64(c.size))
		} else {
			c.push(b)
		}
		break
	}
	if p.puts.Add(1)%looksAfter == 0 {
		p.trim(time.Now())
	}
}

// trim leaves to the collector what nobody has needed for a while.
func (p *Counted) trim(now time.Time) {
	for i := range p.classes {
		n := p.classes[i].trim(now)
		p.left.Add(int64(n * p.classes[i].size))
	}
}

// Out is how many bytes are out, by the size of their buffers.
func (p *Counted) Out() int64 {
	// In this order a buffer on its way is counted twice rather than not at all.
	kept := p.kept.Load()
	return max(0, p.made.Load()-kept)
}

// Over says whether more bytes are out than the limit.
func (p *Counted) Over() bool { return p.Out() > p.limit.Load() }

// Raise changes the limit by so many bytes.
func (p *Counted) Raise(bytes int64) { p.limit.Add(bytes) }

// Early says whether so many bytes are out that they would be more than the limit with those that Ahead announced.
func (p *Counted) Early() bool { return p.Out() > p.limit.Load()-max(0, p.early.Load()) }

// Ahead announces so many more bytes, or fewer, that may be wanted at any time.
func (p *Counted) Ahead(bytes int64) { p.early.Add(bytes) }

// Signal receives when a buffer was handed out while Early bytes were out.
func (p *Counted) Signal() <-chan struct{} { return p.over }

func (c *class) pop() *[]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.free) - 1
	if n < 0 {
		return nil
	}
	b := c.free[n]
	c.free[n] = nil
	c.free = c.free[:n]
	c.least = min(c.least, n)
	return b
}

func (c *class) push(b *[]byte) {
	c.mu.Lock()
	c.free = append(c.free, b)
	c.mu.Unlock()
}

func (c *class) trim(now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.trimmed) < unusedFor {
		return 0
	}
	n := 0
	if !c.trimmed.IsZero() {
		n = c.least
		c.free = slices.Delete(c.free, 0, n)
	}
	c.trimmed, c.least = now, len(c.free)
	return n
}
