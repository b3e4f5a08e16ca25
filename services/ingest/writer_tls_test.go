package ingest

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/waybill-data/waybill/pkg/tlsfiles"
	"github.com/waybill-data/waybill/pkg/tlsfiles/tlstest"
)

// address is one of ours until the test ends, whoever serves there: a port that is released may be another program's
// at once. Connections wait while nobody serves.
func address(t *testing.T) *os.File {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// serveHealth serves at an address with mutual TLS until the test ends or stop is called.
func serveHealth(t *testing.T, address *os.File, files tlsfiles.Files) (at string, stop func()) {
	t.Helper()
	l, err := net.FileListener(address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(tlstest.Server(files))))
	state := health.NewServer()
	healthv1.RegisterHealthServer(server, state)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	stop = func() {
		server.Stop()
		<-done
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// What is renewed in place on either side is used for the next connection to a writer, by the connection that all lanes
// share.
func TestWriterCredentialsRenewedInPlace(t *testing.T) {
	first, second := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	server, client := tlstest.Files(t), tlstest.Files(t)
	tlstest.Renew(t, server, first, first)
	tlstest.Renew(t, client, first, first)
	at := address(t)
	address, stop := serveHealth(t, at, server)
	w := Writer{
		Endpoints: []string{address},
		TLS:       tlsfiles.Optional{Enable: true, Files: client},
	}
	conn, err := w.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}, grpc.WaitForReady(true))
		return err
	}
	if err := request(); err != nil {
		t.Fatal(err)
	}
	stop()
	tlstest.Renew(t, server, second, second)
	tlstest.Renew(t, client, second, second)
	serveHealth(t, at, server)
	err = request()
	for err != nil && t.Context().Err() == nil && strings.Contains(err.Error(), "EOF") {
		err = request() // it was asked on the connection that was ended
	}
	if err != nil {
		t.Errorf("after the renewal: %v", err)
	}
}

// A writer that does not trust our certificate, is told apart from one that is away.
func TestCheckNamesTheRefusalOfAWriter(t *testing.T) {
	first, second := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	server, client := tlstest.Files(t), tlstest.Files(t)
	tlstest.Renew(t, server, first, first)
	tlstest.Renew(t, client, second, first)
	address, _ := serveHealth(t, address(t), server)
	w := Writer{
		Endpoints: []string{address},
		TLS:       tlsfiles.Optional{Enable: true, Files: client},
	}
	found := checkWriter(t.Context(), w, address)
	if !strings.Contains(found.Detail, "unknown certificate authority") ||
		!strings.Contains(found.Remedy, "writer.tls") {
		t.Errorf("%+v", found)
	}
	w.TLS.CA = "nowhere.pem"
	if _, err := w.dial(); err == nil || !strings.Contains(err.Error(), "writer.tls.ca") {
		t.Errorf("got %v", err)
	}
}
