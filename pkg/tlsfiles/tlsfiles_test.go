package tlsfiles_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/pkg/tlsfiles"
)

// authority signs certificates.
type authority struct {
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{name: name}
	a.cert, a.key = sign(t, nil, name)
	return a
}

func sign(t *testing.T, by *authority, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
	}
	parent, signer := template, key
	if by == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	} else {
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
	return cert, key
}

func write(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// renew writes a pair signed by one authority, and trusts another.
func renew(t *testing.T, f tlsfiles.Files, signedBy, trusts *authority) {
	t.Helper()
	cert, key := sign(t, signedBy, "someone")
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.Cert, "CERTIFICATE", cert.Raw)
	write(t, f.Key, "PRIVATE KEY", der)
	write(t, f.CA, "CERTIFICATE", trusts.cert.Raw)
}

func files(t *testing.T) tlsfiles.Files {
	dir := t.TempDir()
	return tlsfiles.Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
}

// What is renewed in place, on either side, holds from the next connection on: nothing is made anew but the connection.
func TestRenewedInPlace(t *testing.T) {
	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	server, client := files(t), files(t)
	renew(t, server, first, first)
	renew(t, client, first, first)
	config, err := tlsfiles.Server(server)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("hello")) // fails for those that are refused
			_ = conn.Close()
		}
	}()
	connect := func() error {
		config, err := tlsfiles.Client(client)
		if err != nil {
			return err
		}
		conn, err := tls.Dial("tcp", l.Addr().String(), config)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = io.ReadFull(conn, make([]byte, 5)) // by now the server has judged our certificate
		return err
	}
	for _, step := range []struct {
		name   string
		renew  func()
		refuse string
	}{
		{"as they were", func() {}, ""},
		{"the server's certificate is of another authority", func() { renew(t, server, second, first) }, "unknown authority"},
		{"the client trusts that authority too", func() { renew(t, client, first, second) }, ""},
		{"the server trusts the other one alone", func() { renew(t, server, second, second) }, "unknown certificate authority"},
		{"the client's certificate is of that one too", func() { renew(t, client, second, second) }, ""},
	} {
		step.renew()
		err := connect()
		if step.refuse == "" && err != nil || step.refuse != "" && (err == nil || !strings.Contains(err.Error(), step.refuse)) {
			t.Errorf("%s: %v, want %q", step.name, err, step.refuse)
		}
	}
}

func TestFaultsNameTheField(t *testing.T) {
	good := files(t)
	a := newAuthority(t, "a")
	renew(t, good, a, a)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*tlsfiles.Files)) tlsfiles.Files {
		f := good
		change(&f)
		return f
	}
	client := func(f tlsfiles.Files) error { _, err := tlsfiles.Client(f); return err }
	server := func(f tlsfiles.Files) error { _, err := tlsfiles.Server(f); return err }
	for _, test := range []struct {
		name, want string
		err        error
	}{
		{"no such authority", "ca: ", client(with(func(f *tlsfiles.Files) { f.CA = "nowhere.pem" }))},
		{"empty authority", "ca: no certificate in ", client(with(func(f *tlsfiles.Files) { f.CA = empty }))},
		{"no key", "come together", client(with(func(f *tlsfiles.Files) { f.Key = "" }))},
		{"key and certificate", "cert: ", client(with(func(f *tlsfiles.Files) { f.Key = empty }))},
		{"no certificate of a server", "come together", server(tlsfiles.Files{})},
		{"authority of clients", "client_ca: no certificate in ", server(with(func(f *tlsfiles.Files) { f.CA = empty }))},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, test.err, test.want)
		}
	}
	if err := errors.Join(client(good), server(good), client(tlsfiles.Files{})); err != nil {
		t.Error(err)
	}
}
