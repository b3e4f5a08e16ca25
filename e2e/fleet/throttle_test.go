package fleet

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// What goes through a throttle takes as long as its rate says, and the end of either side is the end of the other.
func TestThrottleIsSlow(t *testing.T) {
	const size = 64 << 10
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	relay, err := newThrottle(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	relay.rate.Store(size)
	near, err := net.Dial("tcp", relay.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if err := far.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	go func() {
		_, _ = near.Write(make([]byte, size)) // what did not get through, the reader misses
	}()
	if _, err := io.ReadFull(far, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	// Half a second is what it may have saved up.
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("%d bytes at as many a second took %v", size, took)
	}
	if n := relay.passed.Load(); n != size {
		t.Errorf("%d bytes are counted, %d have passed", n, size)
	}
	far.Close()
	if err := near.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := near.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("behind the end of what is behind: %v, want a connection that has ended", err)
	}
}
