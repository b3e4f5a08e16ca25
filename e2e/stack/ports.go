package stack

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
)

// The ports that are handed out lie below those that systems give to outgoing connections: a process that restarts wants its own back.
const firstPort, lastPort = 20000, 32000

// nextPort starts somewhere else in each process that runs stacks.
var nextPort atomic.Int64

func init() { nextPort.Store(int64(os.Getpid()) * 37) }

// ports hands out free loopback addresses. It holds them all until released; until the range is used up, no other stack of this process gets
// one of them.
type ports struct {
	held []net.Listener
	err  error
}

func (p *ports) take(fixed bool, preferred int) string {
	if fixed && p.listen(preferred) {
		return p.held[len(p.held)-1].Addr().String()
	}
	for range lastPort - firstPort {
		if p.listen(firstPort + int(nextPort.Add(1)%(lastPort-firstPort))) {
			return p.held[len(p.held)-1].Addr().String()
		}
	}
	p.err = errors.New("no loopback port is free")
	return ""
}

func (p *ports) listen(port int) bool {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err == nil {
		p.held = append(p.held, l)
	}
	return err == nil
}

func (p *ports) release() {
	for _, l := range p.held {
		l.Close()
	}
}

// Addresses are n free addresses on loopback.
func Addresses(n int) ([]string, error) {
	var p ports
	defer p.release()
	var addresses []string
	for range n {
		addresses = append(addresses, p.take(false, 0))
	}
	return addresses, p.err
}
