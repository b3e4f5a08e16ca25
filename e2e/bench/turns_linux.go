package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// turns lets the services and the sandbox have the machine in turn: one side is stopped (SIGSTOP) while the other runs.
// What stands between them in a turn is what the kernel's buffers, prefetch and windows hold.
type turns struct {
	services []int
	sandbox  int
	// slice is the services' turn.
	slice time.Duration

	// The services' turns so far, in nanoseconds and by number, and the sandbox's.
	ran, count, rested atomic.Int64
}

const (
	// idleLook is how often the sandbox is looked at in its turn, which ends when it has been idle twice in a row.
	idleLook = 150 * time.Microsecond
	// longestRest bounds the sandbox's turn.
	longestRest = 100 * time.Millisecond
)

// run takes turns until the context ends, and leaves all processes running. It needs a thread of its own: a sleep of
// Go's is not exact enough.
func (t *turns) run(ctx context.Context) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer ahead()()
	defer func() { err = errors.Join(err, signal(unix.SIGCONT, append(slices.Clone(t.services), t.sandbox)...)) }()
	if err := stop(t.sandbox); err != nil {
		return err
	}
	for ctx.Err() == nil {
		began := time.Now()
		if err := signal(unix.SIGCONT, t.services...); err != nil {
			return err
		}
		nap(t.slice)
		if err := stop(t.services...); err != nil {
			return err
		}
		ended := time.Now()
		t.ran.Add(int64(ended.Sub(began)))
		t.count.Add(1)
		if err := t.rest(); err != nil {
			return err
		}
		t.rested.Add(int64(time.Since(ended)))
	}
	return nil
}

// ahead lets the calling thread run as soon as it wakes, ahead of all that it stops, if we may: otherwise turns are
// longer than they were to be. The result undoes it.
func ahead() func() {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return func() {}
	}
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1,
	}, 0); err != nil {
		return func() {}
	}
	return func() { _ = unix.SchedSetAttr(0, before, 0) } // giving up a privilege is always allowed
}

// rest is the sandbox's turn: until it has responded to everything and has nothing to do.
func (t *turns) rest() error {
	if err := signal(unix.SIGCONT, t.sandbox); err != nil {
		return err
	}
	began := time.Now()
	for idle := 0; idle < 2 && time.Since(began) < longestRest; {
		nap(idleLook)
		busy, err := runnable(t.sandbox)
		if err != nil {
			return err
		}
		if idle++; busy {
			idle = 0
		}
	}
	return stop(t.sandbox)
}

// runnable says whether a thread of a process runs or waits for a processor, see proc_pid_stat(5). The time that it has
// used does not say: it stands still as well while other programs have the processors.
func runnable(pid int) (bool, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false, err
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return false, err
		}
		// The state is behind the name in brackets, which may hold anything.
		if i := bytes.LastIndexByte(text, ')'); i >= 0 && len(text) > i+2 && (text[i+2] == 'R' || text[i+2] == 'D') {
			return true, nil
		}
	}
	return false, nil
}

// stop stops processes and returns when each of their threads stands still. They must be our children.
func stop(pids ...int) error {
	if err := signal(unix.SIGSTOP, pids...); err != nil {
		return err
	}
	for _, pid := range pids {
		for {
			err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED, nil)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return fmt.Errorf("process %d does not stop: %w", pid, err)
			}
			break
		}
	}
	return nil
}

func signal(s unix.Signal, pids ...int) error {
	var all error
	for _, pid := range pids {
		if err := unix.Kill(pid, s); err != nil {
			all = errors.Join(all, fmt.Errorf("%v to process %d: %w", s, pid, err))
		}
	}
	return all
}

// nap sleeps by the system's clock.
func nap(d time.Duration) {
	request := unix.NsecToTimespec(int64(d))
	for errors.Is(unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &request, &request), unix.EINTR) {
	}
}

// processorTime is what a process has used so far, user and system, of all threads: the clock that
// clock_getcpuclockid(3) names.
func processorTime(pid int) (time.Duration, error) {
	const ofScheduler = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|ofScheduler, &t); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// bind moves a running process to some processors, all its threads and those to come.
func bind(pid int, cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	// Threads that were made meanwhile inherit what their maker had.
	for bound := -1; ; {
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return err
		}
		if len(threads) == bound {
			return nil
		}
		bound = len(threads)
		for _, thread := range threads {
			tid, err := strconv.Atoi(thread.Name())
			if err != nil {
				return err
			}
			if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("sched_setaffinity of process %d to processors %v: %w", pid, cpus, err)
			}
		}
	}
}

// ownPid is the process that measures.
var ownPid = os.Getpid()

// machineBusy is the time that all processors together have worked for anybody, see proc_stat(5). It is counted in
// hundredths of a second.
func machineBusy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	// cpu user nice system idle iowait irq softirq steal guest guest_nice; guests are in user
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var sum time.Duration
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i != 3 && i != 4 {
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum, nil
}
