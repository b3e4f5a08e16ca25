// Package sockets makes TCP connections that cost less in a process with little to do.
//
// Go tells its scheduler of each system call, and each one that ends while the scheduler's monitor sleeps wakes it: the monitor then looks
// every 20 µs, for a millisecond and more. A service that waits for a slow peer and wakes for a batch at a time pays for that again and
// again: a fifth of the processor time of a writer whose BigQuery answers after 100 ms. Reading and writing a socket that does not block needs
// nothing of it: the call copies what fits and returns. So the connections of this package make these two calls without telling, a bounded
// number of bytes each, and wait through Go's poller as all connections do.
//
// On systems other than Linux, and for connections that are not TCP, everything is as in package net.
package sockets

import (
	"context"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
)

// Listener gives what it accepts to Wrap. Closing it closes the one below.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Wrap(c), nil
}

// keepalive is how often an idle connection is probed by TCP.
const keepalive = 15 * time.Second

// Dial connects to an address as gRPC gives it to a dialer: host:port, or a path after "unix:".
func Dial(ctx context.Context, address string) (net.Conn, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", strings.TrimPrefix(path, "//")
	}
	c, err := (&net.Dialer{KeepAlive: keepalive}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return Wrap(c), nil
}

// DialOptions make a gRPC client dial with Dial. There are none where the environment names a proxy: gRPC finds the way through it only with
// its own dialer.
func DialOptions() []grpc.DialOption {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		if os.Getenv(name) != "" {
			return nil
		}
	}
	return []grpc.DialOption{grpc.WithContextDialer(Dial)}
}
