package kafkawire

import "testing"

func TestMemory(t *testing.T) {
	for _, n := range []int{0, 1, smallestPooled - 1, smallestPooled, 100 << 10, 5 << 20} {
		m := NewMemory(n)
		if len(m.Bytes()) != n {
			t.Fatalf("asked for %d bytes, got %d", n, len(m.Bytes()))
		}
		m.Hold(3)
		m.LetGo(1)
		m.LetGo(3)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes: let go once more than held, and no panic", n)
				}
			}()
			m.LetGo(1)
		}()
	}
	if (*Memory)(nil).Bytes() != nil {
		t.Error("no memory has bytes")
	}
}

// What was let go is used again.
func TestMemoryIsReused(t *testing.T) {
	if n := testing.AllocsPerRun(1000, func() { NewMemory(512 << 10).LetGo(1) }); n > 1.5 { // one for what counts; the race detector makes the pool drop one in four
		t.Errorf("%v allocations", n)
	}
}
