package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/produce"
)

// workload is records of one kind.
type workload struct {
	name, topic string
	events      int64
}

func (c *command) workloads() []workload {
	return []workload{
		{"delivery", stack.DeliveryTopic, c.Deliveries},
		{"stock", stack.StockTopic, c.Stock},
	}
}

// measure is what moving a workload took.
type measure struct {
	workload
	payload        int64 // bytes of Kafka values
	took           time.Duration
	ingest, writer float64 // processor seconds
	ingestRSS      float64 // peak resident bytes, sampled
	writerRSS      float64
}

func (m measure) cpu() float64 { return m.ingest + m.writer }

// measure moves a workload c.Runs times and returns the run with the median processor time.
func (c *command) measure(ctx context.Context, w workload) (measure, error) {
	var runs []measure
	for range c.Runs {
		m, err := c.once(ctx, w)
		if err != nil {
			return measure{}, err
		}
		runs = append(runs, m)
	}
	slices.SortFunc(runs, func(a, b measure) int { return cmp.Compare(a.cpu(), b.cpu()) })
	return runs[len(runs)/2], nil
}

// once fills Kafka first and starts the services then, so that neither the producer nor an idle service is measured. The emulator counts
// rows and keeps none.
func (c *command) once(ctx context.Context, w workload) (m measure, err error) {
	m.workload = w
	dir, err := os.MkdirTemp("", "waybill-bench-")
	if err != nil {
		return m, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := stack.New(stack.Config{Dir: dir, Bin: c.Bin, StockPartitions: 8, SandboxArgs: []string{"--discard"}})
	if err != nil {
		return m, err
	}
	defer func() {
		if down := s.Down(20 * time.Second); err == nil {
			err = down
		}
	}()
	if err := s.UpSandbox(ctx); err != nil {
		return m, err
	}
	sum, err := produce.Run(ctx, produce.Config{
		Seeds: []string{s.Endpoints.Kafka}, Topic: w.topic, Events: w.events, Codec: "none",
		Generator: events.Config{Seed: 1, ContainerEvery: -1, TruncatedEvery: -1, UnknownTypeEvery: -1},
	})
	if err != nil {
		return m, err
	}
	m.payload = sum.Bytes
	if err := s.UpServices(ctx); err != nil {
		return m, err
	}
	began := time.Now()
	if err := m.await(ctx, s); err != nil {
		return m, err
	}
	m.took = time.Since(began)
	ingest, err := s.Ingests[0].Metrics(ctx)
	if err != nil {
		return m, err
	}
	writer, err := s.Writers[0].Metrics(ctx)
	if err != nil {
		return m, err
	}
	m.ingest, m.writer = ingest.CPUSeconds(), writer.CPUSeconds()
	return m, nil
}

// await watches until every row is settled.
func (m *measure) await(ctx context.Context, s *stack.Stack) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	moved, last := time.Now(), int64(0)
	for last < m.events {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now, err := s.Ingests[0].Metrics(ctx)
		if err != nil {
			continue
		}
		if w, err := s.Writers[0].Metrics(ctx); err == nil {
			m.writerRSS = max(m.writerRSS, w.ResidentBytes())
		}
		m.ingestRSS = max(m.ingestRSS, now.ResidentBytes())
		if n := int64(now.Sum("waybill_ingest_settled_rows_total")); n > last {
			moved, last = time.Now(), n
		}
		if time.Since(moved) > time.Minute {
			return fmt.Errorf("nothing has settled for a minute, %d of %d rows: see %s", last, m.events, s.Ingests[0].Log)
		}
	}
	return nil
}
