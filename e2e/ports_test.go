package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/pkg/tlsfiles"
	"github.com/waybill-data/waybill/pkg/tlsfiles/tlstest"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/sandbox/events"
)

const (
	ingestName = "spiffe://cluster.local/ns/waybill/sa/ingest"
	oncallName = "oncall.example.com"
)

// callerWith is TLS of a caller with a certificate of that name; without any, it shows none.
func callerWith(t *testing.T, by, trusts *tlstest.Authority, name tlstest.Name) *tls.Config {
	t.Helper()
	files := tlstest.Files(t)
	tlstest.RenewAs(t, files, by, trusts, name)
	if name == (tlstest.Name{}) {
		files.Cert, files.Key = "", ""
	}
	c, err := tlsfiles.Client(files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// requested is what becomes of a caller at both ports of a service: the code of a list of tables, and the status of a
// page, 0 where there is no connection.
func (w *world) requested(s *stack.Service, secure *tls.Config, page string) (codes.Code, int) {
	w.t.Helper()
	conn, err := grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(credentials.NewTLS(secure.Clone())))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	_, err = adminv1.NewAdminServiceClient(conn).ListTables(ctx, &adminv1.ListTablesRequest{})
	code := status.Code(err)

	transport := &http.Transport{TLSClientConfig: secure.Clone()}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.Admin+page, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return code, 0
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		w.t.Fatal(err)
	}
	return code, response.StatusCode
}

// All four ports of a fleet of real processes are behind mutual TLS. They take who has the name, and neither a
// certificate that has ended, nor one of another authority or name, nor none. What is renewed in place, by another
// authority, counts for the next connection without a restart. An ingest whose own certificate ends while its lanes run
// loses them, and gets them back with the next certificate: every record is one row.
func TestFourPortsBehindCertificates(t *testing.T) {
	t.Parallel()
	first, second := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	server, own := tlstest.Files(t), tlstest.Files(t)
	tlstest.Renew(t, server, first, first)
	ends := time.Now().Add(15 * time.Second) // on a busy machine it may end before a lane opens
	tlstest.RenewAs(t, own, first, first, tlstest.Name{URI: ingestName, Until: ends})
	who := fmt.Sprintf("access:\n  open: []\n  identities:\n    - {name: %q, rights: [lane, viewer]}\n"+
		"    - {name: %s, rights: [operator]}\n", ingestName, oncallName)
	w := prepared(t, stack.Config{
		DeliveryPartitions: 1, StockPartitions: 1, Contracts: "  - builtin: stock.v1\n", IngestYAML: who,
		WriterYAML: who,
	})
	services := []*stack.Service{w.Writers[0], w.Ingests[0]}
	for _, s := range services {
		text, err := os.ReadFile(s.Config)
		if err != nil {
			t.Fatal(err)
		}
		port := fmt.Sprintf("  tls: {cert: %s, key: %s, client_ca: %s}\n", server.Cert, server.Key, server.CA)
		secured := string(text)
		for _, address := range []string{s.GRPC, s.Admin} {
			secured = strings.Replace(secured, "  listen: "+address+"\n  insecure: true\n",
				"  listen: "+address+"\n"+port, 1)
		}
		if n := strings.Count(secured, port); n != 2 {
			t.Fatalf("%d ports of %s have TLS:\n%s", n, s.Name, secured)
		}
		secured = strings.Replace(secured, "\nwriter:\n", fmt.Sprintf(
			"\nwriter:\n  tls: {enable: true, ca: %s, cert: %s, key: %s}\n", own.CA, own.Cert, own.Key), 1)
		if err := os.WriteFile(s.Config, []byte(secured), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.upSandbox()
	for _, s := range services {
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	oncall := tlstest.Name{DNS: oncallName}
	at := callerWith(t, first, first, oncall)
	up := func(secure *tls.Config, page string) {
		for _, s := range services {
			w.until(s.Name+" responds", func() error {
				if code, status := w.requested(s, secure, page); code != codes.OK || status != http.StatusOK {
					return fmt.Errorf("%s, %d", code, status)
				}
				return nil
			})
		}
	}
	up(at, "/healthz")
	began := []int{w.Writers[0].Pid(), w.Ingests[0].Pid()}
	w.produce(stack.StockTopic, 100, events.Config{})

	type reply struct {
		code codes.Code
		page int
	}
	let, away := reply{codes.OK, 200}, reply{codes.Unavailable, 0}
	check := func(what string, secure *tls.Config, want reply) {
		t.Helper()
		for _, s := range services {
			var got reply
			if got.code, got.page = w.requested(s, secure, "/lanes"); got != want {
				t.Errorf("%s at %s: %+v, want %+v", what, s.Name, got, want)
			}
		}
	}
	check("an operator", at, let)
	check("another name", callerWith(t, first, first, tlstest.Name{DNS: "x.example.com"}),
		reply{codes.PermissionDenied, 403})
	check("no certificate", callerWith(t, first, first, tlstest.Name{}), reply{codes.Unauthenticated, 401})
	check("another authority", callerWith(t, second, first, oncall), away)
	check("a certificate that has ended",
		callerWith(t, first, first, tlstest.Name{DNS: oncallName, Until: time.Now().Add(-time.Minute)}), away)

	tlstest.Renew(t, server, second, second)
	check("before the renewal's authority", at, away)
	renewed := callerWith(t, second, second, oncall)
	check("after the renewal", renewed, let)

	// The connection of the lanes was made with what ends now; what is renewed counts for the next one.
	says := func(s *stack.Service, text string) error {
		log, err := os.ReadFile(s.Log)
		if err == nil && !strings.Contains(string(log), text) {
			err = fmt.Errorf("the log of %s does not say %q", s.Name, text)
		}
		return err
	}
	opened := false
	w.until("the ingest's first certificate has ended", func() error {
		if left := time.Until(ends); left > 0 {
			opened = opened || says(w.Writers[0], "lane opened") == nil
			return fmt.Errorf("it lasts for %v more", left)
		}
		return nil
	})
	if opened {
		w.until("the lanes have ended with it", func() error { return says(w.Ingests[0], "lane broke") })
	}
	tlstest.RenewAs(t, own, second, second, tlstest.Name{URI: ingestName})
	w.produce(stack.StockTopic, 100, events.Config{})
	w.verified()
	up(renewed, "/readyz")
	for i, s := range services {
		if pid := s.Pid(); pid != began[i] || !s.Running() {
			t.Errorf("%s was restarted: %d, %d", s.Name, pid, began[i])
		}
	}
}
