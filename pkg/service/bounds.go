package service

import (
	"net"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

const (
	// maxHeader bounds the metadata of a call, in bytes; gRPC's own bound is 16 MiB.
	maxHeader = 64 << 10
	// connectWithin is how long TLS and the beginning of HTTP/2 may take.
	connectWithin = 10 * time.Second
	// idleAfter is how long a connection may have no call. Those of ingests always have one: they watch the health.
	idleAfter = 5 * time.Minute
	// adminConnections bounds the connections of the admin port, and those of the gRPC port of a service that carries
	// no lanes.
	adminConnections = 256
)

// Keepalive is how a gRPC server finds connections that are dead, and which it ends.
var Keepalive = keepalive.ServerParameters{
	Time: 30 * time.Second, Timeout: 20 * time.Second, MaxConnectionIdle: idleAfter,
}

// bounds are those of every gRPC server against clients that mean no good.
func bounds() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxHeaderListSize(maxHeader), grpc.ConnectionTimeout(connectWithin), grpc.KeepaliveParams(Keepalive),
	}
}

// Bound lets a listener have so many connections at once; 0: as many as an admin port. Those beyond wait.
func Bound(l net.Listener, connections int) net.Listener {
	if connections == 0 {
		connections = adminConnections
	}
	return netutil.LimitListener(l, connections)
}
