package service

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"google.golang.org/grpc/credentials"

	"github.com/waybill-data/waybill/pkg/logging"
)

// TLS of a port; empty: none.
type TLS struct {
	// Cert and Key are paths of PEM files. They are read again for each connection, so that they can be renewed in
	// place.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ClientCA is the path of a PEM file; with it callers must show a certificate signed by it. It is read again for
	// each connection as well. Where `access` tells callers apart, one without a certificate is let in to show a token
	// or to use what is open; a certificate that is shown must be good.
	ClientCA string `yaml:"client_ca"`
}

func (t *TLS) enabled() bool { return t.Cert != "" || t.Key != "" || t.ClientCA != "" }

// load reads the files and returns the TLS configuration of one connection, nil when there is no TLS.
func (t *TLS) load() (*tls.Config, error) {
	if t.Cert == "" && t.Key == "" {
		if t.ClientCA != "" {
			return nil, errors.New("client_ca needs cert and key")
		}
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(filepath.Clean(t.Cert), filepath.Clean(t.Key))
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if t.ClientCA != "" {
		pem, err := os.ReadFile(filepath.Clean(t.ClientCA))
		if err != nil {
			return nil, err
		}
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", t.ClientCA)
		}
	}
	return c, nil
}

// Port is what TLS needs to know of the port that it is for.
type Port struct {
	// Key is that of its section: grpc or admin.
	Key string
	// Identifies says that callers are told apart later, so that one may come without a certificate.
	Identifies bool
	Log        *slog.Logger
}

// Credentials are those of a gRPC server, nil when there is no TLS. Certificate, key and authority are read again for
// each connection; while they cannot be read, as in the middle of being renewed, those read last are used.
func (t *TLS) Credentials(p Port) (credentials.TransportCredentials, error) {
	// HTTP/2 alone is spoken here, as gRPC's own credentials say.
	c, err := t.Server(p, "h2")
	if err != nil || c == nil {
		return nil, err
	}
	return &watched{TransportCredentials: credentials.NewTLS(c), port: p}, nil
}

// Server is the configuration of a listener, as Credentials: nil when there is no TLS.
func (t *TLS) Server(p Port, protocols ...string) (*tls.Config, error) {
	first, err := t.load()
	if err != nil || first == nil {
		return nil, err
	}
	r := &renewed{files: *t, port: p, protocols: protocols}
	r.last = r.prepared(first)
	// What a ticket vouches for was checked against the authority of its day, so there are none.
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols, SessionTicketsDisabled: true,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return r.current(), nil },
	}, nil
}

// Local is the configuration of a client on the same machine, for the process's own health: it trusts the certificate
// of the file and no other, whatever name is in it. It shows that certificate where one must be shown, which is where
// callers are not told apart. Nil when there is no TLS.
func (t *TLS) Local(identifies bool) (*tls.Config, error) {
	own, err := t.load()
	if err != nil || own == nil {
		return nil, err
	}
	ours := own.Certificates[0]
	shown := &ours
	if identifies {
		shown = new(tls.Certificate) // ours may be good for servers alone
	}
	return &tls.Config{
		MinVersion:           tls.VersionTLS12,
		InsecureSkipVerify:   true, // VerifyConnection is stricter.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil },
		VerifyConnection: func(s tls.ConnectionState) error {
			if !bytes.Equal(s.PeerCertificates[0].Raw, ours.Certificate[0]) {
				return errors.New("another certificate than that of the file is shown: it was renewed this moment, " +
					"or another process listens there")
			}
			return nil
		},
	}, nil
}

// renewed is the TLS configuration as the files say it now.
type renewed struct {
	files     TLS
	port      Port
	protocols []string

	mu    sync.Mutex
	last  *tls.Config
	bound logging.Seldom
}

func (r *renewed) prepared(c *tls.Config) *tls.Config {
	c.SessionTicketsDisabled, c.NextProtos = true, r.protocols
	if r.port.Identifies && c.ClientCAs != nil {
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return c
}

func (r *renewed) current() *tls.Config {
	c, err := r.files.load()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil && c != nil:
		r.last = r.prepared(c)
	default:
		r.bound.Say(func(int) {
			r.port.Log.Warn("TLS files cannot be read; those read last are used", "port", r.port.Key, "error", err)
		})
	}
	return r.last
}
