package fleet

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a DNS server on loopback that knows one name: each question gets the addresses of the moment.
type names struct {
	name string
	conn net.PacketConn

	mu        sync.Mutex
	addresses []netip.Addr
	asked     int
	served    sync.WaitGroup
}

func newNames(name string) (*names, error) {
	conn, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &names{name: name, conn: conn}
	n.served.Go(n.serve)
	return n, nil
}

func (n *names) addr() string { return n.conn.LocalAddr().String() }

func (n *names) close() {
	_ = n.conn.Close() // it ends serve, and nothing else is of use
	n.served.Wait()
}

// publish makes the name resolve to these addresses.
func (n *names) publish(addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses = n.addresses[:0]
	for _, a := range addresses {
		n.addresses = append(n.addresses, netip.MustParseAddr(a))
	}
	slices.SortFunc(n.addresses, netip.Addr.Compare)
}

func (n *names) questions() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

func (n *names) serve() {
	buffer := make([]byte, 1<<12)
	for {
		size, from, err := n.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		if answer, err := n.answer(buffer[:size]); err == nil {
			_, _ = n.conn.WriteTo(answer, from) // who asked asks again
		}
	}
}

// answer builds the response to a question: the addresses for A of the name, nothing for other types, NXDOMAIN for
// other names.
func (n *names) answer(question []byte) ([]byte, error) {
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
	n.asked++
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
			err := b.AResource(dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1},
				dnsmessage.AResource{A: a.As4()})
			if err != nil {
				return nil, err
			}
		}
	}
	return b.Finish()
}
