package service

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// endless is a connection that has always something to read.
type endless struct {
	net.Conn
	from net.Addr
}

func (endless) Read(b []byte) (int, error) { return len(b), nil }
func (endless) Close() error               { return nil }
func (e endless) RemoteAddr() net.Addr     { return e.from }

// read reads c until so many bytes have come.
func read(t *testing.T, c net.Conn, n int64) (took time.Duration) {
	t.Helper()
	began := time.Now()
	if _, err := io.CopyBuffer(onlyWriter{io.Discard}, io.LimitReader(c, n), make([]byte, 128<<10)); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

// onlyWriter has io.CopyBuffer use its buffer.
type onlyWriter struct{ io.Writer }

// What connections send that carry nothing is read at a pace, that of all connections of a host together; those of
// other hosts do not wait for them. What is read is handed on at once. A connection that carries a lane is read as fast
// as it comes, from the moment it does, also while it rests, until its last lane ends.
func TestStrangersAreReadAtAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace()
		at := func(host byte, port int) *pacedConn {
			from := hostAt(0, host, port)
			return newPacedConn(endless{from: from}, p.host(from), nil)
		}
		const quantum = 2 * strangersRead * time.Second / strangersASecond
		within := func(what string, got, want time.Duration) {
			t.Helper()
			if got < want-quantum || got > want+quantum {
				t.Errorf("%s took %v, want %v", what, got, want)
			}
		}
		first, second, other := at(1, 1), at(1, 2), at(2, 1)
		within("what may come at once", read(t, first, strangersAtOnce), 0)
		within("a second's", read(t, first, strangersASecond), time.Second)
		within("what another host may send at once", read(t, other, strangersAtOnce), 0)

		together := make(chan time.Duration)
		began := time.Now()
		for _, c := range []net.Conn{first, second} {
			go func() {
				read(t, c, strangersASecond/2)
				together <- time.Since(began)
			}()
		}
		<-together
		within("a second's on two connections", <-together, time.Second)
		before := time.Now()
		if n, err := at(1, 3).Read(make([]byte, 1<<20)); n != strangersRead || err != nil || time.Since(before) != 0 {
			t.Errorf("a connection that has just come: %d bytes after %v, %v", n, time.Since(before), err)
		}

		second.rests = time.Now().Add(time.Hour)
		opened := make(chan time.Duration)
		go func() {
			began := time.Now()
			_, err := second.Read(make([]byte, 1<<20))
			if err != nil {
				t.Error(err)
			}
			opened <- time.Since(began)
		}()
		synctest.Wait()
		call := seen(t, second.RemoteAddr())
		end, again := Carry(call), Carry(call)
		within("what rests when it gets a lane", <-opened, 0)
		within("with lanes", read(t, second, 1<<30), 0)
		end()
		within("with a lane", read(t, second, 1<<30), 0)
		again()
		within("behind its last lane", read(t, second, strangersASecond), time.Second)
	})
}

// A connection that rests is closed at once, and one that nobody paces may carry lanes.
func TestRestingConnectionsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := newPacedConn(theirs, NewPace().host(hostAt(0, 1, 1)), nil)
		c.rests = time.Now().Add(time.Hour)
		over := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			over <- err
		}()
		synctest.Wait()
		began := time.Now()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-over; err == nil || time.Since(began) > 0 {
			t.Errorf("the reader ended after %v: %v", time.Since(began), err)
		}
		if n, err := ours.Read(make([]byte, 1)); err == nil {
			t.Errorf("the other end read %d bytes", n)
		}
		Carry(t.Context())()
		Carry(seen(t, hostAt(0, 1, 1)))()
	})
}

// A connection is what its client wrote, however it is read.
func TestPacedConnectionsPassOnWhatTheyRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := newPacedConn(theirs, NewPace().host(hostAt(0, 1, 1)), nil)
		sent := make([]byte, 2*strangersAtOnce+1)
		for i := range sent {
			sent[i] = byte(i * i >> 8)
		}
		go func() {
			if _, err := ours.Write(sent); err != nil {
				t.Error(err)
			}
			ours.Close()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("read %d bytes of %d: %v", len(got), len(sent), err)
		}
	})
}
