package tlsfiles_test

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/pkg/tlsfiles"
	"github.com/waybill-data/waybill/pkg/tlsfiles/tlstest"
)

// listen serves connections by what the files say until the test ends, each with serve.
func listen(t *testing.T, files tlsfiles.Files, serve func(*tls.Conn)) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", tlstest.Server(files))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn.(*tls.Conn))
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// What is renewed in place, on either side, holds from the next connection on: nothing is made anew but the connection.
func TestRenewedInPlace(t *testing.T) {
	first, second := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	server, client := tlstest.Files(t), tlstest.Files(t)
	tlstest.Renew(t, server, first, first)
	tlstest.Renew(t, client, first, first)
	address := listen(t, server, func(c *tls.Conn) {
		_, _ = c.Write([]byte("hello")) // fails for those that are refused
	})
	connect := func() error {
		config, err := tlsfiles.Client(client)
		if err != nil {
			return err
		}
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()         // read is what counts
		_, err = io.ReadFull(conn, make([]byte, 5)) // by now the server has judged our certificate
		return err
	}
	for _, step := range []struct {
		name   string
		renew  func()
		refuse string
	}{
		{"as they were", func() {}, ""},
		{
			"the server's certificate is of another authority", func() { tlstest.Renew(t, server, second, first) },
			"unknown authority",
		},
		{"the client trusts that authority too", func() { tlstest.Renew(t, client, first, second) }, ""},
		{
			"the server trusts the other one alone", func() { tlstest.Renew(t, server, second, second) },
			"unknown certificate authority",
		},
		{"the client's certificate is of that one too", func() { tlstest.Renew(t, client, second, second) }, ""},
	} {
		step.renew()
		err := connect()
		if step.refuse == "" && err != nil || step.refuse != "" && (err == nil || !strings.Contains(err.Error(),
			step.refuse)) {
			t.Errorf("%s: %v, want %q", step.name, err, step.refuse)
		}
	}
}

func TestFaultsNameTheField(t *testing.T) {
	good := tlstest.Files(t)
	a := tlstest.NewAuthority(t)
	tlstest.Renew(t, good, a, a)
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
	for _, test := range []struct {
		name, want string
		err        error
	}{
		{"no such authority", "ca: ", client(with(func(f *tlsfiles.Files) { f.CA = "nowhere.pem" }))},
		{"empty authority", "ca: no certificate in ", client(with(func(f *tlsfiles.Files) { f.CA = empty }))},
		{"no key", "come together", client(with(func(f *tlsfiles.Files) { f.Key = "" }))},
		{"key and certificate", "cert: ", client(with(func(f *tlsfiles.Files) { f.Key = empty }))},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, test.err, test.want)
		}
	}
	if err := errors.Join(client(good), client(tlsfiles.Files{})); err != nil {
		t.Error(err)
	}
}

// A client that is refused learns why, also when it finds out by writing.
func TestWriterHearsTheAlert(t *testing.T) {
	a, other := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	server, client := tlstest.Files(t), tlstest.Files(t)
	tlstest.Renew(t, server, a, a)
	tlstest.Renew(t, client, other, a)
	address := listen(t, server, func(c *tls.Conn) {
		_ = c.Handshake() // it fails, that is the point
	})
	mine, err := tlsfiles.Client(client)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := tls.Dial("tcp", address, mine)
	if err != nil {
		t.Fatal(err)
	}
	conn := tlsfiles.Judged(raw)
	defer conn.Close()
	for end := time.Now().Add(time.Minute); err == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		_, err = conn.Write(make([]byte, 1<<10))
	}
	if !tlsfiles.IsAlert(err) || !strings.Contains(err.Error(), "unknown certificate authority") {
		t.Errorf("got %v", err)
	}
}

// A server that has a certificate of the right authority and of another name is not the one that is meant.
func TestServersOfAnotherName(t *testing.T) {
	authority := tlstest.NewAuthority(t)
	server, client := tlstest.Files(t), tlstest.Files(t)
	tlstest.Renew(t, client, authority, authority)
	client.ServerName = "writer.test"
	for name, said := range map[string]string{"writer.test": "", "x.test": "valid for x.test, not writer.test"} {
		tlstest.RenewAs(t, server, authority, authority, tlstest.Name{DNS: name})
		address := listen(t, server, func(c *tls.Conn) { _ = c.Handshake() }) // fails for who goes away
		config, err := tlsfiles.Client(client)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := tls.Dial("tcp", address, config)
		if err == nil {
			_ = conn.Close() // was only there to shake hands
		}
		if (err == nil) != (said == "") || err != nil && !strings.Contains(err.Error(), said) {
			t.Errorf("a server that is %s: %v, want %q", name, err, said)
		}
	}
}
