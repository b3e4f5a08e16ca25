// Package writers connects an ingest to its writers: it finds them, knows which ones take lanes and how loaded they
// are, and puts lanes where placement says.
//
//	fleet, err := writers.New(writers.Config{Target: "dns:///writer:7070", Ingest: name, Lanes: lanes})
//	go fleet.Run(ctx)
//	lane.Lane{Writers: fleet.Conn(), Placer: fleet, ...}
//
// # The parts
//
// A Fleet has one gRPC connection with a load-balancing policy of its own (balance.go): a subchannel for each writer,
// watched by the health service and by reports of load (ORCA, out of band), and a picker that takes the writer that the
// call's context names. What the name of the writers resolves to is looked up on a timer (lookup.go), since gRPC's
// resolvers look it up only when a connection breaks. The core of package placement decides; watch.go gives it what is
// seen, and seat.go is a lane's side of it.
//
// # What is trusted
//
// A writer takes lanes while its connection is ready, its health service says so, and it says something now and then: a
// process that hangs keeps its connection. One that is no longer listed keeps its lanes until there is another one; an
// empty list, or none, is no news at all.
package writers

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/resolver"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

// Config says how to reach the writers.
type Config struct {
	// Target is a gRPC target that resolves to the writers. Resolver, if set, is used instead of the one that its
	// scheme names.
	Target   string
	Resolver resolver.Builder
	// Options are for the connection: credentials, keepalive, interceptors.
	Options []grpc.DialOption
	// Ingest names this process, unlike others: what does not divide evenly depends on it.
	Ingest string
	// Lanes appends those of this process, as they are now, to a slice that is used again.
	Lanes func(into []lane.Carried) []lane.Carried
	// Log gets a line for each writer that comes or goes and each move; nil: none.
	Log *slog.Logger
	// Metrics are made by NewMetrics; nil: none.
	Metrics *Metrics
}

const (
	// look is how often writers are looked at, and lanes while some are to move; lookLanes is how often lanes are
	// looked at otherwise.
	look, lookLanes = 250 * time.Millisecond, time.Second
	// refresh is how often the target is resolved again, and hurry how often while nobody serves.
	refresh, hurry = 5 * time.Second, 250 * time.Millisecond
	// reconnect bounds the back-off of a connection: a writer that comes back is there within a second. A hundred dead
	// addresses are a hundred attempts a second then, a hundredth of a processor. (gRPC's ResetConnectBackoff, which
	// would do it on demand, walks a map that the balancer writes to.)
	reconnect, connectWithin = 800 * time.Millisecond, 5 * time.Second
	// aside is how long a lane whose writer drains sends on there though another writer serves: the one that takes the
	// place of its writer may be new, and is looked for meanwhile.
	aside = time.Second
	// fresh is how long it waits at most for one that is new and not connected yet.
	fresh = 5 * time.Second
	// delisted is how long a writer may be missing from the list before its lanes leave: lists flap, and some show a
	// part at a time.
	delisted = 10 * time.Second
	// reportEvery is how often writers report their load, and silence how long they may say nothing before they count
	// as hung.
	reportEvery, silence = time.Second, 4 * time.Second
	// strange is how long a peer is left alone that is no writer.
	strange = time.Minute
)

// Fleet is the writers of one ingest, and the lane.Placer of its lanes.
type Fleet struct {
	config Config
	conn   *grpc.ClientConn
	lookup *lookup
	log    *slog.Logger

	mu    sync.Mutex // never held while gRPC is called
	core  *placement.Core
	peers map[string]*peer
	seats map[placement.LaneID]*Seat
	// changed is closed, and replaced, when a writer begins to take lanes.
	changed chan struct{}
	// home is where the lanes' rows go: project and dataset of the writers that carry them.
	home string
	// lookedUp is what is wrong with the list of writers; empty: nothing.
	lookedUp string
	// measured is of the last look at the lanes, and spare that before, to be used again, as are carried and placed.
	measured, spare map[placement.LaneID]measure
	carried         []lane.Carried // of Run alone
	placed          []placement.Lane
	// lookedAt is when writers were looked at last, and lanesAt when lanes were.
	lookedAt, lanesAt time.Time
	// drained is when a writer of a lane began to drain last.
	drained time.Time
	// hasten has the writers looked up at once.
	hasten chan struct{}
}

var _ lane.Placer = (*Fleet)(nil)

// New makes a fleet. It connects once Run runs or a call is made.
func New(c Config) (*Fleet, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	if c.Lanes == nil {
		c.Lanes = func(into []lane.Carried) []lane.Carried { return into }
	}
	target, builder, err := resolve(c)
	if err != nil {
		return nil, err
	}
	f := &Fleet{
		config: c, log: c.Log, core: placement.New(c.Ingest), peers: make(map[string]*peer),
		seats:   make(map[placement.LaneID]*Seat),
		changed: make(chan struct{}), hasten: make(chan struct{}, 1),
		measured: make(map[placement.LaneID]measure), spare: make(map[placement.LaneID]measure),
	}
	f.lookup = &lookup{fleet: f, target: target, builder: builder}
	id := register(f)
	options := slices.Concat(c.Options, []grpc.DialOption{
		grpc.WithResolvers(f.lookup),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithIdleTimeout(0), // writers are watched also while there is no lane
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: reconnect,
			},
			MinConnectTimeout: connectWithin,
		}),
	})
	f.conn, err = grpc.NewClient(scheme+":///"+id, options...)
	if err != nil {
		unregister(id)
		return nil, err
	}
	return f, nil
}

// resolve finds the resolver of a target, as gRPC does.
func resolve(c Config) (resolver.Target, resolver.Builder, error) {
	for _, text := range []string{c.Target, "dns:///" + c.Target} {
		u, err := url.Parse(text)
		if err != nil {
			continue
		}
		target := resolver.Target{URL: *u}
		if b := c.Resolver; b != nil && b.Scheme() == u.Scheme {
			return target, b, nil
		}
		if b := resolver.Get(u.Scheme); b != nil {
			return target, b, nil
		}
	}
	return resolver.Target{}, nil, fmt.Errorf("%q is no gRPC target", c.Target)
}

// Conn is the connection for calls. Those whose context names no writer go to any that serves.
func (f *Fleet) Conn() grpc.ClientConnInterface { return f.conn }

// Close ends the connection and all calls on it.
func (f *Fleet) Close() error {
	unregister(f.conn.Target()[len(scheme)+len(":///"):])
	return f.conn.Close()
}

// Run watches the writers and moves lanes until ctx ends.
func (f *Fleet) Run(ctx context.Context) {
	f.conn.Connect()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	var resolved time.Time
	next := refresh
	for {
		now := time.Now()
		served, drains := f.look(now)
		if since := now.Sub(resolved); since >= next || (!served || drains) && since >= hurry {
			f.lookup.refresh()
			resolved = now
			// Some sooner than others: ingests that start together do not ask together for ever.
			next = refresh*3/5 + rand.N(refresh*2/5)
		}
		select {
		case <-ticker.C:
		case <-f.hasten:
		case <-ctx.Done():
			return
		}
	}
}

// Picture is what is carried where and why, for people.
type Picture struct {
	placement.Picture
	// Target is what is resolved, and Problem what is wrong with that.
	Target  string `json:"target"`
	Problem string `json:"problem,omitempty"`
	// Home is the project and dataset that the lanes' rows go to, as the writers say.
	Home string `json:"home,omitempty"`
	// Ahead are the next moves, where they were asked for.
	Ahead []placement.Next `json:"ahead"`
}

// Plan is the picture with what is going to move.
func (f *Fleet) Plan() Picture {
	p := f.Picture()
	f.mu.Lock()
	defer f.mu.Unlock()
	p.Ahead = f.core.Ahead(time.Now())
	return p
}

// Picture draws it, without looking ahead.
func (f *Fleet) Picture() Picture {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Picture{Picture: f.core.Picture(), Target: f.config.Target, Problem: f.lookedUp, Home: f.home}
}
