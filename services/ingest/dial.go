package ingest

import (
	"fmt"
	"net"

	"google.golang.org/grpc"
)

// DialAdmin makes a connection to the admin API of an ingest or a writer at an address, host:port; empty: that of the
// configuration's own ingest on this machine. It connects when a call is made, with the TLS of writer.tls.
func DialAdmin(c *Config, address string) (*grpc.ClientConn, error) {
	if address == "" {
		host, port, err := net.SplitHostPort(c.GRPC.Listen)
		if err != nil {
			return nil, fmt.Errorf("grpc.listen: %w", err)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "localhost"
		}
		address = net.JoinHostPort(host, port)
	}
	options, err := c.Writer.options(nil)
	if err != nil {
		return nil, err
	}
	return grpc.NewClient("dns:///"+address, options...)
}
