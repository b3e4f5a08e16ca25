package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Events int           `default:"20000" help:"Delivery events to produce."`
	Rate   int           `default:"0" help:"Events a second; 0 is flat out."`
	Seed   uint64        `default:"1" help:"Seed of the generator; the same seed gives the same events."`
	Keep   bool          `help:"Stay up afterwards, for SQL, grpcurl and a look at the logs, until Ctrl-C."`
	Lanes  bool          `help:"Show every lane in the progress."`
	Dir    string        `default:".waybill" help:"Folder for data, configuration and logs; removed at the end unless --keep or a failure." type:"path"`
	Bin    string        `default:"bin" help:"Folder of the binaries sandbox, writer and ingest." type:"path"`
	Stall  time.Duration `default:"60s" help:"Give up when nothing has settled for this long."`
}

var topics = []string{stack.DeliveryTopic}

// Run does the job and shows it.
func (c *command) Run(ctx context.Context, std cli.Streams) error { return c.run(ctx, std.Out) }

func (c *command) run(ctx context.Context, out io.Writer) (err error) {
	if c.Events <= 0 || c.Rate < 0 {
		return fmt.Errorf("--events must be positive and --rate not negative, got %d and %d", c.Events, c.Rate)
	}
	unlock, err := claimDir(c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := stack.New(stack.Config{Dir: c.Dir, Bin: c.Bin, FixedPorts: true})
	if err != nil {
		return err
	}
	defer func() {
		down := s.Down(15 * time.Second)
		switch {
		case err != nil:
			err = fmt.Errorf("%w\n  the logs are in %s", err, filepath.Join(c.Dir, "logs"))
		case down != nil:
			err = fmt.Errorf("everything was verified, but a process did not stop in order: %w", down)
		case c.Keep:
			fmt.Fprintf(out, "Data, configuration and logs stay in %s\n", here(c.Dir))
		default:
			err = os.RemoveAll(c.Dir)
		}
	}()

	fmt.Fprintf(out, "Waybill on the sandbox: %s events from Kafka into BigQuery, each exactly once\n\n",
		count(int64(c.Events)))
	start, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.Up(start); err != nil {
		return interrupted(ctx, err)
	}
	showStack(out, s)

	j := &job{command: c, stack: s, out: out}
	if err := j.move(ctx); err != nil {
		return interrupted(ctx, err)
	}
	if err := c.show(ctx, out, s); err != nil {
		return interrupted(ctx, err)
	}
	last, err := c.verify(ctx, out, s)
	if err != nil {
		return interrupted(ctx, err)
	}
	c.showNext(out, s)
	if c.Keep {
		fmt.Fprintf(out, "%s\n\nStaying up; Ctrl-C ends it.\n", last)
		<-ctx.Done()
		return nil
	}
	fmt.Fprintln(out, last)
	return nil
}

// interrupted says what a person did rather than what broke because of it.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// claimDir makes dir ours: empty, and locked against a second run.
func claimDir(dir string) (unlock func(), err error) {
	lock := dir + ".lock"
	if pid, err := os.ReadFile(lock); err == nil {
		if alive(string(pid)) {
			return nil, fmt.Errorf("another run (pid %s) uses %s: end it, or give --dir another folder", pid, dir)
		}
		_ = os.Remove(lock)
	}
	f, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", dir, err)
	}
	fmt.Fprint(f, os.Getpid())
	f.Close()
	if _, err := os.Stat(dir); err == nil && !ours(dir) {
		_ = os.Remove(lock)
		return nil, fmt.Errorf("%s exists and is not a folder of an earlier run: give --dir another folder", dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, marker), nil, 0o644); err != nil {
		return nil, err
	}
	return func() { _ = os.Remove(lock) }, nil
}

// marker distinguishes a folder that a run made from anything else: it is never right to delete the latter.
const marker = "made-by-make-run"

func ours(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, marker))
	return err == nil
}
