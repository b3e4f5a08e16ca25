package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/produce"
)

// contracts are the built-in ones, and one whose table gains columns with its schema.
const contracts = "  - builtin: delivery.v6\n  - builtin: stock.v1\n" + stack.Parcels

// load is what is produced, and what goes wrong meanwhile.
type load struct {
	stack *stack.Stack
	// parcels is how many were produced, and version the newest of their schema.
	parcels uint64
	version int
}

func newLoad(s *stack.Stack) *load { return &load{stack: s} }

// start produces until the function that it returns is called, which says what went wrong.
func (l *load) start(ctx context.Context) (end func() error) {
	bad := events.Config{Size: 4000, TruncatedEvery: 100, UnknownTypeEvery: 100}
	deliveries := l.stack.Load(ctx, produce.Config{
		Topic: stack.DeliveryTopic, Rate: 300, Codec: "none", Generator: bad,
	})
	stock := l.stack.Load(ctx, produce.Config{Topic: stack.StockTopic, Rate: 300, Codec: "none"})
	return func() error {
		_, first := deliveries.End()
		_, second := stock.End()
		return errors.Join(first, second)
	}
}

// step is something that goes wrong, and what metrics say once it has.
type step struct {
	what    string
	provoke func(context.Context) error
	seen    func(context.Context) error
}

// trouble has one thing after the other go wrong, until everything that dashboards and alerts look at has happened.
func (l *load) trouble(ctx context.Context, out io.Writer) error {
	s := l.stack
	appends := func(fault map[string]any) func(context.Context) error {
		return func(ctx context.Context) error { return s.Fault(ctx, stack.BigQuery, fault) }
	}
	for _, step := range []step{
		{
			what:    "rows arrive, and dead letters",
			provoke: func(context.Context) error { return nil },
			seen: l.all(
				l.counted(s.Ingests, "waybill_ingest_settled_rows_total", "topic", events.ParcelTopic),
				l.counted(s.Ingests, "waybill_ingest_dead_letters_total", "reason", "undecodable"),
				l.counted(s.Ingests, "waybill_ingest_dead_letters_total", "reason", "unknown_type"),
			),
		},
		{
			what:    "BigQuery is out of quota",
			provoke: appends(map[string]any{"kind": "quota", "method": "append", "count": 40}),
			seen:    l.counted(s.Writers, "waybill_writer_faults_total", "code", "RESOURCE_EXHAUSTED"),
		},
		{
			what:    "BigQuery refuses rows",
			provoke: appends(map[string]any{"kind": "row_errors", "every": 100, "count": 20}),
			seen:    l.counted(s.Writers, "waybill_writer_rows_refused_total"),
		},
		{
			what: "BigQuery does not know a new column",
			provoke: func(ctx context.Context) error {
				fault := map[string]any{"kind": "schema_delay", "delay": "3s"}
				return errors.Join(s.Fault(ctx, stack.BigQuery, fault), l.parcel(ctx))
			},
			seen: l.counted(s.Writers, "waybill_writer_faults_total", "code", "SCHEMA_MISMATCH_EXTRA_FIELDS"),
		},
		{
			what:    "a writer is killed",
			provoke: func(ctx context.Context) error { s.Writers[0].Kill(); return s.Writers[0].Restart(ctx) },
			seen:    l.counted(s.Ingests, "waybill_ingest_lane_calls_total", "outcome", "broken"),
		},
		{
			what:    "an ingest is killed",
			provoke: func(ctx context.Context) error { return s.Ingests[1].Restart(ctx) },
			seen:    l.counted(s.Ingests[1:], "waybill_ingest_settled_rows_total"),
		},
	} {
		if err := step.provoke(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		if err := stack.Poll(ctx, 100*time.Millisecond, step.what, func() error { return step.seen(ctx) }); err != nil {
			return err
		}
		fmt.Fprintln(out, step.what)
	}
	return nil
}

// parcel produces parcels of a version of their schema that nobody has seen.
func (l *load) parcel(ctx context.Context) error {
	const parcels = 100
	l.version++
	_, err := produce.Run(ctx, produce.Config{
		Seeds: l.stack.Seeds(), Topic: events.ParcelTopic, Registry: "http://" + l.stack.Endpoints.Registry,
		SchemaVersion: l.version, Partitions: 4, Events: parcels, First: l.parcels, Codec: "none",
	})
	l.parcels += parcels
	return err
}

// counted says that a counter of one of the services has counted something.
func (l *load) counted(services []*stack.Service, name string, labels ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, s := range services {
			if m, err := s.Metrics(ctx); err == nil && m.Sum(name, labels...) > 0 {
				return nil
			}
		}
		return fmt.Errorf("%s%q is 0", name, labels)
	}
}

func (l *load) all(seen ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, s := range seen {
			if err := s(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}
