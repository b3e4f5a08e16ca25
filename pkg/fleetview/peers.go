package fleetview

import (
	"context"
	"net"
	"slices"
	"sync"

	"google.golang.org/grpc"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// mostPeers bounds how many processes of a tier are asked.
const mostPeers = 256

// Address is where a process is reached. Authority is the name that its certificate has; empty: that of Dial.
type Address struct{ Dial, Authority string }

// Peers keeps connections to the processes of a tier. Safe for concurrent use. Close it.
type Peers struct {
	// Addresses are those of the moment.
	Addresses func(context.Context) ([]Address, error)
	// Options are those of the connections.
	Options []grpc.DialOption

	mu    sync.Mutex
	conns map[Address]*grpc.ClientConn
}

// All returns the processes of the moment. Connections to those that are gone are closed.
func (p *Peers) All(ctx context.Context) []Peer {
	addresses, err := p.Addresses(ctx)
	var out []Peer
	if err != nil {
		out = append(out, Peer{Address: "peers", Err: err})
	}
	addresses = addresses[:min(len(addresses), mostPeers)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		p.conns = make(map[Address]*grpc.ClientConn)
	}
	for address, conn := range p.conns {
		if !slices.Contains(addresses, address) {
			_ = conn.Close()
			delete(p.conns, address)
		}
	}
	for _, address := range addresses {
		conn := p.conns[address]
		if conn == nil {
			options := slices.Clip(p.Options)
			if address.Authority != "" {
				options = append(options, grpc.WithAuthority(address.Authority))
			}
			if conn, err = grpc.NewClient("passthrough:///"+address.Dial, options...); err != nil {
				out = append(out, Peer{Address: address.Dial, Err: err})
				continue
			}
			p.conns[address] = conn
		}
		out = append(out, Peer{
			Address: address.Dial, Client: adminv1.NewAdminServiceClient(conn),
			Steering: adminv1.NewSteeringServiceClient(conn), Records: adminv1.NewRecordServiceClient(conn),
		})
	}
	return out
}

// Close closes all connections.
func (p *Peers) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	p.conns = nil
}

// Resolve looks names up, host:port each: all addresses of a host are processes of their own, as those of a headless
// Service are. What cannot be looked up is left out, and the error says so.
func Resolve(ctx context.Context, names []string) (addresses []Address, err error) {
	for _, name := range names {
		host, port, splitErr := net.SplitHostPort(name)
		if splitErr != nil {
			err = splitErr
			continue
		}
		ips, lookErr := net.DefaultResolver.LookupHost(ctx, host)
		if lookErr != nil {
			err = lookErr
			continue
		}
		if host == "localhost" { // its IPv4 and IPv6 addresses are the same process
			ips = ips[:1]
		}
		for _, ip := range ips {
			addresses = append(addresses, Address{Dial: net.JoinHostPort(ip, port), Authority: host})
		}
	}
	return addresses, err
}
