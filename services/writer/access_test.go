package writer

import (
	"context"
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
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
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
		{Name: "operator.example.com", Rights: []access.Right{access.Operator}},
		{Name: "orders.example.com", Rights: []access.Right{access.Lane}, Only: access.Scope{
			Topics: []string{"orders"}, Tables: []string{"delivery_*"},
		}},
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

// connect makes a connection with a certificate of that name.
func connect(t *testing.T, at string, authority *tlstest.Authority, name tlstest.Name) *grpc.ClientConn {
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
	t.Cleanup(func() { conn.Close() })
	return conn
}

func routeTo(table string) *lanev1.Route {
	return &lanev1.Route{Table: table, Row: &lanev1.Route_Message{Message: "delivery.v6.DeliveryEvent"}}
}

// openLane is how a writer refuses a lane, or nil.
func openLane(
	t *testing.T, at string, authority *tlstest.Authority, name tlstest.Name, change ...func(*lanev1.Open),
) error {
	t.Helper()
	conn := connect(t, at, authority, name)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := lanev1.NewLaneServiceClient(conn).Lane(ctx)
	if err != nil {
		return err
	}
	open := &lanev1.Open{Group: "g", Topic: "orders", Routes: []*lanev1.Route{routeTo("delivery_events")}}
	for _, c := range change {
		c(open)
	}
	_ = stream.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: open}}) // Recv says what becomes of it
	_, err = stream.Recv()
	return err
}

// What a lane may open, finalize and adopt is bound to the identity of its ingest: one whose right is for one topic and
// some tables opens no lane of another, and has nothing of a checkpoint finalized that names another table.
func TestLanesAreBoundToTheirIdentity(t *testing.T) {
	authority := tlstest.NewAuthority(t)
	at, _, _ := guarded(t, authority, "token")
	name := tlstest.Name{DNS: "orders.example.com"}
	if err := openLane(t, at, authority, name); err != nil {
		t.Error(err)
	}
	const stream = "projects/test-project/datasets/d/tables/salaries/streams/s"
	sealed, err := new(checkpoint.Encoder).Append(nil, &checkpoint.Checkpoint{
		Topic: "orders", Clean: true,
		Tables: []checkpoint.Table{{Name: "projects/test-project/datasets/d/tables/salaries", Stream: stream, Rows: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*lanev1.Open){
		"topic stock": func(o *lanev1.Open) { o.Topic = "stock" },
		"table test-project.d.salaries": func(o *lanev1.Open) {
			o.Routes = append(o.Routes, routeTo("salaries"))
		},
		"table test-project.d2.delivery_events": func(o *lanev1.Open) { o.Routes[0].Table = "d2.delivery_events" },
		// BigQuery is not there: it would be tried for ever if it were asked.
		" table test-project.d.salaries": func(o *lanev1.Open) { o.Checkpoint = string(sealed) },
	} {
		err := openLane(t, at, authority, name, change)
		want = "orders.example.com has the right lane, but not for " + strings.TrimSpace(want)
		if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	tables := lanev1.NewTableServiceClient(connect(t, at, authority, name))
	_, err = tables.Diff(t.Context(), &lanev1.DiffRequest{Routes: []*lanev1.Route{routeTo("salaries")}})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("Diff of another table: %v", err)
	}
}

// An ingest opens lanes with the right to, and without it learns which right it lacks.
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

// A viewer who pauses, drains or spreads is refused before anything is done, by gRPC and by the form of the page; it
// may list what is paused. An operator is let in to all of it.
func TestViewersDoNotAct(t *testing.T) {
	authority := tlstest.NewAuthority(t)
	at, adminAt, _ := guarded(t, authority, "token")
	target := &adminv1.Target{Topic: "orders"}
	for name, tt := range map[string]struct {
		refused bool
		page    int
	}{
		"viewer.example.com": {true, http.StatusForbidden}, "operator.example.com": {false, http.StatusOK},
	} {
		steering := adminv1.NewSteeringServiceClient(connect(t, at, authority, tlstest.Name{DNS: name}))
		for act, call := range map[string]func() error{
			"pause": func() error {
				_, err := steering.Pause(t.Context(), &adminv1.PauseRequest{Target: target})
				return err
			},
			"resume": func() error {
				_, err := steering.Resume(t.Context(), &adminv1.ResumeRequest{Target: target})
				return err
			},
			"drain": func() error {
				_, err := steering.DrainWriter(t.Context(), &adminv1.DrainWriterRequest{
					Act: &adminv1.Act{ValidateOnly: true}, Writer: "w",
				})
				return err
			},
			"spread": func() error {
				_, err := steering.Spread(t.Context(), &adminv1.SpreadRequest{})
				return err
			},
		} {
			// What an operator is let in to, a writer may do otherwise or not at all.
			err := call()
			if code := status.Code(err); (code == codes.PermissionDenied) != tt.refused {
				t.Errorf("%s of %s: %v", act, name, err)
			}
		}
		if _, err := steering.ListPauses(t.Context(), &adminv1.ListPausesRequest{}); status.Code(err) ==
			codes.PermissionDenied {
			t.Errorf("%s may not list pauses: %v", name, err)
		}
		files := tlstest.Files(t)
		tlstest.RenewAs(t, files, authority, authority, tlstest.Name{DNS: name})
		secure, err := tlsfiles.Client(files)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{TLSClientConfig: secure}
		t.Cleanup(transport.CloseIdleConnections)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r, err := http.NewRequestWithContext(t.Context(), method, "https://"+adminAt+"/act?do=pause", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(response.Body)
			response.Body.Close()
			want := tt.page
			if method == http.MethodPost {
				want = http.StatusForbidden // of the operator, for it comes from no form
			}
			if ours := strings.Contains(string(text), "has not the right operator"); response.StatusCode != want ||
				ours != tt.refused {
				t.Errorf("%s /act by %s: %d %s", method, name, response.StatusCode, text)
			}
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
	responded := 0
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
				responded++
			}
			fmt.Fprint(&out, response.Header)
			if _, err := io.Copy(&out, response.Body); err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
		}
	}
	if responded < 6 {
		t.Errorf("%d pages were shown", responded)
	}
	out.WriteString(log.String())
	for _, canary := range []string{token, guess} {
		if strings.Contains(out.String(), canary) {
			t.Errorf("%s came out:\n%s", canary, out.String())
		}
	}
}
