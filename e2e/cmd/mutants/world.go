package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/produce"
	"github.com/waybill-data/waybill/sandbox/verify"
)

const (
	// limit bounds one run of a scenario.
	limit = 90 * time.Second
	// patience is how long rows and openings may take: much less than a second, unless the machine is busy.
	patience = 20 * time.Second
)

// quick lets an ingest that was killed come back at once: it is the same member of the group.
const quick = `  instance_id: one
  session_timeout: 30s
  rebalance_timeout: 10s
  drain_timeout: 5s
`

// world is a stack that a scenario is played on.
type world struct {
	*stack.Stack
	ctx context.Context
	// sent is how many events were produced, bad how many of them are no rows.
	sent, bad int64
	// others are processes of the scenario's own.
	others []*stack.Process
}

// play starts a stack, plays the scenario on it, waits until the pipeline is at rest, and returns what verify finds:
// empty when every record is in its table once. mutant is the protection to go without; empty is none.
func (s *scenario) play(ctx context.Context, dir, bin, mutant string) (found string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if dir, err = os.MkdirTemp(dir, or(mutant, "control")+"-"); err != nil {
		return "", err
	}
	st, err := stack.New(stack.Config{
		Dir: dir, Bin: bin, DeliveryPartitions: 1, StockPartitions: 1, IngestYAML: s.ingestYAML, KafkaYAML: quick,
		Env: []string{variable + "=" + mutant},
	})
	if err != nil {
		return "", err
	}
	w := &world{Stack: st, ctx: ctx}
	defer func() {
		// What is to be seen is in the tables; how the processes end is not the matter here.
		for _, p := range append(w.others, st.Ingests[0].Process, st.Writers[0].Process, st.Sandbox) {
			p.Kill()
		}
	}()
	if err := st.Up(ctx); err != nil {
		return "", err
	}
	if err := w.opened(); err != nil {
		return "", err
	}
	if err := s.act(w); err != nil {
		return "", err
	}
	// A mutant may never come to rest. Then verify sees that.
	if err := w.settled(st.Ingests[0]); err != nil && ctx.Err() != nil {
		return "", err
	}
	return w.verify()
}

// verify compares every offset.
func (w *world) verify() (found string, err error) {
	report, err := w.Verify(w.ctx, verify.Config{Topics: verify.Builtin(stack.Dataset)[:1]})
	switch {
	case err != nil:
		return "", err
	case report.Events != w.sent:
		return "", fmt.Errorf("produced %d events, Kafka holds %d", w.sent, report.Events)
	case report.OK():
		return "", nil
	}
	var parts []string
	for _, p := range []struct {
		n    int64
		what string
	}{
		{report.Missing, "lost"},
		{report.Duplicates, "duplicates"},
		{report.OutOfOrder, "out of order"},
		{report.Both, "row and dead letter"},
		{report.Phantom, "phantom"},
		{report.Different, "different"},
		{report.Stray, "stray"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", p.what, p.n))
		}
	}
	return strings.Join(parts, ", "), nil
}

// produce adds events to the delivery topic.
func (w *world) produce(n int64, mix events.Config) error {
	sum, err := produce.Run(w.ctx, produce.Config{
		Seeds: []string{w.Endpoints.Kafka}, Topic: stack.DeliveryTopic, Events: n, First: uint64(w.sent), Codec: "none",
		Generator: mix,
	})
	w.sent += n
	w.bad += sum.Truncated + sum.UnknownTypes
	return err
}

// startIngest starts ingest and waits until it is ready.
func (w *world) startIngest() error { return stack.Up(w.ctx, w.Ingests[0]) }

// opened waits until ingest has opened its lane of the delivery topic.
func (w *world) opened() error { return w.openedBy(w.Ingests[0]) }

func (w *world) openedBy(i *stack.Service) error {
	return w.eventually(patience, func() error {
		l, err := w.lane(i)
		if err == nil && l.State != "open" {
			err = fmt.Errorf("the lane of %s is %s: %s", i.Name, l.State, l.LastError)
		}
		return err
	})
}

// settled waits until an ingest has settled everything that was produced, committed or not.
func (w *world) settled(i *stack.Service) error {
	return w.eventually(patience, func() error {
		l, err := w.lane(i)
		if err == nil && l.Position != w.sent {
			err = fmt.Errorf("the lane of %s is %s at %d of %d: %s", i.Name, l.State, l.Position, w.sent, l.LastError)
		}
		return err
	})
}

// refused waits until an ingest has settled everything or its lane is refused, and says which.
func (w *world) refused(i *stack.Service) (refused bool, err error) {
	err = w.eventually(patience, func() error {
		l, err := w.lane(i)
		if refused = l.State == "refused"; err == nil && !refused && l.Position != w.sent {
			err = fmt.Errorf("the lane of %s is %s at %d of %d: %s", i.Name, l.State, l.Position, w.sent, l.LastError)
		}
		return err
	})
	return refused, err
}

func (w *world) lane(i *stack.Service) (stack.Lane, error) {
	lanes, err := i.Lanes(w.ctx)
	if err != nil {
		return stack.Lane{}, err
	}
	for _, l := range lanes {
		if l.Topic == stack.DeliveryTopic {
			return l, nil
		}
	}
	return stack.Lane{}, fmt.Errorf("%s has no lane yet", i.Name)
}

// written says whether the writer has settled n rows, committed or not.
func (w *world) written(n int64) error {
	m, err := w.Writers[0].Metrics(w.ctx)
	if err != nil {
		return err
	}
	if rows := int64(m.Sum("waybill_writer_rows_total")); rows < n {
		return fmt.Errorf("%d of %d rows are written", rows, n)
	}
	return nil
}

// eventually waits for something that must come.
func (w *world) eventually(limit time.Duration, f func() error) error {
	return stack.Within(w.ctx, limit, 10*time.Millisecond, "it has come", f)
}

// fault makes the sandbox's kafka or bigquery misbehave.
func (w *world) fault(family string, fault map[string]any) error {
	return w.Fault(w.ctx, family, fault)
}

// clear lifts all faults of kafka or bigquery.
func (w *world) clear(family string) error { return w.ClearFaults(w.ctx, family, "") }

// twin lays out an ingest of another group that starts from what this group has committed, checkpoints included.
func (w *world) twin() (*stack.Service, error) {
	const group = stack.Group + "-twin"
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Endpoints.Kafka))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	committed, err := admin.FetchOffsets(w.ctx, stack.Group)
	if err != nil {
		return nil, fmt.Errorf("read what group %s has committed: %w", stack.Group, err)
	}
	if l, ok := committed.Lookup(stack.DeliveryTopic, 0); !ok || l.At != w.sent || l.Metadata == "" {
		return nil, fmt.Errorf("group %s has not committed the end with a checkpoint, but %+v", stack.Group, l)
	}
	if err := admin.CommitAllOffsets(w.ctx, group, committed.Offsets()); err != nil {
		return nil, fmt.Errorf("copy the offsets to group %s: %w", group, err)
	}
	one := w.Ingests[0]
	text, err := os.ReadFile(one.Config)
	if err != nil {
		return nil, err
	}
	changed := bytes.Replace(text, []byte("group: "+stack.Group+"\n"), []byte("group: "+group+"\n"), 1)
	if bytes.Equal(text, changed) {
		return nil, errors.New("the configuration of ingest names no group " + stack.Group)
	}
	config := filepath.Join(w.Config.Dir, "twin.yaml")
	if err := os.WriteFile(config, changed, 0o644); err != nil {
		return nil, err
	}
	process := &stack.Process{
		Name: "twin", Path: one.Path, Args: []string{"serve", "--config", config}, Env: one.Env,
		Log: filepath.Join(w.Config.Dir, "logs", "twin.log"),
	}
	w.others = append(w.others, process)
	return &stack.Service{Process: process, GRPC: one.GRPC, Admin: one.Admin, Config: config}, nil
}
