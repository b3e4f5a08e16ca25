package stack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Names is a DNS server on loopback that knows one name: each question gets the addresses of the moment.
type Names struct {
	name string
	conn net.PacketConn

	mu        sync.Mutex
	addresses []netip.Addr
	served    sync.WaitGroup
}

// NewNames starts a server that nobody has told an address yet.
func NewNames(name string) (*Names, error) {
	conn, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &Names{name: name, conn: conn}
	n.served.Go(n.serve)
	return n, nil
}

// Target is the gRPC target that asks this server for a port of the name's addresses.
func (n *Names) Target(port int) string { return fmt.Sprintf("dns://%s/%s:%d", n.addr(), n.name, port) }

func (n *Names) addr() string { return n.conn.LocalAddr().String() }

// Close stops the server.
func (n *Names) Close() {
	_ = n.conn.Close() // it ends serve, and nothing else is of use
	n.served.Wait()
}

// Publish makes the name resolve to these addresses, or to none.
func (n *Names) Publish(addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses = n.addresses[:0]
	for _, a := range addresses {
		n.addresses = append(n.addresses, netip.MustParseAddr(a))
	}
	slices.SortFunc(n.addresses, netip.Addr.Compare)
}

func (n *Names) serve() {
	buffer := make([]byte, 1<<12)
	for {
		size, from, err := n.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		if respond, err := n.respond(buffer[:size]); err == nil {
			_, _ = n.conn.WriteTo(respond, from) // whoever asked tries again
		}
	}
}

// respond builds the response to a question: the addresses for A of the name, nothing for other types, NXDOMAIN for
// other names.
func (n *Names) respond(question []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(question)
	if err != nil {
		return nil, err
	}
	q, err := parser.Question()
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	addresses := slices.Clone(n.addresses)
	n.mu.Unlock()
	ours := q.Name.String() == n.name+"."
	response := dnsmessage.Header{
		ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired,
	}
	if !ours || len(addresses) == 0 {
		response.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, response)
	b.EnableCompression()
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(q); err != nil {
		return nil, err
	}
	if err := b.StartAnswers(); err != nil {
		return nil, err
	}
	if ours && q.Type == dnsmessage.TypeA {
		for _, a := range addresses {
			of := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}
			if err := b.AResource(of, dnsmessage.AResource{A: a.As4()}); err != nil {
				return nil, err
			}
		}
	}
	return b.Finish()
}
