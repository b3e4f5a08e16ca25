package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

func TestParseStat(t *testing.T) {
	// As proc_pid_stat(5) has it: the name may hold spaces and parentheses.
	const text = "4242 (a (b) 7 c) S 1 4200 4200 0 -1 4194304 900 800 0 0 31 17 5 2 20 0 9 0 12345 1000 200"
	pgrp, ticks, err := parseStat(text)
	if err != nil || pgrp != 4200 || ticks != 31+17+5+2 {
		t.Errorf("group %d, %d ticks, %v", pgrp, ticks, err)
	}
	for _, wrong := range []string{
		"", "1 (x) S", "1 (x) S 1 two 3 0 -1 4 9 8 0 0 31 17 5 2 20", "1 (x) S 1 2 3 0 -1 4 9 8 0 0 31 many 5 2 20",
	} {
		if _, _, err := parseStat(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// What a program's children use counts as its own, while they run and after they have ended, and they end with it.
func TestGroup(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	done, child := filepath.Join(dir, "done"), filepath.Join(dir, "child")
	// The first child works and ends, the second one stays and ignores SIGTERM.
	script := fmt.Sprintf(`sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done';
		sh -c 'trap "" TERM; echo $$ >%s; while :; do sleep 1; done' & touch %s; wait`, child, done)
	p := &stack.Process{Name: "tree", Path: sh, Args: []string{"-c", script}, Log: filepath.Join(dir, "log")}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	var orphan string
	err = p.Await(t.Context(), func(context.Context) error {
		if _, err := os.Stat(done); err != nil {
			return err
		}
		text, err := os.ReadFile(child)
		if orphan = strings.TrimSpace(string(text)); err == nil && orphan == "" {
			err = errors.New("no pid yet")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pids, cpu, err := group(p.Pid())
	if err != nil || len(pids) < 2 {
		t.Errorf("processes %v, %v", pids, err)
	}
	if cpu < 20*time.Millisecond {
		t.Errorf("%v of processor time; counting to 300,000 takes a shell longer", cpu)
	}
	if peak, err := groupPeak([]*stack.Process{p}); err != nil || peak <= 0 {
		t.Errorf("peak %v, %v", peak, err)
	}
	if err := endGroup(p); err != nil {
		t.Fatal(err)
	}
	for ctx := t.Context(); ; {
		text, err := os.ReadFile("/proc/" + orphan + "/stat")
		if err != nil || strings.Contains(string(text), ") Z ") {
			return // gone, or dead and not yet waited for
		}
		if ctx.Err() != nil {
			t.Fatalf("process %s lives on", orphan)
		}
		time.Sleep(10 * time.Millisecond) // Nothing reports the end of a process that is not one's child.
	}
}
