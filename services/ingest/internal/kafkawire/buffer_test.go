package kafkawire

import "testing"

func TestBuffer(t *testing.T) {
	for _, n := range []int{0, 1, smallestPooled - 1, smallestPooled, 100 << 10, 5 << 20} {
		m := NewBuffer(n)
		if len(m.Bytes()) != n {
			t.Fatalf("asked for %d bytes, got %d", n, len(m.Bytes()))
		}
		m.Retain(3)
		m.Release(1)
		m.Release(3)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes: released once more than retained, and no panic", n)
				}
			}()
			m.Release(1)
		}()
	}
	if (*Buffer)(nil).Bytes() != nil {
		t.Error("a nil buffer has bytes")
	}
}

// What was released is used again.
func TestBufferIsReused(t *testing.T) {
	// one for what counts; the race detector makes the pool drop one in four
	if n := testing.AllocsPerRun(100, func() { NewBuffer(512 << 10).Release(1) }); n > 1.5 {
		t.Errorf("%v allocations", n)
	}
}
