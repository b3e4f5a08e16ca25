package service

import (
	"fmt"
	"net"
	"strconv"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/pkg/memory"
)

// Memory is the `memory:` section: it bounds what all lanes of a process hold together.
type Memory struct {
	// Budget is for records and rows: prefetch (a quarter of it), batches and windows of ingest, windows of the writer.
	// The process takes about twice as much and 64 MiB. 0 is memory.Budget's choice, by the container's limit.
	Budget config.Bytes `yaml:"budget"`
}

// Size is the budget in bytes.
func (m Memory) Size() int64 {
	if m.Budget == 0 {
		return memory.Budget()
	}
	return int64(m.Budget)
}

// Doubts warns of a budget that the container has no room for, whatever the lanes.
func (m Memory) Doubts() []findings.Finding {
	need, limit, tooLarge := memory.TooLarge(m.Size(), 0)
	if !tooLarge {
		return nil
	}
	return []findings.Finding{{
		What: "memory.budget", State: findings.Warn,
		Detail: fmt.Sprintf("the process takes about %d MiB with it, and the container has %d", need>>20, limit>>20),
		Remedy: "leave memory.budget out, or raise the container's limit",
	}}
}

// Listen is an address to serve on.
type Listen struct {
	Listen string `yaml:"listen"`
}

// CheckAddresses reports addresses that nothing can listen on, and two that are in each other's way. The remedy has
// example, a port.
func CheckAddresses(report func(key, message, remedy string), grpc, admin string, example int) {
	for _, l := range []struct{ key, address string }{{"grpc.listen", grpc}, {"admin.listen", admin}} {
		if err := listenable(l.address); err != nil {
			report(l.key, err.Error(),
				fmt.Sprintf("write host:port, for example 127.0.0.1:%d, or :%d for all interfaces", example, example))
		}
	}
	if config.SamePort(grpc, admin) {
		report("admin.listen", "is the port of grpc.listen", "give each its own port")
	}
}

func listenable(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n >= 1<<16 {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}
