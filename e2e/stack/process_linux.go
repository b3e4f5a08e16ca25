package stack

import "syscall"

// ownGroup keeps a terminal's Ctrl-C from reaching the process, which its starter stops in order, and ends the process with its starter.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
