package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// group is the processes that p has started, p itself among them: those of its process group, by /proc/PID/stat, see
// proc_pid_stat(5).
func group(leader int) (pids []int, cpu time.Duration, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, 0, err
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue // no process
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		pgrp, ticks, err := parseStat(string(text))
		if err != nil {
			return nil, 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		if pgrp == leader {
			pids = append(pids, pid)
			cpu += time.Duration(ticks) * (time.Second / userHZ)
		}
	}
	return pids, cpu, nil
}

// userHZ is the unit of processor time in /proc, the same on every Linux that Go runs on.
const userHZ = 100

// parseStat reads the process group and the processor time of a process and of the children that it has waited for,
// user and system.
func parseStat(text string) (pgrp int, ticks int64, err error) {
	// The name stands in parentheses and may hold anything. After it: state ppid pgrp … and, from the twelfth, utime
	// stime cutime cstime.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return 0, 0, fmt.Errorf("%d fields behind the name", len(fields))
	}
	if pgrp, err = strconv.Atoi(fields[2]); err != nil {
		return 0, 0, err
	}
	for _, field := range fields[11:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		ticks += n
	}
	return pgrp, ticks, nil
}

// groupTime is the processor time that programs have used, with all that they have started, to a hundredth of a second.
func groupTime(programs []*stack.Process) (sum time.Duration, err error) {
	for _, p := range programs {
		_, cpu, err := group(p.Pid())
		if err != nil {
			return 0, err
		}
		sum += cpu
	}
	return sum, nil
}

// groupPeak is the most memory that programs had, with all that they have started, in 10^6 bytes: the sum of each one's
// most.
func groupPeak(programs []*stack.Process) (sum float64, err error) {
	for _, p := range programs {
		pids, _, err := group(p.Pid())
		if err != nil {
			return 0, err
		}
		for _, pid := range pids {
			peak, err := peakMemory(pid)
			if err != nil {
				return 0, err
			}
			sum += peak / 1e6
		}
	}
	return sum, nil
}
