package sockets

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"google.golang.org/grpc/mem"
)

// most is how many bytes one system call may move: what takes some tens of microseconds to copy. Meanwhile the thread cannot be asked to do
// anything else, stopping for the garbage collector included.
const most = 128 << 10

// conn is a TCP connection that reads and writes by itself. Everything else, deadlines and closing among it, is the connection's below. Reads
// exclude each other, so do writes.
type conn struct {
	*net.TCPConn
	raw syscall.RawConn

	in  input
	out output
}

// Wrap makes a TCP connection cheaper to wait on; any other it returns as it is. The connection is the caller's no more.
func Wrap(c net.Conn) net.Conn {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return c // It is closed: reading it says so.
	}
	w := &conn{TCPConn: t, raw: raw}
	// Made once: a closure a call would be an allocation a call.
	w.in.try, w.in.tryInto, w.out.try = w.in.read, w.in.readInto, w.out.write
	return w
}

// input is a read under way.
type input struct {
	mu sync.Mutex
	// b takes what is read: n bytes, or a fault.
	b     []byte
	n     int
	fault syscall.Errno
	// pool gives a buffer of a size once there is something to read.
	pool   mem.BufferPool
	size   int
	pooled *[]byte

	try, tryInto func(fd uintptr) bool
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	in.b = b[:min(len(b), most)]
	err := c.raw.Read(in.try)
	in.b = nil
	return in.n, in.outcome(err)
}

// ReadOnReady is what gRPC asks of a connection that does not hold a buffer while it waits: it waits for data, takes a buffer of a size from
// the pool, and reads into it. The buffer is the caller's when n > 0, and nil otherwise.
func (c *conn) ReadOnReady(size int, pool mem.BufferPool) (b *[]byte, n int, err error) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	in.pool, in.size = pool, size
	err = in.outcome(c.raw.Read(in.tryInto))
	b, n = in.pooled, in.n
	in.pool, in.pooled, in.b = nil, nil, nil
	if err != nil {
		if b != nil {
			pool.Put(b)
		}
		return nil, 0, err
	}
	return b, n, nil
}

// outcome is the error of a read, given that of waiting for it. Nothing is read when there is one.
func (in *input) outcome(waiting error) error {
	n, fault := in.n, in.fault
	if waiting != nil || fault != 0 {
		in.n = 0
	}
	in.fault = 0
	switch {
	case waiting != nil:
		return waiting
	case fault != 0:
		return os.NewSyscallError("read", fault)
	case n == 0:
		return io.EOF
	}
	received()
	return nil
}

// read reads once; false when there is nothing to read yet.
func (in *input) read(fd uintptr) bool {
	in.n, in.fault = call(syscall.SYS_READ, fd, in.b)
	if in.fault == syscall.EAGAIN {
		in.fault = 0
		return false
	}
	return true
}

// readInto reads once into a buffer of the pool, and gives the buffer back when there is nothing to read yet.
func (in *input) readInto(fd uintptr) bool {
	in.pooled = in.pool.Get(in.size)
	in.b = (*in.pooled)[:min(in.size, most)]
	if in.read(fd) {
		return true
	}
	in.pool.Put(in.pooled)
	in.pooled, in.b = nil, nil
	return false
}

// output is a write under way.
type output struct {
	mu sync.Mutex
	// b is what is left to write; n bytes are written.
	b     []byte
	n     int
	fault syscall.Errno

	try func(fd uintptr) bool
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	out := &c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	out.b, out.n, out.fault = b, 0, 0
	sent()
	err := c.raw.Write(out.try)
	out.b = nil
	if err == nil && out.fault != 0 {
		err = os.NewSyscallError("write", out.fault)
	}
	return out.n, err
}

// write writes what the socket takes; false when it takes no more for now.
func (out *output) write(fd uintptr) bool {
	for len(out.b) > 0 {
		n, fault := call(syscall.SYS_WRITE, fd, out.b[:min(len(out.b), most)])
		if fault == syscall.EAGAIN {
			return false
		}
		if fault != 0 {
			out.fault = fault
			return true
		}
		out.b, out.n = out.b[n:], out.n+n
	}
	return true
}

// call makes a system call that does not block, as sockets of package net never do: they wait in the poller.
func call(trap, fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, _, fault := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		if fault == syscall.EINTR {
			continue
		}
		if fault != 0 {
			return 0, fault
		}
		return int(n), 0
	}
}

// moved orders what goroutines of one process do before a write and after the read that gets it, as package syscall does, and only where the
// race detector looks: it cannot know that they are the two ends of one connection.
var moved atomic.Uint32

func sent() {
	if race {
		moved.Add(1)
	}
}

func received() {
	if race {
		moved.Add(1)
	}
}
