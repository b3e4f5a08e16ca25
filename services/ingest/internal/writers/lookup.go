package writers

import (
	"cmp"
	"sync"
	"time"

	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/dns"
)

// scheme is that of the targets which gRPC sees; behind it is the resolver of the configured one.
const scheme = "waybill-writers"

// pause is how often gRPC may have the target resolved: it asks whenever a connection breaks, and of many dead
// addresses one always does.
const pause = time.Second

// The limits of gRPC's own DNS resolver are for the whole process and must be set before it is used. Ours are in
// lookup.
func init() {
	dns.SetMinResolutionInterval(100 * time.Millisecond)
	dns.SetResolvingTimeout(5 * time.Second)
}

// lookup is the resolver of a fleet: the configured one, on a timer, and with the writers it no longer lists for
// as long as they are of use.
type lookup struct {
	fleet   *Fleet
	target  resolver.Target
	builder resolver.Builder

	life sync.Mutex // held while the inner resolver is made and ended, before mu
	opts resolver.BuildOptions

	mu     sync.Mutex
	inner  resolver.Resolver // nil before Build and after Close
	cc     resolver.ClientConn
	failed bool
	sought time.Time
	listed map[string]listing
}

// listing is when an address was last in the list.
type listing struct {
	endpoint resolver.Endpoint
	last     time.Time
	now      bool
}

func (l *lookup) Scheme() string { return scheme }

// OverrideAuthority is what TLS checks: the configured name.
func (l *lookup) OverrideAuthority(resolver.Target) string {
	if o, ok := l.builder.(resolver.AuthorityOverrider); ok {
		return o.OverrideAuthority(l.target)
	}
	return cmp.Or(l.target.Endpoint(), "writers")
}

func (l *lookup) Build(
	_ resolver.Target, cc resolver.ClientConn, opts resolver.BuildOptions,
) (resolver.Resolver, error) {
	l.life.Lock()
	defer l.life.Unlock()
	l.mu.Lock()
	l.cc, l.listed = cc, make(map[string]listing)
	l.mu.Unlock()
	l.opts = opts
	inner, err := l.builder.Build(l.target, innerConn{cc, l}, opts)
	if err != nil {
		return nil, err
	}
	l.replace(inner)
	return l, nil
}

// replace sets the inner resolver and returns the one before. life is held.
func (l *lookup) replace(inner resolver.Resolver) (before resolver.Resolver) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, l.inner = l.inner, inner
	return before
}

// ResolveNow is gRPC's wish, after a connection broke.
func (l *lookup) ResolveNow(o resolver.ResolveNowOptions) {
	l.mu.Lock()
	inner := l.inner
	due := inner != nil && !l.failed && time.Since(l.sought) >= pause
	if due {
		l.sought = time.Now()
	}
	l.mu.Unlock()
	if due {
		inner.ResolveNow(o)
	}
}

// refresh resolves the target again. A resolver that has failed waits for its own back-off, which may be minutes, and
// ignores calls: it is made anew.
func (l *lookup) refresh() {
	l.life.Lock()
	defer l.life.Unlock()
	l.mu.Lock()
	inner, cc, failed := l.inner, l.cc, l.failed
	l.sought, l.failed = time.Now(), false
	l.mu.Unlock()
	switch {
	case inner == nil:
	case !failed:
		inner.ResolveNow(resolver.ResolveNowOptions{})
	default:
		next, err := l.builder.Build(l.target, innerConn{cc, l}, l.opts)
		if err != nil {
			l.fleet.problem("resolve: " + err.Error())
			return
		}
		l.replace(next).Close()
	}
}

func (l *lookup) Close() {
	l.life.Lock()
	defer l.life.Unlock()
	if inner := l.replace(nil); inner != nil {
		inner.Close()
	}
}

// innerConn is what the configured resolver reports to.
type innerConn struct {
	resolver.ClientConn
	lookup *lookup
}

func (c innerConn) ReportError(err error) {
	c.lookup.mu.Lock()
	c.lookup.failed = true
	c.lookup.mu.Unlock()
	c.lookup.fleet.problem(err.Error())
	c.ClientConn.ReportError(err)
}

// UpdateState passes the list on, with the writers that are of use though they are missing from it.
func (c innerConn) UpdateState(s resolver.State) error {
	endpoints := s.Endpoints
	if endpoints == nil {
		for _, a := range s.Addresses {
			endpoints = append(endpoints, resolver.Endpoint{Addresses: []resolver.Address{a}})
		}
	}
	l := c.lookup
	l.mu.Lock()
	l.failed = false
	now := time.Now()
	problem := ""
	if len(endpoints) == 0 {
		problem = "the name resolves to nothing"
	} else {
		for address, o := range l.listed {
			o.now = false
			l.listed[address] = o
		}
	}
	for _, e := range endpoints {
		if len(e.Addresses) > 0 {
			l.listed[e.Addresses[0].Addr] = listing{endpoint: e, last: now, now: true}
		}
	}
	s.Endpoints = make([]resolver.Endpoint, 0, len(l.listed))
	missing := map[string]time.Duration{}
	for address, o := range l.listed {
		// An empty list is no news, but what does not work need not be kept for it.
		if !o.now || problem != "" {
			if !l.fleet.ofUse(address, now.Sub(o.last)) {
				delete(l.listed, address)
				continue
			}
			if problem == "" {
				missing[address] = now.Sub(o.last)
			}
		}
		s.Endpoints = append(s.Endpoints, o.endpoint)
	}
	l.mu.Unlock()
	l.fleet.listed(s.Endpoints, missing, problem)
	s.Addresses = nil
	// The inner resolver would back off, for minutes in the end, were it told that nobody can use an empty list.
	_ = c.ClientConn.UpdateState(s)
	return nil
}
