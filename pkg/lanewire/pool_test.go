package lanewire

import (
	"sync"
	"testing"

	"google.golang.org/grpc/mem"
)

// countingPool makes buffers that gRPC counts references of (it does not count small ones), overwrites them when they
// come back, so that a use after that shows, and fails the test when one comes back twice or not at all.
type countingPool struct {
	t testing.TB

	mu  sync.Mutex // gRPC gives buffers back in goroutines of its own
	out map[*[]byte]bool
}

func newCountingPool(t testing.TB) *countingPool {
	p := &countingPool{t: t, out: map[*[]byte]bool{}}
	t.Cleanup(p.wantNoneOut)
	return p
}

func (p *countingPool) Get(length int) *[]byte {
	b := make([]byte, length, length+1<<10+1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out[&b] = true
	return &b
}

func (p *countingPool) Put(b *[]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.out[b] {
		p.t.Errorf("a buffer came back twice")
	}
	delete(p.out, b)
	whole := (*b)[:cap(*b)]
	for i := range whole {
		whole[i] = 0xdb
	}
}

// wantNoneOut checks that every buffer has come back.
func (p *countingPool) wantNoneOut() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.out) != 0 {
		p.t.Errorf("%d buffers are still referenced", len(p.out))
	}
}

// buffer copies data into one counted buffer.
func (p *countingPool) buffer(data []byte) mem.Buffer {
	b := p.Get(len(data))
	copy(*b, data)
	return mem.NewBuffer(b, p)
}

// cut lays data out in counted buffers of the given sizes, taken round and round; none means one buffer.
func (p *countingPool) cut(data []byte, sizes ...int) mem.BufferSlice {
	var out mem.BufferSlice
	for i := 0; len(data) > 0; i++ {
		n := len(data)
		if len(sizes) > 0 {
			n = min(n, sizes[i%len(sizes)])
		}
		out = append(out, p.buffer(data[:n]))
		data = data[n:]
	}
	return out
}
