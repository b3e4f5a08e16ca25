package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// spin is a process that never has nothing to do.
func spin(t *testing.T, script string) int {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", "-c", script)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	})
	return c.Process.Pid
}

func standsStill(t *testing.T, pid int) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(text), ") T ")
}

// The sides never work at the same time: each uses no more than its turns. At the end both go on.
func TestTurns(t *testing.T) {
	const endless = "while :; do :; done"
	turns := turns{
		services: []int{spin(t, endless), spin(t, endless)}, sandbox: spin(t, endless), slice: 2 * time.Millisecond,
	}
	before := [3]time.Duration{}
	pids := [3]int{turns.services[0], turns.services[1], turns.sandbox}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var err error
	for i, pid := range pids {
		if before[i], err = processorTime(pid); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if err := turns.run(ctx); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(began)
	if turns.count.Load() < 2 {
		t.Errorf("%d turns in %v", turns.count.Load(), whole)
	}
	for i, most := range []int64{turns.ran.Load(), turns.ran.Load(), turns.rested.Load()} {
		after, err := processorTime(pids[i])
		if err != nil {
			t.Fatal(err)
		}
		// Before the first turn and after the last all of them run for a moment.
		if used := after - before[i]; used > time.Duration(most)+20*time.Millisecond || used == 0 {
			t.Errorf("process %d used %v in turns of %v, of %v in all", i, used, time.Duration(most), whole)
		}
		if standsStill(t, pids[i]) {
			t.Errorf("process %d does not go on", i)
		}
	}
}

// A sandbox with nothing to do ends its turn; one that works does not.
func TestRunnable(t *testing.T) {
	busy, idle := spin(t, "while :; do :; done"), spin(t, "exec sleep 60")
	deadline := time.Now().Add(10 * time.Second)
	for {
		works, err := runnable(busy)
		if err != nil {
			t.Fatal(err)
		}
		rests, err := runnable(idle)
		if err != nil {
			t.Fatal(err)
		}
		if works && !rests {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a spinning process is runnable: %v; a sleeping one: %v", works, rests)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestProcessorTime(t *testing.T) {
	before, err := processorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < 30*time.Millisecond; {
	}
	after, err := processorTime(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("%v, then %v, %v", before, after, err)
	}
	if busy, err := machineBusy(); err != nil || busy <= 0 {
		t.Errorf("the machine has worked for %v, %v", busy, err)
	}
}
