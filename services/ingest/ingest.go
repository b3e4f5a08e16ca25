// Package ingest is the service that carries Kafka partitions to writers: it consumes them as a member of a group,
// turns records into rows, and commits what the writer has settled.
//
//	c, err := ingest.Load("ingest.yaml")        // every problem at once, or none
//	err = ingest.Run(ctx, c, service.Env{Log: log, Registry: registry})
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
	"os"
	"strings"
	"sync"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/waybill-data/waybill/pkg/admin"
	"github.com/waybill-data/waybill/pkg/events"
	"github.com/waybill-data/waybill/pkg/saturation"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/statuspage"
	"github.com/waybill-data/waybill/pkg/tracing"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
	"github.com/waybill-data/waybill/services/ingest/internal/writers"
)

// Run carries partitions until ctx ends, then lets the lanes drain, leaves the group and returns nil. Brokers, topics
// and writers that are away are waited for; an error is one of configuration, or an address that is taken.
func Run(ctx context.Context, c Config, env service.Env) error {
	env.Fill()
	ring := events.New("ingest", 0)
	env.Log = slog.New(ring.Handler(env.Log.Handler()))
	// What is wrong with the configuration shows before anything starts; what needs the schema registry may have to
	// wait for it.
	if _, err := c.contracts(context.Background(), contract.Env{}); err != nil {
		return fmt.Errorf("contracts: %w", err)
	}
	ports, err := service.Secure(&c.GRPC, &c.Admin, c.Access, &env)
	if err != nil {
		return err
	}
	schemas, err := c.schemas(env)
	if err != nil {
		return err
	}
	defer schemas.close()
	calls := grpcprom.NewClientMetrics()
	env.Registry.MustRegister(calls)
	tracer, err := tracing.Open(ctx, &c.Tracing.Config, "waybill-ingest", env.Log)
	if err != nil {
		return err
	}
	defer tracer.Close()
	lanes := newRoster(&c, env)
	lanes.traces = lane.Traces{Tracer: tracer, OneIn: c.Tracing.OneIn}
	fleet, err := c.Writer.fleet(writers.Config{
		Ingest: identity(&c), Lanes: lanes.carried, Log: env.Log, Metrics: writers.NewMetrics(env.Registry),
	}, calls)
	if err != nil {
		return err
	}
	defer fleet.Close() //nolint:errcheck // it was closed already, and there is nobody to tell
	lanes.fleet = fleet
	entries := source.NewEntries(c.source())
	defer entries.Close()
	lanes.pauses = &pauses.Follower{Read: entries.Read, Apply: lanes.pause, Log: env.Log}
	if err := env.Listen(ctx, c.GRPC.Listen, c.Admin.Listen); err != nil {
		return err
	}

	src := source.New(c.source(), env.Log, env.Registry)
	letters := deadletter.NewWriter(c.DeadLetter, &c.Kafka, env.Log, env.Registry)
	defer letters.Close()
	src.Letters = letters
	ready := func() error { return errors.Join(src.Ready(), lanes.ready()) }
	meter := saturation.New((&load{lanes: lanes, fleet: fleet}).counts, env.Registry)
	self := newLocal(&c, env, lanes, fleet, meter, ready)
	ring.Call(self.self.GetProcess())
	view, seen, closeView, err := self.view(ring)
	if err != nil {
		return err
	}
	defer closeView()
	schemas.env = schemas.env.Shared()
	reloads := &reloader{
		config: &c, lanes: lanes, env: schemas.env, writer: fleet.Conn(), log: env.Log, every: c.Registry.Poll.Std(),
	}
	steer := self.steering(view, entries, reloads, env.Log)

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
		lanes.load(contracts)
		watch, done := context.WithCancel(work)
		var watching sync.WaitGroup
		watching.Go(func() { reloads.watch(watch) })
		watching.Go(func() { lanes.look(watch, self.overview) })
		watching.Go(func() { lanes.pauses.Run(watch) })
		watching.Go(func() { steer.Run(work) }) // replays settle what is on its way while the lanes do
		defer watching.Wait()
		defer done()
		return src.Run(work, c.topicsOf(contracts), lanes.carry())
	})
	group.Go(func() error {
		defer stop()
		return admin.Serve(serving, admin.Config{
			Listener: service.Bound(env.Admin, 0), TLS: ports.Admin, Guard: ports.Guard, Log: env.Log,
			Registry: env.Registry, Ready: ready,
			Page:  statuspage.Explains(statuspage.Acts(statuspage.New(serving, view), steer), seen),
			Lanes: lanes.status,
			Plan:  func() any { return fleet.Plan() },
		})
	})
	group.Go(func() error {
		defer stop()
		return serve(serving, work, env, ports, ready, apis{view, steer, seen})
	})
	var watching sync.WaitGroup
	watching.Go(func() { fleet.Run(serving) })
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

// stopWithin is how long calls to our own server may take once the work has ended.
const stopWithin = time.Second

var _ lane.Contracts = (*contracts)(nil)
