package service

import (
	"fmt"
	"net"
	"strconv"

	"github.com/waybill-data/waybill/pkg/access"
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

// Listen is an address to serve on, and how.
type Listen struct {
	// Listen is host:port; without a host, all interfaces.
	Listen string `yaml:"listen"`
	TLS    TLS    `yaml:"tls"`
	// Insecure says that the port may be open without TLS where others than this machine reach it.
	Insecure bool `yaml:"insecure"`
}

// CheckPorts reports addresses that nothing can listen on, two that are in each other's way, files of TLS that cannot
// be used, and ports that others than this machine reach without TLS and without a word about it. The remedy has
// example, a port. Nil access: nobody is told apart.
func CheckPorts(report func(key, message, remedy string), grpc, admin *Listen, who *access.Config, example int) {
	for _, l := range []struct {
		key string
		*Listen
	}{{"grpc", grpc}, {"admin", admin}} {
		if err := listenable(l.Listen.Listen); err != nil {
			report(l.key+".listen", err.Error(),
				fmt.Sprintf("write host:port, for example 127.0.0.1:%d, or :%d for all interfaces", example, example))
			continue
		}
		if _, err := l.TLS.load(); err != nil {
			report(l.key+".tls", err.Error(), "name the PEM files of certificate and key, both or neither")
		}
		switch {
		case l.Insecure && l.TLS.enabled():
			report(l.key+".insecure", "is true while there is TLS", "remove one of the two")
		case !l.Insecure && !l.TLS.enabled() && !loopback(l.Listen.Listen):
			report(l.key+".tls", fmt.Sprintf("others than this machine reach %s without TLS", l.Listen.Listen),
				"set cert and key, or listen on 127.0.0.1, or say "+l.key+
					".insecure: true where the network is trusted")
		}
	}
	if who.ByCertificate() && grpc.TLS.ClientCA == "" && admin.TLS.ClientCA == "" {
		report("access.identities", "nobody shows a certificate: no port has a client_ca",
			"set grpc.tls.client_ca or admin.tls.client_ca")
	}
	if config.SamePort(grpc.Listen, admin.Listen) {
		report("admin.listen", "is the port of grpc.listen", "give each its own port")
	}
}

// loopback tells whether nobody but this machine reaches an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// PortDoubts warns of ports that work and let in more than is meant, perhaps.
func PortDoubts(grpc, admin *Listen, who *access.Config) (found []findings.Finding) {
	warn := func(what, detail, remedy string) {
		found = append(found, findings.Finding{What: what, State: findings.Warn, Detail: detail, Remedy: remedy})
	}
	outside := false
	for _, l := range []struct {
		key string
		*Listen
	}{{"grpc", grpc}, {"admin", admin}} {
		if loopback(l.Listen.Listen) {
			continue
		}
		outside = true
		switch {
		case l.Insecure && who.ByToken():
			warn(l.key, "tokens come over the network in the clear", "set "+l.key+".tls")
		case l.Insecure:
			warn(l.key, "insecure: whoever reaches "+l.Listen.Listen+" reads along and takes part", "set "+l.key+".tls")
		}
	}
	if outside && !who.Enabled() {
		warn("access", "everybody whom a port lets in may do everything", "set access.identities or access.tokens")
	}
	return found
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
