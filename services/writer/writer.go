// Package writer is the service that owns the BigQuery write streams: lanes come in over gRPC, their rows go out to
// BigQuery. It is stateless: any writer can carry any lane.
//
//	c, err := writer.Load("writer.yaml")        // every problem at once, or none
//	err = writer.Run(ctx, c, writer.Env{Log: log, Registry: registry})
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
	"net"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/waybill-data/waybill/pkg/admin"
	"github.com/waybill-data/waybill/pkg/version"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
	"github.com/waybill-data/waybill/services/writer/internal/sink"
)

// Env is what the process gives to Run. The zero value works.
type Env struct {
	// Log gets one line a transition; nil discards.
	Log *slog.Logger
	// Registry holds the metrics; nil makes one.
	Registry *prometheus.Registry
	// GRPC and Admin are served on instead of the configured addresses when they are not nil. Run closes them.
	GRPC, Admin net.Listener
	// Lanes is kept at how many lanes there are; nil when nobody wants to know.
	Lanes *atomic.Int64
}

// Run carries lanes until ctx ends, then lets them drain, and returns nil. BigQuery being away is waited for; an error
// is one of configuration, or an address that is taken.
func Run(ctx context.Context, c Config, env Env) error {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Registry == nil {
		env.Registry = prometheus.NewRegistry()
	}
	secure, err := c.GRPC.TLS.server(env.Log)
	if err != nil {
		return fmt.Errorf("grpc.tls: %w", err)
	}
	if err := env.listen(ctx, &c); err != nil {
		return err
	}
	bigQuery, err := sink.Open(ctx, c.BigQuery, sink.Env{Log: env.Log, Registry: env.Registry, Version: version.String()})
	if err != nil {
		return errors.Join(err, env.GRPC.Close(), env.Admin.Close())
	}
	host, _ := os.Hostname() // Without a name there is none in logs.
	budget := lane.NewBudget(c.Memory.Size())
	service := &lane.Service{
		Sink: bigQuery, Limits: c.Limits.lane(), Budget: budget, Log: env.Log, Metrics: lane.NewMetrics(env.Registry),
		Name: cmp.Or(c.Name, host), Project: c.BigQuery.Project, Dataset: c.BigQuery.Dataset, Live: env.Lanes,
	}
	carried := newLoad(service, budget, env.Registry)
	front := newServer(&c, secure, service, &lane.Tables{Comparer: bigQuery}, carried, env)

	// The admin server outlives the lanes, so that one can watch them drain.
	work, stop := context.WithCancel(ctx)
	defer stop()
	watching, quit := context.WithCancel(context.WithoutCancel(ctx))
	defer quit()
	var group errgroup.Group
	group.Go(func() error {
		service.Watch(watching)
		return nil
	})
	group.Go(func() error {
		defer stop()
		return admin.Serve(watching, admin.Config{
			Listener: env.Admin, Registry: env.Registry, Ready: func() error { return ready(work) },
			Lanes: func() any { return append([]lane.Status{}, service.Status()...) },
		})
	})
	group.Go(func() error {
		defer quit()
		return front.serve(work)
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

// listen opens what is not given, or nothing.
func (e *Env) listen(ctx context.Context, c *Config) error {
	var opened []net.Listener
	var errs []error
	for _, l := range []struct {
		key, address string
		into         *net.Listener
	}{{"grpc.listen", c.GRPC.Listen, &e.GRPC}, {"admin.listen", c.Admin.Listen, &e.Admin}} {
		if *l.into == nil {
			listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w; stop what listens there, or write another address", l.key, err))
				continue
			}
			*l.into = listener
		}
		opened = append(opened, *l.into)
	}
	if len(errs) > 0 {
		for _, l := range opened {
			_ = l.Close() // The error to report is another one.
		}
	}
	return errors.Join(errs...)
}
