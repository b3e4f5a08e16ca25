// Package ingest is the service that carries Kafka partitions to writers: it consumes them as a member of a group,
// turns records into rows, and commits what the writer has settled.
//
//	c, err := ingest.Load("ingest.yaml")        // every problem at once, or none
//	err = ingest.Run(ctx, c, ingest.Env{Log: log, Registry: registry})
//
// Run wires the parts and waits for them: the source (internal/source) gives a lane.Partition for each claim, a lane
// (internal/lane) carries it with the contracts of its topic (internal/contract). Two servers tell how it goes: gRPC
// with health and reflection, and the admin server with metrics and the list of lanes.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/waybill-data/waybill/pkg/admin"
	"github.com/waybill-data/waybill/pkg/saturation"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
	"github.com/waybill-data/waybill/services/ingest/internal/writers"
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

// Run carries partitions until ctx ends, then lets the lanes drain, leaves the group and returns nil. Brokers, topics
// and writers that are away are waited for; an error is one of configuration, or an address that is taken.
func Run(ctx context.Context, c Config, env Env) error {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Registry == nil {
		env.Registry = prometheus.NewRegistry()
	}
	// What is wrong with the configuration shows before anything starts; what needs the schema registry may have to
	// wait for it.
	if _, err := c.contracts(context.Background(), contract.Env{}); err != nil {
		return fmt.Errorf("contracts: %w", err)
	}
	schemas, err := c.schemas(env)
	if err != nil {
		return err
	}
	defer schemas.close()
	calls := grpcprom.NewClientMetrics()
	env.Registry.MustRegister(calls)
	lanes := newRoster(&c, env)
	fleet, err := c.Writer.fleet(writers.Config{
		Ingest: identity(&c), Lanes: lanes.carried, Log: env.Log, Metrics: writers.NewMetrics(env.Registry),
	}, calls)
	if err != nil {
		return err
	}
	defer fleet.Close() //nolint:errcheck // it was closed already, and there is nobody to tell
	lanes.fleet = fleet
	if err := env.listen(ctx, &c); err != nil {
		return err
	}

	src := source.New(c.source(), env.Log, env.Registry)
	letters := deadletter.NewWriter(c.DeadLetter, &c.Kafka, env.Log, env.Registry)
	defer letters.Close()
	src.Letters = letters
	ready := func() error { return errors.Join(src.Ready(), lanes.ready()) }

	// Work ends with ctx, or when a server fails. The servers outlive the work, so that one can watch it drain.
	work, stop := context.WithCancel(ctx)
	defer stop()
	serving, quit := context.WithCancel(context.WithoutCancel(ctx))
	defer quit()
	var group errgroup.Group
	group.Go(func() error {
		defer quit()
		contracts, err := c.contracts(work, schemas.env)
		if err != nil {
			if work.Err() != nil {
				return nil
			}
			return fmt.Errorf("contracts: %w", err)
		}
		env.Log.Info("ingest runs", "grpc", env.GRPC.Addr().String(), "admin", env.Admin.Addr().String(),
			"group", c.Kafka.Group, "topics", contracts.Topics(), "patterns", len(contracts.Patterns()))
		lanes.contracts = contracts
		watch, done := context.WithCancel(work)
		var watching sync.WaitGroup
		watching.Go(func() { contracts.Watch(watch, c.Registry.Poll.Std()) })
		watching.Go(func() { lanes.look(watch) })
		defer watching.Wait()
		defer done()
		return src.Run(work, c.topicsOf(contracts), lanes.carry)
	})
	group.Go(func() error {
		defer stop()
		return admin.Serve(serving, admin.Config{Listener: env.Admin, Registry: env.Registry, Ready: ready, Lanes: lanes.status, Plan: func() any { return fleet.Picture() }})
	})
	group.Go(func() error {
		defer stop()
		return serve(serving, work, env, ready)
	})
	var watching sync.WaitGroup
	watching.Go(func() { fleet.Run(serving) })
	meter := saturation.New((&load{lanes: lanes, fleet: fleet}).counts, env.Registry)
	watching.Go(func() { meter.Run(serving) })
	err = group.Wait()
	watching.Wait()
	env.Log.Info("ingest has stopped")
	return err
}

// identity tells this ingest from others, also from those on the same host.
func identity(c *Config) string {
	host, _ := os.Hostname() // without a name the address has to do
	return strings.Join([]string{c.Kafka.Group, c.Kafka.InstanceID, host, c.GRPC.Listen}, "|")
}

// topicsOf are the topics that the contracts are for.
func (c *Config) topicsOf(set *contract.Set) source.Topics {
	topics := source.Topics{Names: set.Topics(), Except: c.DeadLetter.Suffix}
	if len(set.Patterns()) > 0 {
		topics.Match = set.Match
	}
	return topics
}

// listen opens what is not given, or nothing.
func (e *Env) listen(ctx context.Context, c *Config) error {
	var opened []net.Listener
	var errs []error
	for _, l := range []struct {
		key, address string
		into         *net.Listener
	}{{"grpc.listen", c.GRPC.Listen, &e.GRPC}, {"admin.listen", c.Admin.Listen, &e.Admin}} {
		if *l.into != nil {
			opened = append(opened, *l.into)
			continue
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; stop what listens there, or write another address", l.key, err))
			continue
		}
		*l.into = listener
		opened = append(opened, listener)
	}
	if len(errs) == 0 {
		return nil
	}
	for _, l := range opened {
		_ = l.Close() // the error to report is another one
	}
	return errors.Join(errs...)
}

// stopWithin is how long calls to our own server may take once the work has ended.
const stopWithin = time.Second

var _ source.Handler = (*roster)(nil).carry

var _ lane.Contracts = (*contracts)(nil)
