package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// job moves the events: it produces them, watches, and kills the writer halfway.
type job struct {
	*command
	stack *stack.Stack
	out   io.Writer

	log    *stack.Log
	screen screen
	began  time.Time
	killed bool
	last   reading // the last reading, and when settled moved last
	moved  time.Time
}

// reading is what is known at one moment.
type reading struct {
	at                time.Time
	produced, settled int64
	rowBytes          float64
	lanes             []stack.Lane
}

// pause is how long the writer stays down after it was killed, as a supervisor would need to bring it back.
const pause = 500 * time.Millisecond

func (j *job) move(ctx context.Context) error {
	var err error
	if j.log, err = j.stack.Log(); err != nil {
		return err
	}
	defer j.log.Close()
	producer := &stack.Process{
		Name: "produce", Path: j.stack.Sandbox.Path, Log: filepath.Join(j.Dir, "logs", "produce.log"),
		Args: []string{
			"produce", "--sandbox", filepath.Join(j.Dir, "sandbox.json"), "--topic", stack.DeliveryTopic,
			"--events", strconv.Itoa(j.Events), "--rate", strconv.Itoa(j.Rate), "--seed",
			strconv.FormatUint(j.Seed, 10),
		},
	}
	if err := producer.Start(); err != nil {
		return err
	}
	defer producer.Kill()
	j.screen = newScreen(j.out)
	j.began, j.moved = time.Now(), time.Now()

	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	producing := producer.Exited()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-producing:
			if err := producer.Stop(0); err != nil {
				return fmt.Errorf("the producer failed: %w", err)
			}
			producing = nil
		case <-j.stack.Sandbox.Exited():
			return errors.New("the sandbox ended: " + j.stack.Sandbox.Log)
		case <-j.stack.Ingests[0].Exited():
			return errors.New("ingest ended: " + j.stack.Ingests[0].Log)
		case <-tick.C:
		}
		now := j.read(ctx)
		if !j.killed && now.settled >= int64(j.Events)/2 {
			if err := j.killWriter(ctx, now); err != nil {
				return err
			}
			continue
		}
		j.show(now)
		if producing == nil && now.settled >= int64(j.Events) {
			j.screen.end()
			took := time.Since(j.began)
			fmt.Fprintf(j.out, "\nsettled %s events in %.1f s, %s events/s\n\n",
				count(now.settled), took.Seconds(), count(int64(float64(now.settled)/took.Seconds())))
			return nil
		}
		if time.Since(j.moved) > j.Stall {
			return fmt.Errorf("nothing has settled for %v: settled %d of %d%s",
				j.Stall, now.settled, j.Events, lastErrors(now.lanes))
		}
	}
}

// read asks Kafka and ingest. What does not respond keeps its last value: a busy process is no fault.
func (j *job) read(ctx context.Context) reading {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	now := j.last
	now.at = time.Now()
	if n, err := j.log.Produced(ctx, topics...); err == nil {
		now.produced = n
	}
	if lanes, err := j.stack.Ingests[0].Lanes(ctx); err == nil {
		now.lanes, now.settled = now.lanes[:0], 0
		for _, l := range lanes {
			if l.Topic == stack.DeliveryTopic {
				now.lanes = append(now.lanes, l)
				now.settled += max(l.Position, 0)
			}
		}
	}
	if m, err := j.stack.Ingests[0].Metrics(ctx); err == nil {
		now.rowBytes = m.Sum("waybill_ingest_row_bytes_total")
	}
	// A lane that opens again shows its committed position, which may be behind what had settled.
	now.settled = max(now.settled, j.last.settled)
	if now.settled > j.last.settled {
		j.moved = now.at
	}
	return now
}

// killWriter ends the writer as a crash would, and brings it back as a supervisor would.
func (j *job) killWriter(ctx context.Context, now reading) error {
	w := j.stack.Writers[0]
	pid := w.Pid()
	w.Kill()
	j.killed = true
	j.screen.line(fmt.Sprintf("%s  writer killed with SIGKILL (pid %d) at %s settled", j.clock(), pid,
		count(now.settled)))
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := w.Start(); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := w.Await(ready, w.Ready); err != nil {
		return err
	}
	j.screen.line(fmt.Sprintf("%s  writer started again (pid %d)", j.clock(), w.Pid()))
	return nil
}

func (j *job) clock() string {
	s := int(time.Since(j.began).Seconds())
	return fmt.Sprintf("%3d:%02d", s/60, s%60)
}

func lastErrors(lanes []stack.Lane) string {
	for _, l := range lanes {
		if l.LastError != "" {
			return fmt.Sprintf("; lane %s/%d is %s: %s", l.Topic, l.Partition, l.State, l.LastError)
		}
	}
	return ""
}
