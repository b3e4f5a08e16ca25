package buffers

import (
	"runtime"
	"testing"
	"time"
)

// What is out is counted by the size of its buffers, and more than the limit is said.
func TestCounted(t *testing.T) {
	p := NewCounted(20<<10, 4<<10, 16<<10)
	var out []*[]byte
	for _, step := range []struct {
		get  int
		out  int64
		over bool
	}{{100, 4 << 10, false}, {4<<10 + 1, 20 << 10, false}, {1, 24 << 10, true}} {
		b := p.Get(step.get)
		out = append(out, b)
		if len(*b) != step.get || p.Out() != step.out || p.Over() != step.over || (len(p.Signal()) == 1) != step.over {
			t.Fatalf("got %d bytes of %d; %d out, over %v", len(*b), cap(*b), p.Out(), p.Over())
		}
	}
	if p.Raise(4 << 10); p.Over() {
		t.Error("over a limit that was raised")
	}
	p.Raise(-4 << 10)
	for _, b := range out {
		p.Put(b)
	}
	if p.Out() != 0 || p.Over() {
		t.Errorf("%d bytes out at the end", p.Out())
	}
	again := p.Get(10)
	if again != out[2] || p.Out() != 4<<10 {
		t.Errorf("a buffer that came back was not used again; %d bytes out", p.Out())
	}
	p.Put(again)
}

// What was announced is kept room for, and said with the first buffer that takes of it; the limit stays what it is.
func TestCountedAhead(t *testing.T) {
	p := NewCounted(16<<10, 4<<10)
	p.Ahead(12 << 10)
	first := p.Get(1)
	if p.Early() || len(p.Signal()) != 0 {
		t.Error("early though there is room for what was announced")
	}
	second := p.Get(1)
	if !p.Early() || len(p.Signal()) != 1 || p.Over() {
		t.Errorf("early %v, signals %d, over %v", p.Early(), len(p.Signal()), p.Over())
	}
	if p.Ahead(-4 << 10); p.Early() {
		t.Error("early though less was announced")
	}
	p.Ahead(-20 << 10) // more is used than was announced
	if p.Early() || p.Over() {
		t.Error("early below the limit though nothing is announced")
	}
	p.Put(first)
	p.Put(second)
}

// A buffer that is forgotten is out until the collector has found it, so that a call that ends without reading cannot
// use the limit up.
func TestForgottenBuffersCountNoMore(t *testing.T) {
	p := NewCounted(1<<20, 16<<10)
	for range 10 {
		_ = p.Get(1 << 10)
	}
	_ = p.Get(1 << 19) // of no class
	kept := p.Get(1)
	for deadline := time.Now().Add(time.Minute); p.Out() != 16<<10; {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes out, want those of one buffer", p.Out())
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	runtime.KeepAlive(kept)
	p.Put(kept)
}

// What nobody needs any more goes, and is counted neither as kept nor as out.
func TestUnusedBuffersAreLeftToTheCollector(t *testing.T) {
	p := NewCounted(1<<20, 4<<10)
	var out []*[]byte
	for range 20 {
		out = append(out, p.Get(1))
	}
	for _, b := range out {
		p.Put(b)
	}
	clear(out)
	start := time.Now()
	p.trim(start)
	p.Put(p.Get(1)) // one is in use at a time
	p.trim(start.Add(unusedFor - 1))
	if n := len(p.classes[0].free); n != 20 {
		t.Fatalf("%d buffers are kept, too early", n)
	}
	p.trim(start.Add(unusedFor))
	if n := len(p.classes[0].free); n != 1 || p.kept.Load()-p.left.Load() != 4<<10 || p.Out() != 0 {
		t.Fatalf("%d buffers are kept, %d bytes; %d bytes out", n, p.kept.Load()-p.left.Load(), p.Out())
	}
	for deadline := time.Now().Add(time.Minute); p.Out() != 0 || p.made.Load() != 4<<10; {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes out, %d made", p.Out(), p.made.Load())
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

// No more lies in the pool than the limit leaves beside what is out. What is more is out no more either, and the
// collector's: buffers that were forgotten meanwhile are counted until all of it has been found.
func TestBeyondTheLimitNothingIsKept(t *testing.T) {
	const size = 4 << 10
	p := NewCounted(10*size, size)
	var out []*[]byte
	for range 30 {
		out = append(out, p.Get(1))
	}
	for i, b := range out[5:] {
		if p.Put(b); p.Out() != int64(29-i)*size {
			t.Fatalf("%d bytes out with %d buffers out", p.Out(), 29-i)
		}
	}
	if n := len(p.classes[0].free); n != 5 {
		t.Fatalf("%d buffers are kept beside 5 that are out, of at most 10", n)
	}
	clear(out) // five are forgotten
	for deadline := time.Now().Add(time.Minute); p.Out() != 0 || p.made.Load() != 5*size; {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes out, %d made", p.Out(), p.made.Load())
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if kept, left := p.kept.Load(), p.left.Load(); kept != 5*size || left != 0 {
		t.Errorf("%d bytes are kept, %d of them left to the collector", kept, left)
	}
}

func BenchmarkCounted(b *testing.B) {
	p := NewCounted(1<<30, 4<<10, 16<<10)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p.Put(p.Get(16 << 10))
		}
	})
}
