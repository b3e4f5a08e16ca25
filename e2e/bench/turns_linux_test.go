package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
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

// The sides never work at the same time: each uses no more than its turns, and what it may use before the first of them
// and after the last, when all run: that takes long where somebody else has the processors. At the end both go on.
func TestTurns(t *testing.T) {
	const endless = "while :; do :; done"
	turns := turns{
		services: []int{spin(t, endless), spin(t, endless)}, sandbox: spin(t, endless), slice: 2 * time.Millisecond,
	}
	before := [3]time.Duration{}
	pids := [3]int{turns.services[0], turns.services[1], turns.sandbox}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	used := func(i int) time.Duration {
		now, err := processorTime(pids[i])
		if err != nil {
			t.Error(err)
		}
		return now - before[i]
	}
	for i := range pids {
		before[i] = used(i)
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		defer cancel()
		for ctx.Err() == nil && (turns.count.Load() < 10 || used(0) == 0 || used(1) == 0 || used(2) == 0) {
			time.Sleep(10 * time.Millisecond)
		}
	})
	err := turns.run(ctx)
	cancel()
	if watching.Wait(); err != nil {
		t.Fatal(err)
	}
	if turns.count.Load() < 10 {
		t.Errorf("%d turns in a minute", turns.count.Load())
	}
	ran, rested := time.Duration(turns.ran.Load()), time.Duration(turns.rested.Load())
	for i, most := range []time.Duration{ran, ran, rested} {
		used, whole := used(i), time.Since(began)
		if used > most+whole-ran-rested+20*time.Millisecond || used == 0 {
			t.Errorf("process %d used %v in turns of %v, of %v in all", i, used, most, whole)
		}
		if standsStill(t, pids[i]) {
			t.Errorf("process %d does not go on", i)
		}
	}
}

// A sandbox with nothing to do ends its turn; one that works does not.
func TestRunnable(t *testing.T) {
	busy, idle := spin(t, "while :; do :; done"), spin(t, "exec sleep 60")
	deadline := time.Now().Add(time.Minute)
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
