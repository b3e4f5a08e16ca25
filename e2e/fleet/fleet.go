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
	"slices"
	"sync"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/produce"
	"github.com/waybill-data/waybill/sandbox/verify"
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
	config Config
	stack  *stack.Stack
	names  *stack.Names
	late   *stack.Delay // in front of BigQuery, for the last writer
	watch  *watch
	report Report

	published []int // writers that the name has
	members   []int // ingests that are to have lanes
	made      int64
}

// Run runs. The error says that it could not be done; what came of it is in the report.
func Run(ctx context.Context, config Config) (report Report, err error) {
	r := &run{config: config, members: []int{0}, report: Report{Lanes: config.Lanes}}
	if r.names, err = stack.NewNames(name); err != nil {
		return Report{}, err
	}
	defer r.names.Close()
	if err := r.layOut(); err != nil {
		return Report{}, err
	}
	defer r.late.Close()
	defer func() {
		for _, w := range slices.Concat(r.stack.Writers, r.stack.Ingests) {
			_ = w.Signal(resume) // one that is stopped could not end
		}
		if down := r.stack.Down(grace); down != nil && err == nil {
			err = fmt.Errorf("a process did not stop in order: %w", down)
		}
	}()
	if err := r.up(ctx); err != nil {
		return Report{}, err
	}
	r.watch = newWatch(r.stack, config.Lanes)
	background, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { r.watch.run(background) })
	loading, quiet := context.WithCancel(ctx)
	defer quiet()
	produced := make(chan error, 1)
	running.Go(func() { produced <- r.load(loading) })

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
	quiet()
	if err := <-produced; err != nil {
		return Report{}, err
	}
	if err := r.drain(ctx); err != nil {
		return Report{}, err
	}
	r.report.Produced = r.made
	r.report.Verified, err = verify.Run(ctx, verify.Config{
		Seeds: r.stack.Seeds(), Admin: "http://" + r.stack.Endpoints.Admin, Topics: verify.Builtin(stack.Dataset)[1:],
	})
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
	ingest := r.stack.Ingests[0]
	if err := ingest.Start(); err != nil {
		return err
	}
	return ingest.Await(ctx, ingest.Ready)
}

// start starts writers and waits until they take lanes. Nobody knows of them yet.
func (r *run) start(ctx context.Context, writers ...int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, i := range writers {
		if err := r.stack.Writers[i].Start(); err != nil {
			return err
		}
	}
	for _, i := range writers {
		if err := r.stack.Writers[i].Await(ctx, r.stack.Writers[i].Ready); err != nil {
			return err
		}
	}
	return nil
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
	errs := make(chan error, len(writers))
	for _, i := range writers {
		go func() { errs <- r.stack.Writers[i].Stop(grace) }()
	}
	var first error
	for range writers {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// load produces until ctx ends, and flushes.
func (r *run) load(ctx context.Context) error {
	sum, err := produce.Run(ctx, produce.Config{
		Seeds: r.stack.Seeds(), Topic: stack.StockTopic, Rate: r.config.Rate, Codec: "none",
		Generator: events.Config{Seed: 7},
	})
	r.made = sum.Events
	return err
}

// even waits until each of the published writers has its share of the lanes, as shared says, and no other has any.
func (r *run) even(ctx context.Context, since time.Time, writers int) error {
	return r.shared(ctx, since, writers, "not even", func() (shares []int, counts map[string]int) {
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
	deadline := since.Add(evenWithin)
	for {
		shares, counts := count()
		open, fits := 0, true
		for _, have := range shares {
			open += have
			d, most := have*n-r.config.Lanes, max(n, r.config.Lanes/20)
			fits = fits && -most <= d && d <= most
		}
		if fits && open == r.config.Lanes {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s after %v: %v", what, evenWithin, counts)
		}
		if err := stack.Pause(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// settled waits until every lane has a write stream and has settled something: what is created later is due to what
// happens.
func (r *run) settled(ctx context.Context) error {
	for began := time.Now(); ; {
		s, err := r.watch.streams(ctx)
		if err != nil {
			return err
		}
		if s.Created == int64(r.config.Lanes) && r.watch.settled() == r.config.Lanes {
			return nil
		}
		if time.Since(began) > openWithin {
			return fmt.Errorf("%d of %d lanes settle, %d streams are created", r.watch.settled(),
				r.config.Lanes, s.Created)
		}
		if err := stack.Pause(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// drain waits until everything that was produced is committed.
func (r *run) drain(ctx context.Context) error {
	log, err := r.stack.Log()
	if err != nil {
		return err
	}
	defer log.Close()
	produced, err := log.Produced(ctx, stack.StockTopic)
	if err != nil {
		return err
	}
	for began := time.Now(); ; {
		committed, err := log.Committed(ctx, stack.StockTopic)
		if err != nil {
			return err
		}
		if committed == produced {
			return nil
		}
		if time.Since(began) > time.Minute {
			return fmt.Errorf("%d of %d are committed a minute after the load ended", committed, produced)
		}
		if err := stack.Pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}
