package service

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

var serial = big.NewInt(1)

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key, a.pem = issue(t, name, nil)
	return a
}

// issue makes a certificate that an authority has signed, or one of its own.
func issue(t *testing.T, name string, by *authority) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial = new(big.Int).Add(serial, big.NewInt(1))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"writer"}, ExtKeyUsage: []x509.ExtKeyUsage{
			x509.ExtKeyUsageServerAuth,
			x509.ExtKeyUsageClientAuth,
		},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: by == nil, BasicConstraintsValid: true,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// pair is a certificate of the authority for tls.
func (a *authority) pair(t *testing.T, name string) (tls.Certificate, []byte, []byte) {
	t.Helper()
	_, key, cert := issue(t, name, a)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	p, err := tls.X509KeyPair(cert, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return p, cert, keyPEM
}

// secured is a server's TLS whose files are in a folder.
type secured struct {
	t     *testing.T
	files TLS
	creds credentials.TransportCredentials
	log   logtest.Log
	// insists: the caller shows its certificate though the server's authority has not signed it, which Go's client does
	// not.
	insists bool
}

func (s *secured) write(path string, text []byte) {
	s.t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// connect makes a connection, and returns what the server's side says and which certificate it showed.
func (s *secured) connect(client tls.Certificate, roots ...*authority) (shown string, err error) {
	s.t.Helper()
	pool := x509.NewCertPool()
	for _, a := range roots {
		pool.AddCert(a.cert)
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	accepted := make(chan error, 1)
	go func() {
		conn, _, err := s.creds.ServerHandshake(theirs)
		if err == nil {
			_, err = conn.Write([]byte("welcome"))
		}
		theirs.Close()
		accepted <- err
	}()
	config := &tls.Config{
		RootCAs: pool, ServerName: "writer", Certificates: []tls.Certificate{client}, NextProtos: []string{"h2"},
		MinVersion: tls.VersionTLS12,
	}
	if s.insists {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &client,
				nil
		}
	}
	c := tls.Client(ours, config)
	if err := c.HandshakeContext(context.Background()); err == nil {
		shown = c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	_, _ = c.Read(make([]byte, 7)) // In TLS 1.3 a refusal comes behind the handshake.
	ours.Close()
	return shown, <-accepted
}

// Certificate, key and authority that are renewed in place are used from the next connection on; a caller that is
// turned away leaves a line.
func TestCredentialsAreRenewedInPlace(t *testing.T) {
	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	dir := t.TempDir()
	s := &secured{
		t: t,
		files: TLS{
			Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"),
			ClientCA: filepath.Join(dir, "ca.pem"),
		},
	}
	_, cert, key := first.pair(t, "writer 1")
	s.write(s.files.Cert, cert)
	s.write(s.files.Key, key)
	s.write(s.files.ClientCA, first.pem)
	var err error
	if s.creds, err = s.files.Credentials(Port{
		Key: "grpc",
		Log: slog.New(slog.NewTextHandler(&s.log, nil)),
	}); err != nil {
		t.Fatal(err)
	}
	ours, _, _ := first.pair(t, "ingest")
	theirs, _, _ := second.pair(t, "somebody")
	if shown, err := s.connect(ours, first, second); err != nil || shown != "writer 1" {
		t.Fatalf("%q, %v", shown, err)
	}
	if got := s.log.String(); got != "" {
		t.Errorf("a connection that stands left %q", got)
	}
	s.insists = true
	if _, err := s.connect(theirs, first, second); err == nil {
		t.Fatal("a certificate of another authority was taken")
	}
	s.insists = false
	for _, want := range []string{
		"connection refused in the TLS handshake", "unknown authority", "grpc.tls.client_ca does not vouch",
		"from=pipe",
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log does not say %q: %s", want, s.log.String())
		}
	}
	if _, err := s.connect(theirs, first, second); err == nil ||
		!strings.Contains(aboutHandshake("grpc", err), "shows no certificate") ||
		strings.Count(s.log.String(), "\n") != 1 {
		t.Errorf("%v; a caller that tries again and again fills the log: %s", err, s.log.String())
	}

	_, cert, key = second.pair(t, "writer 2")
	s.write(s.files.Cert, cert)
	s.write(s.files.Key, key)
	s.write(s.files.ClientCA, second.pem)
	if shown, err := s.connect(theirs, first, second); err != nil || shown != "writer 2" {
		t.Errorf("%q, %v", shown, err)
	}
	if _, err := s.connect(ours, first, second); err == nil {
		t.Error("a certificate of the old authority was taken")
	}

	// In the middle of being renewed.
	s.write(s.files.ClientCA, []byte("not yet"))
	for range 2 {
		if shown, err := s.connect(theirs, first, second); err != nil || shown != "writer 2" {
			t.Errorf("%q, %v", shown, err)
		}
	}
	if got := s.log.String(); strings.Count(got, "TLS files cannot be read") != 1 ||
		!strings.Contains(got, "ca.pem holds no certificate") {
		t.Errorf("the log says %s", got)
	}
}

// A connection ends with the certificate of its caller, so that the next one shows what was renewed since; one that is
// closed before leaves nothing behind.
func TestConnectionsEndWithTheirCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		by := newAuthority(t, "ours")
		dir := t.TempDir()
		files := TLS{
			Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"),
			ClientCA: filepath.Join(dir, "ca.pem"),
		}
		s := &secured{t: t, files: files}
		_, cert, key := by.pair(t, "writer")
		s.write(files.Cert, cert)
		s.write(files.Key, key)
		s.write(files.ClientCA, by.pem)
		creds, err := files.Credentials(Port{Key: "grpc", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		own, _, _ := by.pair(t, "ingest")
		pool := x509.NewCertPool()
		pool.AddCert(by.cert)
		connect := func() (theirs net.Conn, ended chan error) {
			ours, raw := net.Pipe()
			c := tls.Client(ours, &tls.Config{
				RootCAs: pool, ServerName: "writer", Certificates: []tls.Certificate{own}, NextProtos: []string{"h2"},
				MinVersion: tls.VersionTLS12,
			})
			ended = make(chan error, 1)
			go func() {
				_, err := c.Read(make([]byte, 1))
				ended <- err
				ours.Close()
			}()
			theirs, _, err := creds.ServerHandshake(raw)
			if err != nil {
				t.Fatal(err)
			}
			return theirs, ended
		}
		until := time.Until(own.Leaf.NotAfter)
		closed, _ := connect()
		if err := closed.Close(); err != nil {
			t.Fatal(err)
		}
		kept, ended := connect()
		defer kept.Close()
		time.Sleep(until - time.Second)
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("it ended early: %v", err)
		default:
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		select {
		case err := <-ended:
			if err == nil {
				t.Error("something came over it")
			}
		default:
			t.Error("it lasts longer than the certificate")
		}
	})
}

// A probe that connects and leaves is no fault; a caller that speaks something else is.
func TestWhoLeavesALine(t *testing.T) {
	first := newAuthority(t, "first")
	dir := t.TempDir()
	s := &secured{t: t, files: TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}}
	_, cert, key := first.pair(t, "writer")
	s.write(s.files.Cert, cert)
	s.write(s.files.Key, key)
	var err error
	if s.creds, err = s.files.Credentials(Port{
		Key: "grpc",
		Log: slog.New(slog.NewTextHandler(&s.log, nil)),
	}); err != nil {
		t.Fatal(err)
	}
	say := func(text string) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = ours.Write([]byte(text)) // The other side may have gone.
			ours.Close()
		}()
		if _, _, err := s.creds.Clone().ServerHandshake(theirs); err == nil {
			t.Error("a handshake of nothing")
		}
		theirs.Close()
	}
	say("")
	if got := s.log.String(); got != "" {
		t.Errorf("a probe left %q", got)
	}
	say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if got := s.log.String(); !strings.Contains(got, "see whether the caller speaks TLS") {
		t.Errorf("plaintext left %q", got)
	}
}

// Without a certificate there is no TLS, and an authority alone makes no sense.
func TestNoTLS(t *testing.T) {
	if c, err := (&TLS{}).Credentials(Port{Key: "grpc", Log: slog.New(slog.DiscardHandler)}); c != nil || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	port := Port{Key: "grpc", Log: slog.New(slog.DiscardHandler)}
	if _, err := (&TLS{ClientCA: "ca.pem"}).Credentials(port); err == nil {
		t.Error("client_ca without cert and key")
	}
}
