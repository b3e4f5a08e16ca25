// Package tlsfiles makes TLS configurations of PEM files that are renewed in place: the files are read for each
// connection, so that a new certificate, key or authority is used from the next connection on, without a restart.
//
//	c, err := tlsfiles.Client(files)   // for one connection: call it again for the next
//
// Ports of ours are pkg/service's.
//
// A renewal is not atomic: for a moment a certificate and a key may not belong together, and a connection that is made
// then fails. Whoever makes connections tries again.
package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Files names PEM files.
type Files struct {
	// CA holds the authorities that may have signed the server's certificate; the system's when it is empty.
	CA string `yaml:"ca"`
	// Cert and Key are our own, for mutual TLS; both may be empty.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ServerName is the name in the server's certificate when it is not the host that is dialled.
	ServerName string `yaml:"server_name"`
}

// Client reads the files for one connection to a server. An error names the field.
func Client(f Files) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName}
	var err error
	if f.CA != "" {
		if c.RootCAs, err = authorities(f.CA); err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
	}
	if f.Cert != "" || f.Key != "" {
		own, err := pair(f)
		if err != nil {
			return nil, err
		}
		// Also when the server names other authorities: it then says that it does not know ours, instead of that there
		// is no certificate.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	return c, nil
}

func pair(f Files) (*tls.Certificate, error) {
	if f.Cert == "" || f.Key == "" {
		return nil, errors.New("cert and key come together: set both")
	}
	p, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("cert: %w", err)
	}
	return &p, nil
}

func authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", file)
	}
	return pool, nil
}
