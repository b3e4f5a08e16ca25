package service

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/waybill-data/waybill/pkg/logging"
)

// watched says which connections failed, and why: gRPC tells nobody. It ends each with the certificate that it was made
// with.
type watched struct {
	credentials.TransportCredentials
	port  Port
	bound logging.Seldom
}

// ServerHandshake implements credentials.TransportCredentials.
func (w *watched) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := w.TransportCredentials.ServerHandshake(raw)
	// Probes connect and leave without a word.
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed(raw.RemoteAddr(), err)
	}
	if state, ok := info.(credentials.TLSInfo); err == nil && ok && len(state.State.VerifiedChains) > 0 {
		conn = endingAt(state.State.PeerCertificates[0].NotAfter, conn)
	}
	return conn, info, err
}

// ending is a connection that is closed when the certificate of its caller ends. Every call over it is refused from
// then on, and a caller that keeps it would never show the certificate that it was given since.
type ending struct {
	net.Conn
	timer *time.Timer
}

func endingAt(end time.Time, conn net.Conn) net.Conn {
	// Its reader has the error.
	return &ending{conn, time.AfterFunc(time.Until(end), func() { _ = conn.Close() })}
}

// Close implements net.Conn.
func (e *ending) Close() error {
	e.timer.Stop()
	return e.Conn.Close()
}

// Clone implements credentials.TransportCredentials.
func (w *watched) Clone() credentials.TransportCredentials {
	return &watched{TransportCredentials: w.TransportCredentials.Clone(), port: w.port}
}

func (w *watched) failed(from net.Addr, err error) {
	w.bound.Say(func(others int) {
		w.port.Log.LogAttrs(context.Background(), slog.LevelWarn, "connection refused in the TLS handshake",
			slog.String("from", from.String()), slog.Any("error", err),
			slog.String("remedy", aboutHandshake(w.port.Key, err)),
			slog.Int("others_since_last", others))
	})
}

// aboutHandshake is what to do about a caller that was turned away.
func aboutHandshake(key string, err error) string {
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &verification):
		return key + ".tls.client_ca does not vouch for its certificate: give the caller one of that authority, or " +
			"add the authority of this one"
	case strings.Contains(err.Error(), "didn't provide a certificate"): // crypto/tls has no type for it
		return "it shows no certificate, as callers do whose only one is not of " + key +
			".tls.client_ca: give the caller " +
			"one of that authority, or add the authority of that one"
	}
	return "see whether the caller speaks TLS, and trusts its certificate"
}
