package chaos

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/waybill-data/waybill/e2e/stack"
)

// name is that of the writers. What it resolves to changes, as behind a headless service.
const name = "writer.chaos"

// What a list of writers may be for a while, however the writers are.
const (
	lacksOne  = "lacks a writer that serves"
	namesDead = "has an address where nobody is"
	empty     = "is empty"
)

var namings = []string{lacksOne, namesDead, empty}

// naming is what the name resolves to: addresses of relays in front of the writers, all at one port.
type naming struct {
	server *stack.Names
	port   int

	mu     sync.Mutex
	listed []int // writers that came and have not gone
	how    string
	lacks  int
}

// host is where the relay in front of a writer listens; nobody is behind that of the number after the last.
func host(i int) string { return fmt.Sprintf("127.0.0.%d", 60+i) }

func newNaming() (*naming, error) {
	at, err := stack.Addresses(1)
	if err != nil {
		return nil, err
	}
	_, text, err := net.SplitHostPort(at[0])
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	server, err := stack.NewNames(name)
	if err != nil {
		return nil, err
	}
	n := &naming{server: server, port: port}
	for i := range writers {
		n.listed = append(n.listed, i)
	}
	n.publish()
	return n, nil
}

// at is the address of the relay in front of a writer.
func (n *naming) at(writer int) string { return net.JoinHostPort(host(writer), strconv.Itoa(n.port)) }

// publish has the name resolve to what the list is now. The caller holds mu, or nobody else has n.
func (n *naming) publish() {
	var addresses []string
	for _, i := range n.listed {
		if n.how == empty || n.how == lacksOne && i == n.lacks {
			continue
		}
		addresses = append(addresses, host(i))
	}
	if n.how == namesDead {
		addresses = append(addresses, host(writers+1))
	}
	n.server.Publish(addresses...)
}

// list says that a writer is there, or not any more.
func (n *naming) list(writer int, there bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listed = slices.DeleteFunc(n.listed, func(i int) bool { return i == writer })
	if there {
		n.listed = append(n.listed, writer)
	}
	n.publish()
}

// changeNames has the list say something else for as long as the disturbance lasts. Lists that overlap take turns.
func (r *run) changeNames(ctx context.Context, d Disturbance) {
	set := func(how string) {
		r.names.mu.Lock()
		defer r.names.mu.Unlock()
		r.names.how, r.names.lacks = how, d.Target
		r.names.publish()
	}
	r.renaming.Lock()
	defer r.renaming.Unlock()
	set(d.Naming)
	pause(ctx, d.For)
	set("")
}
