//go:build !race

package sockets

import (
	"syscall"
	"unsafe"
)

// read and write make one system call each. It does not block, as those of package net's sockets never do: they wait in the poller.

func read(fd uintptr, b []byte) (int, syscall.Errno) { return call(syscall.SYS_READ, fd, b) }

func write(fd uintptr, b []byte) (int, syscall.Errno) { return call(syscall.SYS_WRITE, fd, b) }

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
