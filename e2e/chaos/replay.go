package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// replayTries bounds how long a replay is tried again: faults end, and so does what a killed replay has left open.
const replayTries = 40 * time.Second

// replayInStorm has the refused records produced again: a first replay is killed, and then they are run until one comes
// to its end, for an open transaction keeps every reader from what follows it.
func (r *run) replayInStorm(ctx context.Context, d Disturbance) error {
	if !r.replaying.TryLock() {
		r.line("  left out: the last replay has not ended")
		return nil
	}
	defer r.replaying.Unlock()
	short, cancel := context.WithTimeout(ctx, d.For)
	err := r.replay(short)
	cancel()
	if err == nil || ctx.Err() != nil {
		return nil // it was quicker, or the run is over
	}
	return r.replayUntilDone(ctx)
}

// replayToTheEnd replays what is left when the storm is over.
func (r *run) replayToTheEnd(ctx context.Context) error {
	r.replaying.Lock()
	defer r.replaying.Unlock()
	return r.replayUntilDone(ctx)
}

func (r *run) replayUntilDone(ctx context.Context) error {
	const what = "a replay of dead letters comes to its end"
	return stack.Within(ctx, replayTries, 300*time.Millisecond, what, func() error { return r.replay(ctx) })
}

// replay runs `ingest dead-letters replay` once. It is killed when ctx ends.
func (r *run) replay(ctx context.Context) error {
	path := filepath.Join(r.config.Dir, "logs", "replay.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "--- %s\n", time.Now().Format(time.RFC3339Nano))
	cmd := exec.CommandContext(ctx, filepath.Join(r.config.Bin, "ingest"), "dead-letters", "replay", "--reason",
		"refused", "--config", r.stack.Ingests[0].Config)
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Run()
	killed := err != nil && ctx.Err() != nil
	r.results.replayed(killed)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && !killed {
		return fmt.Errorf("%w, see %s", err, path)
	}
	return err
}

func (r *results) replayed(killed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replays++
	if killed {
		r.replayKills++
	}
}
