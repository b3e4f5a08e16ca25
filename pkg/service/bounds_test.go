package service

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
)

// pipes is a listener of connections in memory, so that a fake clock can rule them.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.ended)
	return nil
}

func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// ends is how long a connection lasts whose client does what begin does, and then nothing, or acknowledges what HTTP/2
// has acknowledged.
func ends(t *testing.T, begin func(net.Conn) error, responses bool) (after time.Duration) {
	t.Helper()
	l := &pipes{make(chan net.Conn), make(chan struct{})}
	server := grpc.NewServer(bounds()...)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	ours, theirs := net.Pipe()
	l.conns <- theirs
	start := time.Now()
	if err := begin(ours); err != nil {
		t.Error(err)
	}
	for framer := http2.NewFramer(ours, ours); ; {
		f, err := framer.ReadFrame()
		if err != nil {
			break // the server has ended it
		}
		if ping, ok := f.(*http2.PingFrame); ok && responses && !ping.IsAck() {
			if framer.WritePing(true, ping.Data) != nil {
				break
			}
		}
	}
	after = time.Since(start)
	server.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	return after
}

// A connection that does not begin ends after ten seconds, also one that says its preface byte by byte; one whose
// client acknowledges no ping within a minute, and one that has no call after five.
func TestConnectionsThatDoNothingEnd(t *testing.T) {
	begins := func(c net.Conn) error {
		go func() {
			if _, err := c.Write([]byte(http2.ClientPreface)); err == nil {
				_ = http2.NewFramer(c, nil).WriteSettings() // the server reads it, or has ended
			}
		}()
		return nil
	}
	for name, tt := range map[string]struct {
		begin     func(net.Conn) error
		responses bool
		least     time.Duration
	}{
		"silent": {func(net.Conn) error { return nil }, false, connectWithin},
		"slow": {func(c net.Conn) error {
			for i := range 12 {
				if _, err := c.Write([]byte{http2.ClientPreface[i]}); err != nil {
					return nil //nolint:nilerr // it has ended, which is what is waited for
				}
				time.Sleep(time.Second)
			}
			return errors.New("it has begun for twelve seconds")
		}, false, connectWithin},
		"dead":    {begins, false, Keepalive.Time + Keepalive.Timeout},
		"no call": {begins, true, idleAfter},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if after := ends(t, tt.begin, tt.responses); after < tt.least || after > tt.least+time.Minute {
					t.Errorf("it lasts %v", after)
				}
			})
		})
	}
}

// No more connections are open at once than there may be; others wait for their turn.
func TestConnectionsAreBounded(t *testing.T) {
	const most, all = 3, 20
	inner, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Bound(inner, most)
	defer l.Close()
	for range all {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	var open, peak atomic.Int64
	ended := make(chan error, all)
	for range all {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		n := open.Add(1)
		peak.Store(max(peak.Load(), n))
		if n == most { // nobody else comes in until one of these has ended
			go func() {
				time.Sleep(10 * time.Millisecond) // in which all would come in if they might
				open.Add(-1)
				ended <- c.Close()
			}()
		} else {
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	if peak.Load() != most {
		t.Errorf("%d were open at once, want %d", peak.Load(), most)
	}
}
