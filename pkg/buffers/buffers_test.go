package buffers

import (
	"testing"

	"google.golang.org/grpc/mem"
)

func TestPool(t *testing.T) {
	pool := New(4<<10, 16<<10, 64<<10, 256<<10)
	for _, test := range []struct{ length, size int }{
		{0, 4 << 10},
		{1, 4 << 10},
		{4 << 10, 4 << 10},
		{4<<10 + 1, 16 << 10},
		{16 << 10, 16 << 10},
		{64 << 10, 64 << 10},
		{256 << 10, 256 << 10},
		{256<<10 + 1, 256<<10 + 1},
	} {
		for range 2 { // a new one, and most likely one that came back
			b := pool.Get(test.length)
			if len(*b) != test.length || cap(*b) < test.size {
				t.Errorf("asked for %d bytes, got %d of %d", test.length, len(*b), cap(*b))
			}
			*b = (*b)[:test.length/2]
			pool.Put(b)
		}
	}
	grown := make([]byte, 5000)
	pool.Put(&grown) // must not come back as one that is too small
	for range 100 {
		if b := pool.Get(16 << 10); len(*b) != 16<<10 {
			t.Fatalf("got %d bytes", len(*b))
		}
	}
}

// What gRPC counts references of comes back to the pool with the last of them.
func TestReuse(t *testing.T) {
	pool := New(16 << 10)
	allocated := testing.AllocsPerRun(1000, func() {
		b := pool.Get(16 << 10)
		(*b)[0] = 1
		mem.NewBuffer(b, pool).Free()
	})
	// Without the pool it takes two. The race detector makes sync.Pool drop one in four.
	if allocated > 1 {
		t.Errorf("%.2f allocations for a buffer", allocated)
	}
}
