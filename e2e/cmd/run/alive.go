package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// alive says whether a process with this number, as text, lives.
func alive(pid string) bool {
	n, err := strconv.Atoi(strings.TrimSpace(pid))
	if err != nil || n <= 0 {
		return false
	}
	p, err := os.FindProcess(n)
	return err == nil && p.Signal(syscall.Signal(0)) == nil
}
