package logging

import (
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

const (
	// linesTogether is how many lines of one host there may be at once: as many lanes as an ingest opens anew.
	linesTogether = 1024
	// linesASecond is how many follow in a second.
	linesASecond = 8
	// hostsKept bounds the hosts that are remembered; with more, all begin anew.
	hostsKept = 4096
)

// Callers bounds the lines that each host at a port brings about: one that fails in turns would fill the log, and what
// others do would not be found in it. The zero value is ready; it is safe for concurrent use.
type Callers struct {
	mu    sync.Mutex
	hosts map[string]*host
}

// host is what is known of one.
type host struct {
	pace *rate.Limiter
	left atomic.Int64
}

// Say calls write unless the host of an address has had as many lines as it may; others is how many of its lines were
// left out since the last one. An address without a port is taken as it is.
func (c *Callers) Say(address string, write func(others int)) {
	h := c.host(address)
	if !h.pace.Allow() {
		h.left.Add(1)
		return
	}
	write(int(h.left.Swap(0)))
}

func (c *Callers) host(address string) *host {
	if name, _, err := net.SplitHostPort(address); err == nil {
		address = name
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[address]
	if h == nil {
		if c.hosts == nil || len(c.hosts) >= hostsKept {
			c.hosts = make(map[string]*host)
		}
		h = &host{pace: rate.NewLimiter(linesASecond, linesTogether)}
		c.hosts[address] = h
	}
	return h
}
