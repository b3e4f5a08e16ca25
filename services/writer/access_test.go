package writer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/access"
	"github.com/waybill-data/waybill/pkg/logging"
	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/tlsfiles"
	"github.com/waybill-data/waybill/pkg/tlsfiles/tlstest"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// guarded runs a writer with TLS at both ports that lets in two identities and a token; the log is at debug.
func guarded(t *testing.T, authority *tlstest.Authority, token string) (grpcAt, adminAt string, log *logtest.Log) {
	t.Helper()
	files := tlstest.Files(t)
	tlstest.Renew(t, files, authority, authority)
	sum := sha256.Sum256([]byte(token))
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte(hex.EncodeToString(sum[:])+" dashboard viewer\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Defaults()
	c.BigQuery.Project, c.BigQuery.Dataset, c.BigQuery.Insecure = "test-project", "d", true
	c.BigQuery.Endpoint.GRPC, c.BigQuery.Endpoint.REST = "127.0.0.1:1", "http://127.0.0.1:1"
	c.GRPC.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.GRPC.TLS = service.TLS{Cert: files.Cert, Key: files.Key, ClientCA: files.CA}
	c.Admin.TLS = c.GRPC.TLS
	c.Access.Tokens = tokens
	c.Access.Identities = []access.Identity{
		{Name: "ingest.example.com", Rights: []access.Right{access.Lane}},
		{Name: "viewer.example.com", Rights: []access.Right{access.Viewer}},
	}
	log = new(logtest.Log)
	env := service.Env{Log: logging.New(log, logging.Config{Level: "debug"})}
	if err := env.Listen(t.Context(), c.GRPC.Listen, c.Admin.Listen); err != nil {
		t.Fatal(err)
	}
	grpcAt, adminAt = env.GRPC.Addr().String(), env.Admin.Addr().String()
	ran := make(chan error, 1)
	go func() { ran <- Run(t.Context(), c, env) }()
	t.Cleanup(func() { finished(t, ran) })
	return grpcAt, adminAt, log
}

// openLane is how a writer refuses a lane, or nil.
func openLane(t *testing.T, at string, authority *tlstest.Authority, name tlstest.Name) error {
	t.Helper()
	files := tlstest.Files(t)
	tlstest.RenewAs(t, files, authority, authority, name)
	secure, err := tlsfiles.Client(files)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(at, grpc.WithTransportCredentials(credentials.NewTLS(secure)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := lanev1.NewLaneServiceClient(conn).Lane(t.Context())
	if err != nil {
		return err
	}
	_ = stream.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
		Group: "g", Topic: "orders",
		Routes: []*lanev1.Route{{
			Table: "delivery_events",
			Row:   &lanev1.Route_Message{Message: "delivery.v6.DeliveryEvent"},
		}},
	}}}) // what becomes of it is in Recv
	_, err = stream.Recv()
	return err
}

// An ingest opens lanes with the right to, and without it hears which right it lacks.
func TestLanesNeedTheRightTo(t *testing.T) {
	authority := tlstest.NewAuthority(t)
	at, _, _ := guarded(t, authority, "token")
	if err := openLane(t, at, authority, tlstest.Name{DNS: "ingest.example.com"}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"viewer.example.com", "stranger.example.com"} {
		err := openLane(t, at, authority, tlstest.Name{DNS: name})
		if status.Code(err) != codes.PermissionDenied ||
			!strings.Contains(err.Error(), name+" has not the right lane") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No token, no key and nothing of a caller's that did not hold comes out: not in the log at debug, not on a page.
func TestNothingSecretComesOut(t *testing.T) {
	const token, guess = "canary-token-4711", "canary-guess-0815"
	authority := tlstest.NewAuthority(t)
	at, adminAt, log := guarded(t, authority, token)
	_ = openLane(t, at, authority, tlstest.Name{DNS: "ingest.example.com"})
	_ = openLane(t, at, authority, tlstest.Name{DNS: "stranger.example.com"})
	files := tlstest.Files(t)
	tlstest.Renew(t, files, authority, authority)
	files.Cert, files.Key = "", ""
	secure, err := tlsfiles.Client(files)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: secure}
	defer transport.CloseIdleConnections()
	var out strings.Builder
	answered := 0
	for _, bearer := range []string{token, guess} {
		for _, page := range []string{"/", "/metrics", "/healthz", "/readyz", "/lanes", "/debug/pprof/cmdline", "/x"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+adminAt+page, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+bearer)
			response, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode == http.StatusOK {
				answered++
			}
			fmt.Fprint(&out, response.Header)
			if _, err := io.Copy(&out, response.Body); err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
		}
	}
	if answered < 6 {
		t.Errorf("%d pages were shown", answered)
	}
	out.WriteString(log.String())
	for _, canary := range []string{token, guess} {
		if strings.Contains(out.String(), canary) {
			t.Errorf("%s came out:\n%s", canary, out.String())
		}
	}
}
