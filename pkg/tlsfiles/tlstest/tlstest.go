// Package tlstest makes authorities and PEM files for tests.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/waybill-data/waybill/pkg/tlsfiles"
)

// Authority signs certificates that hold for an hour, of 127.0.0.1 and localhost.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{}
	a.cert, a.key = a.sign(t, Name{})
	return a
}

// Files names files of a folder of the test's own, which do not exist yet.
func Files(t testing.TB) tlsfiles.Files {
	dir := t.TempDir()
	return tlsfiles.Files{
		CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"),
	}
}

// Renew writes a new pair, signed by one authority, and the other one to be trusted.
func Renew(t testing.TB, f tlsfiles.Files, signedBy, trusts *Authority) {
	t.Helper()
	RenewAs(t, f, signedBy, trusts, Name{})
}

// Name is what a certificate says of its owner; zero fields: as NewAuthority says.
type Name struct {
	URI, DNS string
	Until    time.Time
}

// RenewAs is Renew with a name.
func RenewAs(t testing.TB, f tlsfiles.Files, signedBy, trusts *Authority, name Name) {
	t.Helper()
	cert, key := signedBy.sign(t, name)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.Cert, "CERTIFICATE", cert.Raw)
	write(t, f.Key, "PRIVATE KEY", der)
	write(t, f.CA, "CERTIFICATE", trusts.cert.Raw)
}

// Server is the configuration of a listener by the files, which are read for each connection. Clients need a
// certificate of an authority in CA. A connection that is made while the files cannot be read fails.
func Server(f tlsfiles.Files) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
			if err != nil {
				return nil, err
			}
			trusted, err := os.ReadFile(f.CA)
			if err != nil {
				return nil, err
			}
			c := &tls.Config{
				MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
				ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(),
			}
			if !c.ClientCAs.AppendCertsFromPEM(trusted) {
				return nil, errors.New("no certificate in " + f.CA)
			}
			return c, nil
		},
	}
}

// sign makes a certificate; one of itself for an authority that has none yet.
func (a *Authority) sign(t testing.TB, name Name) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "waybill test " + serial.String()},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
	}
	if name.URI != "" {
		u, err := url.Parse(name.URI)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = []*url.URL{u}
	}
	if name.DNS != "" {
		template.DNSNames = []string{name.DNS}
	}
	if !name.Until.IsZero() {
		template.NotAfter = name.Until
	}
	parent, signer := a.cert, a.key
	if a.cert == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func write(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
