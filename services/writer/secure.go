package writer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

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
	// HTTP/2 alone is spoken here, as gRPC's own credentials say.
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}}
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

// server is the credentials of the gRPC server, nil when there is no TLS. Certificate, key and authority are read again
// for each connection; while they cannot be read, as in the middle of being renewed, those read last are used.
func (t *TLS) server(log *slog.Logger) (credentials.TransportCredentials, error) {
	first, err := t.load()
	if err != nil || first == nil {
		return nil, err
	}
	r := &renewed{files: *t, log: log, last: first}
	// What a ticket vouches for was checked against the authority of its day, so there are none.
	return &watched{TransportCredentials: credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, SessionTicketsDisabled: true,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return r.current(), nil },
	}), log: log}, nil
}

// renewed is the TLS configuration as the files say it now.
type renewed struct {
	files TLS
	log   *slog.Logger

	mu     sync.Mutex
	last   *tls.Config
	logged time.Time
}

func (r *renewed) current() *tls.Config {
	c, err := r.files.load()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil && c != nil:
		c.SessionTicketsDisabled = true
		r.last = c
	case time.Since(r.logged) >= logsEvery:
		r.logged = time.Now()
		r.log.Warn("TLS files cannot be read; those read last are used", "error", err)
	}
	return r.last
}

// logsEvery bounds the lines about connections: callers try again every few seconds.
const logsEvery = 10 * time.Second

// watched says which connections failed, and why: gRPC tells nobody.
type watched struct {
	credentials.TransportCredentials
	log *slog.Logger

	mu       sync.Mutex
	logged   time.Time
	silenced int
}

// ServerHandshake implements credentials.TransportCredentials.
func (w *watched) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := w.TransportCredentials.ServerHandshake(raw)
	// Probes connect and leave without a word.
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed(raw.RemoteAddr(), err)
	}
	return conn, info, err
}

// Clone implements credentials.TransportCredentials.
func (w *watched) Clone() credentials.TransportCredentials {
	return &watched{TransportCredentials: w.TransportCredentials.Clone(), log: w.log}
}

func (w *watched) failed(from net.Addr, err error) {
	w.mu.Lock()
	more := w.silenced
	quiet := time.Since(w.logged) < logsEvery
	if quiet {
		w.silenced++
	} else {
		w.logged, w.silenced = time.Now(), 0
	}
	w.mu.Unlock()
	if quiet {
		return
	}
	w.log.LogAttrs(context.Background(), slog.LevelWarn, "connection refused in the TLS handshake",
		slog.String("from", from.String()), slog.Any("error", err), slog.String("remedy", aboutHandshake(err)),
		slog.Int("others_since_last", more))
}

// aboutHandshake is what to do about a caller that was turned away.
func aboutHandshake(err error) string {
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &verification):
		return "grpc.tls.client_ca does not vouch for its certificate: give the caller one of that authority, or add the " +
			"authority of this one"
	case strings.Contains(err.Error(), "didn't provide a certificate"): // crypto/tls has no type for it
		return "it shows no certificate, as callers do whose only one is not of grpc.tls.client_ca: give the caller one " +
			"of that authority, or add the authority of that one"
	}
	return "see whether the caller speaks TLS, and trusts the certificate of this writer"
}
