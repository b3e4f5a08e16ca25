// Package tlsfiles makes TLS configurations of PEM files that are renewed in place: the files are read for each
// connection, so that a new certificate, key or authority is used from the next connection on, without a restart.
//
//	c, err := tlsfiles.Client(files)   // for one connection: call it again for the next
//	c, err := tlsfiles.Server(files)   // for a listener: it reads the files itself for each connection
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
	// CA holds the authorities that signed the other side: for a client the system's when it is empty, for a server
	// those that clients need a certificate of, none when it is empty.
	CA string
	// Cert and Key are our own. A client may have neither.
	Cert, Key string
	// ServerName is the name in the server's certificate when it is not the host that is dialled. Servers ignore it.
	ServerName string
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

// Server makes the configuration of a listener. It reads the files now, for what is wrong with them, and again for each
// connection.
func Server(f Files) (*tls.Config, error) {
	c, err := server(f)
	if err != nil {
		return nil, err
	}
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return server(f) }
	return c, nil
}

func server(f Files) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	own, err := pair(f)
	if err != nil {
		return nil, err
	}
	c.Certificates = []tls.Certificate{*own}
	if f.CA != "" {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		if c.ClientCAs, err = authorities(f.CA); err != nil {
			return nil, fmt.Errorf("client_ca: %w", err)
		}
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
