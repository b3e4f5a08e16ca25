package service

import (
	"context"
	"net"
	"sync"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

const (
	// callsAtOnce is how many calls of one host may begin at once, beyond those that a second allows.
	callsAtOnce = 4096
	// pacedHosts bounds the hosts that are remembered; with more, all begin anew.
	pacedHosts = 4096
)

// pace bounds how often the calls of a host begin. A call that begins costs goroutines and buffers before anybody looks
// at it, also one that is taken back at once: thousands a second would leave nothing for the calls that last.
type pace struct {
	second rate.Limit

	mu    sync.Mutex
	hosts map[string]*rate.Limiter
}

// Pace refuses calls of a host that begins more than so many a second, with UNAVAILABLE, before anything is made for
// them. They are to come again.
func Pace(second int) grpc.ServerOption {
	p := &pace{second: rate.Limit(second), hosts: map[string]*rate.Limiter{}}
	return grpc.InTapHandle(p.begin)
}

func (p *pace) begin(ctx context.Context, _ *tap.Info) (context.Context, error) {
	host := ""
	if from, ok := peer.FromContext(ctx); ok {
		host = from.Addr.String()
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
	}
	p.mu.Lock()
	l := p.hosts[host]
	if l == nil {
		if len(p.hosts) >= pacedHosts {
			clear(p.hosts)
		}
		l = rate.NewLimiter(p.second, callsAtOnce)
		p.hosts[host] = l
	}
	p.mu.Unlock()
	if !l.Allow() {
		return nil, status.Error(codes.Unavailable, "this host begins calls too often: come again in a second")
	}
	return ctx, nil
}
