//go:build !linux

package stack

import (
	"fmt"
	"runtime"
	"syscall"
)

// ownGroup keeps a terminal's Ctrl-C from reaching the process, which its starter stops in order.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// startOn starts a process that may use all processors.
func startOn(cpus []int, start func() error) error {
	if len(cpus) > 0 {
		return fmt.Errorf("a process cannot be bound to processors on %s", runtime.GOOS)
	}
	return start()
}
