package chaos

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/e2e/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that returns what it gets.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, r *relay) net.Conn {
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echoes says whether a byte comes back.
func echoes(t *testing.T, c net.Conn, wait time.Duration) error {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// healthy is a relay to an echo, and a connection through it.
func healthy(t *testing.T) (*relay, net.Conn) {
	t.Helper()
	r, err := newRelay("127.0.0.1:0", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	c := dial(t, r)
	if err := echoes(t, c, time.Minute); err != nil {
		t.Fatalf("a healthy connection: %v", err)
	}
	return r, c
}

func TestRelaySwallows(t *testing.T) {
	r, c := healthy(t)
	end := r.swallow()
	if err := echoes(t, c, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("half-open: %v, want silence", err)
	}
	if err := echoes(t, dial(t, r), time.Minute); err != nil {
		t.Errorf("a new connection beside the half-open one: %v", err)
	}
	end()
	if err := echoes(t, c, time.Minute); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the end: %v, want a closed connection", err)
	}
}

func TestRelayHolds(t *testing.T) {
	r, c := healthy(t)
	r.hold()
	if err := echoes(t, c, time.Minute); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection from before: %v, want it closed", err)
	}
	if err := echoes(t, dial(t, r), time.Minute); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection while held: %v, want it closed", err)
	}
	r.release()
	if err := echoes(t, dial(t, r), time.Minute); err != nil {
		t.Errorf("a connection after the release: %v", err)
	}
}

// What comes back is late by as much as is said, from then on.
func TestDelayIsLate(t *testing.T) {
	d, err := stack.NewDelay(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	c, err := net.Dial("tcp", d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for _, late := range []time.Duration{0, 300 * time.Millisecond, 0} {
		d.Set(late)
		began := time.Now()
		if err := echoes(t, c, time.Minute); err != nil {
			t.Fatalf("late by %v: %v", late, err)
		}
		if took := time.Since(began); took < late {
			t.Errorf("late by %v, and it took %v", late, took)
		}
	}
}
