package sockets

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/nettest"
	"google.golang.org/grpc/mem"
)

// pair is the two ends of a connection over loopback, both wrapped.
func pair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	below, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listener(below)
	defer l.Close()
	a, err = Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

// What every connection must do, by the tests that package net's own pass: deadlines, closing, both ways at once.
func TestIsAConnection(t *testing.T) {
	nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
		a, b = pair(t)
		return a, b, func() { _, _ = a.Close(), b.Close() }, nil
	})
}

// Everything arrives, in order, in both directions at once, whatever the sizes of reads and writes.
func TestCarriesEverything(t *testing.T) {
	a, b := pair(t)
	const size = 20 << 20
	var all sync.WaitGroup
	for _, way := range []struct{ from, to net.Conn }{{a, b}, {b, a}} {
		sent, got := sha256.New(), sha256.New()
		var ends sync.WaitGroup
		ends.Go(func() {
			random := rand.New(rand.NewPCG(1, 2))
			chunk := make([]byte, 5*most)
			for left := size; left > 0; {
				n := min(left, 1+random.IntN(len(chunk)))
				for i := 0; i < n; i += 61 {
					chunk[i]++
				}
				if m, err := way.from.Write(chunk[:n]); m != n || err != nil {
					t.Errorf("wrote %d of %d bytes: %v", m, n, err)
					return
				}
				sent.Write(chunk[:n])
				left -= n
			}
		})
		ends.Go(func() {
			random := rand.New(rand.NewPCG(3, 4))
			chunk := make([]byte, 3*most)
			for left := size; left > 0; {
				n, err := way.to.Read(chunk[:1+random.IntN(len(chunk))])
				if err != nil {
					t.Errorf("%d bytes before the end: %v", left, err)
					return
				}
				got.Write(chunk[:n])
				left -= n
			}
		})
		all.Go(func() {
			ends.Wait()
			if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
				t.Error("other bytes arrived than were sent")
			}
		})
	}
	all.Wait()
}

// tally counts what is out of a pool.
type tally struct {
	mu        sync.Mutex
	out, gets int
}

func (p *tally) Get(n int) *[]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out, p.gets = p.out+1, p.gets+1
	b := make([]byte, n)
	return &b
}

func (p *tally) Put(*[]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
}

func (p *tally) want(t *testing.T, when string, out int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != out {
		t.Errorf("%s: %d buffers are out, want %d", when, p.out, out)
	}
}

type readyReader interface {
	ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error)
}

// A connection that waits holds no buffer, and one that ends gives it back.
func TestWaitsWithoutABuffer(t *testing.T) {
	type answer struct {
		b   *[]byte
		n   int
		err error
	}
	pool := &tally{}
	read := func(c net.Conn) chan answer {
		got := make(chan answer, 1)
		go func() {
			b, n, err := c.(readyReader).ReadOnReady(100, pool)
			got <- answer{b, n, err}
		}()
		return got
	}
	a, b := pair(t)
	if _, ok := a.(readyReader); !ok {
		t.Skip("connections are not wrapped on this system")
	}
	waiting := read(a)
	select {
	case got := <-waiting:
		t.Fatalf("nothing was sent, and %d bytes were read: %v", got.n, got.err)
	case <-time.After(20 * time.Millisecond):
	}
	pool.want(t, "waiting", 0)
	if _, err := b.Write([]byte("rows")); err != nil {
		t.Fatal(err)
	}
	got := <-waiting
	if got.err != nil || string((*got.b)[:got.n]) != "rows" {
		t.Fatalf("read %d bytes: %v", got.n, got.err)
	}
	pool.want(t, "read", 1)
	pool.Put(got.b)

	waiting = read(a)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-waiting; !errors.Is(got.err, io.EOF) || got.b != nil {
		t.Errorf("the other end is closed: %v", got.err)
	}
	pool.want(t, "at the end", 0)

	a, _ = pair(t)
	waiting = read(a)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-waiting; !errors.Is(got.err, net.ErrClosed) || got.b != nil {
		t.Errorf("closed: %v", got.err)
	}
	if b, n, err := a.(readyReader).ReadOnReady(100, pool); b != nil || n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("after closing: %d bytes, %v", n, err)
	}
	pool.want(t, "closed", 0)
}

func TestAllocatesNothing(t *testing.T) {
	a, b := pair(t)
	out, in := make([]byte, 1000), make([]byte, 1000)
	allocated := testing.AllocsPerRun(100, func() {
		if _, err := a.Write(out); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(b, in); err != nil {
			t.Fatal(err)
		}
	})
	if allocated > 0 {
		t.Errorf("%.2f allocations to write and read", allocated)
	}
}

func TestCarriesTLS(t *testing.T) {
	payload := bytes.Repeat([]byte("row"), 1<<20)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := w.Write(payload); err != nil {
			t.Error(err)
		}
	}))
	server.Listener = Listener(server.Listener)
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, address string) (net.Conn, error) { return Dial(ctx, address) }
	response, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); err != nil || !bytes.Equal(got, payload) {
		t.Errorf("%d of %d bytes: %v", len(got), len(payload), err)
	}
}

func TestDialsWhatGRPCNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, address := range []string{"unix:" + path, "unix://" + path} {
		c, err := Dial(t.Context(), address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		_ = c.Close()
	}
	if _, err := Dial(t.Context(), "127.0.0.1:0"); err == nil {
		t.Error("nobody listens at port 0")
	}
}

func TestLeavesProxiesToGRPC(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "")
	t.Setenv("https_proxy", "")
	if len(DialOptions()) == 0 {
		t.Error("no proxy is set, and gRPC dials by itself")
	}
	t.Setenv("https_proxy", "http://proxy:3128")
	if len(DialOptions()) != 0 {
		t.Error("a proxy is set, and gRPC does not dial by itself")
	}
}
