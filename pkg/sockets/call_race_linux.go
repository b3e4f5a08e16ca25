//go:build race

package sockets

import (
	"errors"
	"syscall"
)

// Under the race detector package syscall makes the calls: it alone can tell the detector that what a goroutine does before a write comes before
// what another does after it has read that.

func read(fd uintptr, b []byte) (int, syscall.Errno) { return call(syscall.Read, fd, b) }

func write(fd uintptr, b []byte) (int, syscall.Errno) { return call(syscall.Write, fd, b) }

func call(do func(fd int, b []byte) (int, error), fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, err := do(int(fd), b)
		fault, _ := errors.AsType[syscall.Errno](err)
		if fault == syscall.EINTR {
			continue
		}
		return max(n, 0), fault
	}
}
