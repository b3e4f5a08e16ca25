package service

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

const (
	// CallsOfConnection is how many calls one connection may have open, lanes for the most part; the next one waits at
	// the caller. As many of one host may begin at once, beyond callsASecond: an ingest opens its lanes anew without
	// being refused.
	CallsOfConnection = 8192
	callsASecond      = 512
	// callsEvenly is how many calls of one host are looked at in a second, and togetherAtMost how many of them without
	// a pause: other lanes are served in between.
	callsEvenly    = 5000
	togetherAtMost = 64
	// leastRest is the shortest pause: what is shorter is not kept by clocks.
	leastRest = time.Millisecond
	// refusalsAtOnce is how many calls of one host may be refused at once, beyond refusalsASecond: an ingest that opens
	// more lanes anew asks for each of them a few times, less and less often.
	refusalsAtOnce  = 4096
	refusalsASecond = 1024
	// refusalsOfOne is how many calls of a connection may be refused whatever others of its host do: the connection of
	// a client that minds what it is told lasts beside that of one that does not.
	refusalsOfOne = 256
	// shutOut is for how long a host may not connect once one of its connections was closed.
	shutOut = time.Second
	// pacedHosts bounds the hosts that are remembered; with more, all begin anew.
	pacedHosts = 4096
)

// Pace bounds how often the calls of a host begin, and how fast what it sends is read before it is known. A call that
// begins costs goroutines and buffers before anybody looks at it, also one that is taken back at once: thousands a
// second would leave nothing for the calls that last. So calls beyond the pace are refused before anything is made for
// them. To refuse one costs a few microseconds still, so a client that goes on loses its connection, and for a second
// its host may make no other.
//
// Calls that come together are looked at a few at a time, whether they are let in or refused: the connection that they
// come on rests for a millisecond or two in between. Otherwise its reader and what it starts would stand before all
// that other lanes wait for, at each step of theirs.
type Pace struct {
	second, even rate.Limit

	mu    sync.Mutex
	hosts map[string]*pacedHost
}

// pacedHost is what one host has done.
type pacedHost struct {
	calls, refusals, even, slow, connects *rate.Limiter
	// strangers are the bytes of its connections that carry nothing.
	strangers *rate.Limiter
	// silent is how many of its calls await their first message.
	silent atomic.Int64
	// shut is when a connection was closed last, in nanoseconds of Unix time; 0: never.
	shut atomic.Int64
}

// NewPace allows callsASecond of each host, and CallsOfConnection at once.
func NewPace() *Pace {
	return &Pace{second: callsASecond, even: callsEvenly, hosts: map[string]*pacedHost{}}
}

// Option refuses calls of a host that begins too many, with UNAVAILABLE: they are to come again.
func (p *Pace) Option() grpc.ServerOption { return grpc.InTapHandle(p.begin) }

// Listen is l for a server with the option: it knows connections to close, and does not accept those of hosts that are
// shut out.
func (p *Pace) Listen(l net.Listener) net.Listener {
	return &pacedListener{Listener: l, pace: p, over: make(chan struct{})}
}

func (p *Pace) begin(ctx context.Context, _ *tap.Info) (context.Context, error) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return ctx, nil // no transport of gRPC's leaves it out
	}
	host := p.host(from.Addr)
	// This is the reader of the connection, with its lock: what else its calls begin and end waits as long.
	pace := host.even
	if host.silent.Load() > silentAtOnce {
		pace = host.slow
	}
	if rest := pace.Reserve().Delay(); rest >= leastRest {
		time.Sleep(rest)
	}
	if host.calls.Allow() {
		return ctx, nil
	}
	within := host.refusals.Allow()
	if a, ok := from.Addr.(*pacedAddr); ok && a.refused.Add(1) > refusalsOfOne && !within {
		host.shut.Store(time.Now().UnixNano())
		_ = a.conn.Close() // its reader has the error
	}
	return nil, status.Error(codes.Unavailable, "this host begins calls too often: come again in a second")
}

// host is what is known of the host of an address.
func (p *Pace) host(from net.Addr) *pacedHost {
	name := from.String()
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[name]
	if h == nil {
		if len(p.hosts) >= pacedHosts {
			clear(p.hosts)
		}
		h = &pacedHost{
			calls:     rate.NewLimiter(p.second, CallsOfConnection),
			refusals:  rate.NewLimiter(refusalsASecond, refusalsAtOnce),
			even:      rate.NewLimiter(p.even, togetherAtMost),
			slow:      rate.NewLimiter(silentASecond, 1),
			connects:  rate.NewLimiter(connectsASecond, connectsAtOnce),
			strangers: rate.NewLimiter(strangersASecond, strangersAtOnce),
		}
		p.hosts[name] = h
	}
	return h
}

// admits says whether a host may connect.
func (p *Pace) admits(from net.Addr) bool {
	shut := p.host(from).shut.Load()
	return shut == 0 || time.Since(time.Unix(0, shut)) > shutOut
}
