package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/verify"
)

// ContainersConfig of a run with docker-compose.yml.
type ContainersConfig struct {
	// Compose is the command that is docker compose, and Docker the engine's, each with its first arguments.
	Compose, Docker []string
	// Writers are how many there are.
	Writers int
	// Out is for a person.
	Out io.Writer
}

const (
	// pullTime is how long a command of the engine may take.
	pullTime = 5 * time.Minute
	// containersGoal is the longest silence of a lane that is promised while writers of containers are updated.
	containersGoal = 2 * time.Second
	// ingestOfCompose and sandboxOfCompose are the admin addresses that docker-compose.yml publishes.
	ingestOfCompose, sandboxOfCompose = "127.0.0.1:7081", "127.0.0.1:19059"
	// lanesOfCompose is how many partitions the sandbox makes of the topic.
	lanesOfCompose = 8
	// opensWithin is how long lanes may take to open and to settle something, and to end with everything settled.
	opensWithin = 3 * time.Minute
)

// containers is such a run under way.
type containers struct {
	ContainersConfig
	watch *watch
}

// Containers starts the services of docker-compose.yml with several writers and a load, and replaces one writer after
// the other: a new container takes lanes before an old one is stopped. It compares every offset in the end. The
// containers are left to whoever called.
func Containers(ctx context.Context, config ContainersConfig) (report Report, err error) {
	services := &stack.Stack{
		Endpoints: stack.Endpoints{Admin: sandboxOfCompose},
		Ingests:   []*stack.Service{{Process: &stack.Process{Name: "ingest"}, Admin: ingestOfCompose}},
	}
	c := &containers{ContainersConfig: config, watch: newWatch(services, lanesOfCompose)}
	c.watch.topic, c.watch.others = stack.DeliveryTopic, true
	if err := c.scale(ctx, config.Writers); err != nil {
		return report, err
	}
	if _, err := c.compose(ctx, "--profile", "load", "up", "--detach", "--no-deps", "load"); err != nil {
		return report, err
	}
	defer c.watch.begin(ctx)()
	if err := c.settle(ctx); err != nil {
		return report, err
	}
	writers, _ := c.watch.counts()
	fmt.Fprintf(config.Out, "%d lanes over %d writers\n", c.watch.settled(), len(writers))
	row, err := c.update(ctx)
	if err != nil {
		return report, err
	}
	fmt.Fprintf(config.Out, "%s: %.1f s, silence %.2f s, moved %d, streams created %d, finalized %d\n",
		row.What, row.Even.Seconds(), row.Silence.Seconds(), row.Moved, row.Created, row.Finalized)
	report.Rows = append(report.Rows, *row)
	if _, err := c.compose(ctx, "--profile", "load", "stop", "load"); err != nil {
		return report, err
	}
	report.Verified, err = c.verify(ctx)
	report.Produced = report.Verified.Events
	return report, err
}

// SilenceMissed says by how much a lane was silent for longer than is promised of containers; empty when none was.
func (r *Report) SilenceMissed() string {
	if s := r.silence(); s > containersGoal {
		return fmt.Sprintf("a lane was silent for %.2f s, the goal is %v", s.Seconds(), containersGoal)
	}
	return ""
}

// PrintContainers writes what came of a run with containers; the last line is short.
func (r *Report) PrintContainers(out io.Writer) error {
	r.offences(out)
	_, err := fmt.Fprintf(out, "containers: silence %.2f s, finalized %d, events %d, lost %d, duplicates %d\n",
		r.silence().Seconds(), r.finalized(), r.Verified.Events, r.lost(), r.duplicates())
	return err
}

// scale brings up the services, with so many writers, and leaves those that run.
func (c *containers) scale(ctx context.Context, writers int) error {
	_, err := c.compose(ctx, "up", "--wait", "--no-recreate", "--scale", fmt.Sprintf("writer=%d", writers))
	return err
}

// update replaces each writer.
func (c *containers) update(ctx context.Context) (*Row, error) {
	listed, err := c.compose(ctx, "ps", "--quiet", "writer")
	if err != nil {
		return nil, err
	}
	old := strings.Fields(listed)
	if len(old) != c.Writers {
		return nil, fmt.Errorf("%d containers of writers run, want %d", len(old), c.Writers)
	}
	row, end, err := c.watch.row(ctx, fmt.Sprintf("rolling update of %d containers", len(old)))
	if err != nil {
		return nil, err
	}
	began := time.Now()
	for _, container := range old {
		if err := c.scale(ctx, c.Writers+1); err != nil {
			return nil, err
		}
		for _, args := range [][]string{{"stop", "--time", "40", container}, {"rm", container}} {
			if _, err := command(ctx, slices.Concat(c.Docker, args)); err != nil {
				return nil, err
			}
		}
	}
	row.Even = time.Since(began)
	if err := stack.Pause(ctx, watched); err != nil {
		return nil, err
	}
	return row, end("")
}

// settle waits until every lane of the topic is open and has settled something.
func (c *containers) settle(ctx context.Context) error {
	return stack.Within(ctx, opensWithin, lookEvery, "all lanes settle", func() error {
		open := 0
		writers, _ := c.watch.counts()
		for _, n := range writers {
			open += n
		}
		if settled := c.watch.settled(); open != lanesOfCompose || settled != open || len(writers) != c.Writers {
			return fmt.Errorf("%d lanes are open, %d of %d settle, at %d of %d writers",
				open, settled, lanesOfCompose, len(writers), c.Writers)
		}
		return nil
	})
}

// verify compares every offset, as soon as no lane is behind.
func (c *containers) verify(ctx context.Context) (report verify.Report, err error) {
	err = stack.Within(ctx, opensWithin, 100*time.Millisecond, "no lane is behind, after the load ended", func() error {
		behind := 0
		lanes, err := c.watch.stack.Ingests[0].Lanes(ctx)
		for _, l := range lanes {
			if l.Lag != 0 { // -1: not known yet
				behind++
			}
		}
		if err == nil && behind > 0 {
			err = fmt.Errorf("%d lanes are", behind)
		}
		return err
	})
	if err != nil {
		return report, err
	}
	text, err := c.compose(ctx, "exec", "-T", "sandbox", "/bin/sandbox", "verify", "--json")
	if text == "" && err != nil {
		return report, err
	}
	err = json.Unmarshal([]byte(text), &report) // verify's status says no more than the report
	return report, err
}

func (c *containers) compose(ctx context.Context, args ...string) (string, error) {
	return command(ctx, slices.Concat(c.Compose, args))
}

// command runs a program and returns what it prints.
func command(ctx context.Context, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, pullTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return string(out), fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}
