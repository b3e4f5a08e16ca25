// Package fleet runs ingests and up to sixteen writers as real processes, with a load all the time, and changes them:
// more, fewer, updated one by one, stopped, killed, hung, slow. It measures how long it takes until the lanes are even,
// and for how long a lane was silent, compares every offset, and holds what it saw against what is promised.
//
// The writers listen on addresses of their own on loopback, and a DNS server here says which of them the name has at
// the moment: what a cluster's would do.
package fleet

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/waybill-data/waybill/e2e/stack"
)

// Config of a run.
type Config struct {
	// Dir takes data, configuration and logs; Bin is the folder of the binaries.
	Dir, Bin string
	// Short leaves out what takes long: two minutes in all.
	Short bool
	// Only leaves out what happens to the other tier: OfWriters or OfIngests; empty: both.
	Only string
	// Lanes are how many there are; with many of them there are fewer scenes.
	Lanes int
	// Rate is events a second over all lanes.
	Rate float64
	// Out is for a person.
	Out io.Writer
}

// The parts of a run, for Config.Only.
const (
	OfWriters = "writers"
	OfIngests = "ingests"
)

const (
	// most is how many writers run at once, and spare how many more there are: those that take another one's place.
	most, spare = 16, 2
	name        = "writer.test"
	// grace is how long a process may take to stop.
	grace = 40 * time.Second
	// evenWithin is how long lanes may take until they are even, before the run goes on without.
	evenWithin = 90 * time.Second
	// openWithin is how much longer they may take to open at first: streams are created one after the other.
	openWithin = 5 * time.Minute
)

// run is a run under way.
type run struct {
	flow
	config Config
	names  *stack.Names
	late   *stack.Delay // in front of BigQuery, for the last writer

	published []int // writers that the name has
	members   []int // ingests that are to have lanes
}

// Run runs. The error says that it could not be done; what came of it is in the report.
func Run(ctx context.Context, config Config) (report Report, err error) {
	r := &run{config: config, members: []int{0}, flow: flow{report: Report{Lanes: config.Lanes}}}
	if r.names, err = stack.NewNames(name); err != nil {
		return Report{}, err
	}
	defer r.names.Close()
	if err := r.layOut(); err != nil {
		return Report{}, err
	}
	defer r.late.Close()
	defer func() { err = r.end(err) }()
	if err := r.up(ctx); err != nil {
		return Report{}, err
	}
	r.begin(ctx, config.Lanes, config.Rate)
	if err := r.even(ctx, time.Now().Add(openWithin), 1); err != nil {
		return Report{}, fmt.Errorf("the lanes do not open: %w", err)
	}
	if err := r.settled(ctx); err != nil {
		return Report{}, err
	}
	fmt.Fprintf(config.Out, "%s\n", header)
	for _, e := range r.scenes() {
		if err := r.measure(ctx, e); err != nil {
			return Report{}, fmt.Errorf("%s: %w", e.what, err)
		}
	}
	err = r.compare(ctx)
	return r.report, err
}

// host is where a writer listens for lanes.
func host(i int) string { return fmt.Sprintf("127.0.0.%d", 10+i) }

func (r *run) layOut() error {
	port, err := stack.Addresses(1)
	if err != nil {
		return err
	}
	var number int
	if _, err := fmt.Sscanf(port[0], "127.0.0.1:%d", &number); err != nil {
		return err
	}
	r.stack, err = stack.New(stack.Config{
		Dir: r.config.Dir, Bin: r.config.Bin, Writers: most + spare, Ingests: ingests,
		StockPartitions: r.config.Lanes, DeliveryPartitions: 1,
		Contracts: "  - builtin: stock.v1\n", Target: r.names.Target(number),
		WriterHost: host, WriterPort: number,
		WriterYAML: "drain_timeout: 20s\n",
		KafkaYAML:  fmt.Sprintf("  drain_timeout: 8s\n  session_timeout: %s\n", sessionTimeout),
	})
	if err != nil {
		return err
	}
	if err := r.layOutIngests(); err != nil {
		return err
	}
	if r.late, err = stack.NewDelay(r.stack.Endpoints.BigQueryGRPC); err != nil {
		return err
	}
	// The last writer reaches BigQuery over a relay that can be late.
	return r.stack.Writers[most+spare-1].Redial(r.stack.Endpoints.BigQueryGRPC, r.late.Addr())
}

func (r *run) up(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := r.stack.UpSandbox(ctx); err != nil {
		return err
	}
	if err := r.start(ctx, 0); err != nil {
		return err
	}
	r.publish(0)
	return stack.Up(ctx, r.stack.Ingests[0])
}

// start starts writers and waits until they take lanes. Nobody knows of them yet.
func (r *run) start(ctx context.Context, writers ...int) error {
	return up(ctx, r.stack.Writers, writers)
}

// up starts some of the services, and waits until they are ready.
func up(ctx context.Context, all []*stack.Service, some []int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var services []*stack.Service
	for _, i := range some {
		services = append(services, all[i])
	}
	return stack.Up(ctx, services...)
}

// publish makes the name resolve to these writers.
func (r *run) publish(writers ...int) {
	r.published = append(r.published[:0], writers...)
	var addresses []string
	for _, i := range writers {
		addresses = append(addresses, host(i))
	}
	r.names.Publish(addresses...)
}

// stop stops writers in order, all at once.
func (r *run) stop(writers ...int) error {
	return together(writers, func(i int) error { return r.stack.Writers[i].Stop(grace) })
}

// together calls f for each number, all at once, and returns the first error.
func together(numbers []int, f func(int) error) error {
	var all errgroup.Group
	for _, n := range numbers {
		all.Go(func() error { return f(n) })
	}
	return all.Wait()
}

// even waits until each of the published writers has its share of the lanes, as shared says, and no other has any.
func (r *run) even(ctx context.Context, since time.Time, writers int) error {
	return r.shared(ctx, since, writers, "the writers are even", func() (shares []int, counts map[string]int) {
		counts, _ = r.watch.counts()
		for _, i := range r.published {
			shares = append(shares, counts[r.stack.Writers[i].Name])
		}
		return shares, counts
	})
}

// shared waits until each of n that count counts has its share of the lanes, and no other has any: within one, or a
// twentieth of it where that is more, since lanes are weighed by what they are seen to carry.
func (r *run) shared(
	ctx context.Context, since time.Time, n int, what string, count func() (shares []int, counts map[string]int),
) error {
	return stack.Within(ctx, time.Until(since)+evenWithin, lookEvery, what, func() error {
		shares, counts := count()
		open, fits := 0, true
		for _, have := range shares {
			open += have
			d, most := have*n-r.config.Lanes, max(n, r.config.Lanes/20)
			fits = fits && -most <= d && d <= most
		}
		if !fits || open != r.config.Lanes {
			return fmt.Errorf("after %v: %v", evenWithin, counts)
		}
		return nil
	})
}

// settled waits until every lane has a write stream and has settled something: what is created later is due to what
// happens.
func (r *run) settled(ctx context.Context) error {
	return stack.Within(ctx, openWithin, lookEvery, "all lanes settle", func() error {
		s, err := r.stack.Stats(ctx)
		if settled := r.watch.settled(); err == nil &&
			(s.StreamsCreated != int64(r.config.Lanes) || settled != r.config.Lanes) {
			err = fmt.Errorf("%d of %d lanes settle, %d streams are created", settled, r.config.Lanes, s.StreamsCreated)
		}
		return err
	}, r.stack.Sandbox)
}
