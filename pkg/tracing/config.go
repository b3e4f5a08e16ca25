package tracing

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
)

// Config is where traces go. The zero value makes none.
type Config struct {
	// Endpoint is host:port of an OpenTelemetry collector that takes OTLP over gRPC (usually port 4317); empty: no
	// traces.
	Endpoint string `yaml:"endpoint"`
	// CA is a PEM file with the authorities that the collector's certificate may be of; empty: those of the system.
	CA string `yaml:"ca"`
	// Insecure says that the collector is reached without TLS.
	Insecure bool `yaml:"insecure"`
}

// enabled tells whether there are traces.
func (c *Config) enabled() bool { return c.Endpoint != "" }

// Check implements config.Checker.
func (c *Config) Check(report func(key, message, remedy string)) {
	if !c.enabled() {
		if c.Insecure || c.CA != "" {
			report("endpoint", "is empty, and something is said of the connection",
				"name the collector, or remove the rest")
		}
		return
	}
	host, port, err := net.SplitHostPort(c.Endpoint)
	n, bad := strconv.Atoi(port)
	if err != nil || host == "" || bad != nil || n < 1 || n >= 1<<16 {
		report("endpoint", fmt.Sprintf("%q is not host:port", c.Endpoint),
			"write the collector's address without a scheme, such as collector:4317")
	}
	if c.Insecure && c.CA != "" {
		report("insecure", "is true while there is a ca", "remove one of the two")
	} else if _, err := c.tls(); err != nil {
		report("ca", err.Error(), "name a PEM file of certificates, or leave it out")
	}
}

// tls is nil where the connection has none.
func (c *Config) tls() (*tls.Config, error) {
	if c.Insecure {
		return nil, nil //nolint:nilnil // none is what was asked for
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA == "" {
		return secure, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %w", err)
	}
	secure.RootCAs = x509.NewCertPool()
	if !secure.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New(c.CA + " has no PEM certificate")
	}
	return secure, nil
}
