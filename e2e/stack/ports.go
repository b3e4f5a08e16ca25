package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Addresses are chosen below the ports that systems give to outgoing connections (from 32768 on Linux, 49152
// elsewhere): one of those could take the address of a service that is stopped for a while.
const (
	firstPort = 20000
	lastPort  = 32000
)

// taken are the ports handed out by this process, so that no two stacks share one while its service is down.
var taken sync.Map

// ports hands out free loopback addresses. It holds them all until released, so that none is handed out twice.
type ports struct {
	held []net.Listener
	err  error
}

func (p *ports) take(fixed bool, preferred int) string {
	if fixed {
		if address := p.try(preferred); address != "" {
			return address
		}
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if _, before := taken.LoadOrStore(port, true); before {
			continue
		}
		if address := p.try(port); address != "" {
			return address
		}
	}
	p.err = errors.New("no free port on 127.0.0.1")
	return ""
}

// try gives the address of a port, empty when somebody has it.
func (p *ports) try(port int) string {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // loopback: no look-up to wait for
	if err != nil {
		return ""
	}
	p.held = append(p.held, l)
	return l.Addr().String()
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
