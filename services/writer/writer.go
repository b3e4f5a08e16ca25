// Package writer is the service that owns the BigQuery write streams: lanes come in over gRPC, their rows go out to
// BigQuery. It is stateless: any writer can carry any lane.
//
//	c, err := writer.Load("writer.yaml")        // every problem at once, or none
//	err = writer.Run(ctx, c, service.Env{Log: log, Registry: registry})
//
// Run wires the parts and waits for them: the sink (internal/sink) is BigQuery, lanes (internal/lane) append to it by
// the law of the checkpoint (internal/checkpoint). Two servers face outwards: gRPC with the lane protocol, health and
// reflection (server.go), and the admin server with metrics and the list of lanes.
package writer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/waybill-data/waybill/pkg/admin"
	"github.com/waybill-data/waybill/pkg/events"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/statuspage"
	"github.com/waybill-data/waybill/pkg/tracing"
	"github.com/waybill-data/waybill/pkg/version"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
	"github.com/waybill-data/waybill/services/writer/internal/sink"
)

// Run carries lanes until ctx ends, then lets them drain, and returns nil. BigQuery being away is waited for; an error
// is one of configuration, or an address that is taken.
func Run(ctx context.Context, c Config, env service.Env) error {
	env.Fill()
	ring := events.New(c.Name, 0)
	env.Log = slog.New(ring.Handler(env.Log.Handler()))
	ports, err := service.Secure(c.GRPC.port(), &c.Admin, c.Access, &env)
	if err != nil {
		return err
	}
	keys, err := c.Checkpoint.ring(env.Log)
	if err != nil {
		return fmt.Errorf("checkpoint.keys: %w", err)
	}
	tracer, err := tracing.Open(ctx, &c.Tracing, "waybill-writer", env.Log)
	if err != nil {
		return err
	}
	defer tracer.Close()
	if err := env.Listen(ctx, c.GRPC.Listen, c.Admin.Listen); err != nil {
		return err
	}
	bigQuery, err := sink.Open(ctx, c.BigQuery, sink.Env{
		Log: env.Log, Registry: env.Registry,
		Version: version.String(),
	})
	if err != nil {
		return errors.Join(err, env.GRPC.Close(), env.Admin.Close())
	}
	host, _ := os.Hostname() // Without a name there is none in logs.
	budget := lane.NewBudget(c.Memory.Size())
	lanes := &lane.Service{
		Sink: bigQuery, Limits: c.lane(), Budget: budget, Log: env.Log, Metrics: lane.NewMetrics(env.Registry),
		Name: cmp.Or(c.Name, host), Project: c.BigQuery.Project, Dataset: c.BigQuery.Dataset, Live: env.Lanes,
		Awaits: service.Await, Carries: service.Carry,
		Keys:   keys,
		Tracer: tracer,
	}
	tables := &lane.Tables{Comparer: bigQuery, Project: c.BigQuery.Project, Dataset: c.BigQuery.Dataset}
	carried := newLoad(lanes, budget, env.Registry)
	// The admin server outlives the lanes, so that one can watch them drain.
	work, stop := context.WithCancel(ctx)
	defer stop()
	view := newView(env, lanes, bigQuery, carried, func() error { return ready(work) }, ring)
	acts := &steer{lanes: lanes, self: view.Self, log: env.Log}
	carried.drained = acts.isDrained
	front := newServer(&c, ports, lanes, tables, carried, apis{view, acts}, env)
	watching, quit := context.WithCancel(context.WithoutCancel(ctx))
	defer quit()
	var group errgroup.Group
	group.Go(func() error {
		lanes.Watch(watching)
		return nil
	})
	group.Go(func() error {
		defer stop()
		return admin.Serve(watching, admin.Config{
			Listener: service.Bound(env.Admin, 0), TLS: ports.Admin, Guard: ports.Guard, Log: env.Log,
			Registry: env.Registry, Ready: func() error { return ready(work) },
			Lanes: func() any { return append([]lane.Status{}, lanes.Status()...) },
			Page:  statuspage.Acts(statuspage.New(watching, view), acts),
		})
	})
	group.Go(func() error {
		defer quit()
		return front.serve(work)
	})
	group.Go(func() error {
		follow(watching, keys)
		return nil
	})
	group.Go(func() error {
		carried.meter.Run(watching)
		return nil
	})
	env.Log.Info("writer runs", "grpc", env.GRPC.Addr().String(), "admin", env.Admin.Addr().String(),
		"project", c.BigQuery.Project, "dataset", c.BigQuery.Dataset)
	err = errors.Join(group.Wait(), bigQuery.Close())
	env.Log.Info("writer has stopped")
	return err
}

// ready says why no lane may be opened here.
func ready(work context.Context) error {
	if work.Err() != nil {
		return errors.New("the writer is stopping")
	}
	return nil
}
