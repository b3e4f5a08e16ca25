package service

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
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
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/access"
	"github.com/waybill-data/waybill/pkg/admin"
	"github.com/waybill-data/waybill/pkg/logging"
	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/pkg/tlsfiles"
	"github.com/waybill-data/waybill/pkg/tlsfiles/tlstest"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

const (
	ingestID  = "spiffe://cluster.local/ns/waybill/sa/ingest"
	viewerDNS = "dashboard.example.com"
	adminDNS  = "oncall.example.com"
)

// house is a service with both ports behind TLS and access.
type house struct {
	t           *testing.T
	authority   *tlstest.Authority
	files       tlsfiles.Files // of the server
	tokens      string         // a file
	grpc, admin string
	log         logtest.Log
	env         Env
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, authority: tlstest.NewAuthority(t), files: tlstest.Files(t)}
	tlstest.Renew(t, h.files, h.authority, h.authority)
	h.tokens = filepath.Join(t.TempDir(), "tokens")
	h.writeTokens("")
	port := Listen{Listen: "127.0.0.1:0", TLS: TLS{Cert: h.files.Cert, Key: h.files.Key, ClientCA: h.files.CA}}
	who := access.Config{Open: []string{"health"}, Tokens: h.tokens, Identities: []access.Identity{
		{Name: ingestID, Rights: []access.Right{access.Lane}},
		{Name: viewerDNS, Rights: []access.Right{access.Viewer}},
		{Name: adminDNS, Rights: []access.Right{access.Operator}},
	}}
	h.env = Env{Log: logging.New(&h.log, logging.Config{Level: "debug"})}
	h.env.Fill()
	ports, err := Secure(&port, &port, who, &h.env)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.env.Listen(t.Context(), port.Listen, port.Listen); err != nil {
		t.Fatal(err)
	}
	h.grpc, h.admin = h.env.GRPC.Addr().String(), h.env.Admin.Addr().String()
	options, _ := ServerOptions(&h.env, ports, func(codes.Code) bool { return false })
	server := grpc.NewServer(options...)
	healthv1.RegisterHealthServer(server, health.NewServer())
	lanev1.RegisterLaneServiceServer(server, lanev1.UnimplementedLaneServiceServer{})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 2)
	go func() { served <- server.Serve(h.env.GRPC) }()
	go func() {
		served <- admin.Serve(ctx, admin.Config{
			Listener: h.env.Admin, TLS: ports.Admin, Guard: ports.Guard, Log: h.env.Log, Registry: h.env.Registry,
			Lanes: func() any {
				return map[string]string{
					"stream": "projects/p/datasets/d/tables/t/streams/abc",
					"error":  "of t/streams/xyz: no",
				}
			},
		})
	}()
	t.Cleanup(func() {
		server.Stop()
		stop()
		for range 2 {
			if err := <-served; err != nil {
				t.Error(err)
			}
		}
	})
	return h
}

func (h *house) writeTokens(lines ...string) {
	h.t.Helper()
	if err := os.WriteFile(h.tokens, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func hashed(token, rest string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:]) + " " + rest
}

// client is TLS of a caller with a certificate of an authority; without a name, it has none.
func (h *house) client(by *tlstest.Authority, name tlstest.Name) *tls.Config {
	h.t.Helper()
	f := tlstest.Files(h.t)
	tlstest.RenewAs(h.t, f, by, h.authority, name)
	if name == (tlstest.Name{}) {
		f.Cert, f.Key = "", ""
	}
	c, err := tlsfiles.Client(f)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// call is the code with which a lane is refused; one that is let in is Unimplemented here.
func (h *house) call(secure *tls.Config, token string) codes.Code {
	h.t.Helper()
	creds := insecure.NewCredentials()
	if secure != nil {
		creds = credentials.NewTLS(secure)
	}
	conn, err := grpc.NewClient(h.grpc, grpc.WithTransportCredentials(creds))
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	stream, err := lanev1.NewLaneServiceClient(conn).Lane(ctx)
	if err == nil {
		_, err = stream.Recv()
	}
	return status.Code(err)
}

// get is the status of a page and its text; 0 when there is no connection.
func (h *house) get(secure *tls.Config, token, path string) (int, string) {
	h.t.Helper()
	transport := &http.Transport{TLSClientConfig: secure}
	defer transport.CloseIdleConnections()
	scheme := "https"
	if secure == nil {
		scheme = "http"
	}
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, scheme+"://"+h.admin+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// disconnects says whether the connection ends with the response.
func (h *house) disconnects(secure *tls.Config, path string) bool {
	h.t.Helper()
	transport := &http.Transport{TLSClientConfig: secure}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, "https://"+h.admin+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.Close
}

func TestWhoMayDoWhat(t *testing.T) {
	h := newHouse(t)
	h.writeTokens("# ours", hashed("good-token", "batch lane,viewer"),
		hashed("old-token", "batch lane until=2020-01-01T00:00:00Z"))
	other := tlstest.NewAuthority(t)
	nobody := h.client(h.authority, tlstest.Name{})
	viewer := h.client(h.authority, tlstest.Name{DNS: viewerDNS})
	older, weak := viewer.Clone(), viewer.Clone()
	older.MinVersion, older.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	weak.MaxVersion, weak.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	waitFor(t, func() bool { return h.call(nobody, "good-token") == codes.Unimplemented })
	for name, tt := range map[string]struct {
		secure *tls.Config
		token  string
		lane   codes.Code
		lanes  int // /lanes
		pprof  int
	}{
		"ingest": {
			h.client(h.authority, tlstest.Name{URI: ingestID}), "", codes.Unimplemented, 403,
			403,
		},
		"viewer": {viewer, "", codes.PermissionDenied, 200, 403},
		"operator": {
			h.client(h.authority, tlstest.Name{DNS: adminDNS}), "", codes.PermissionDenied, 200,
			200,
		},
		"another name": {
			h.client(h.authority, tlstest.Name{DNS: "x.test"}), "", codes.PermissionDenied, 403,
			403,
		},
		"no certificate":        {nobody, "", codes.Unauthenticated, 401, 401},
		"a token":               {nobody, "good-token", codes.Unimplemented, 200, 403},
		"a token beside a name": {viewer, "good-token", codes.Unimplemented, 200, 403},
		"token that has ended":  {nobody, "old-token", codes.Unauthenticated, 401, 401},
		"bad token and a name":  {viewer, "guess", codes.Unauthenticated, 401, 401},
		"plaintext":             {nil, "good-token", codes.Unavailable, 400, 400},
		"TLS 1.1":               {older, "", codes.Unavailable, 0, 0},
		"a weak cipher":         {weak, "", codes.Unavailable, 0, 0},
		"another authority": {
			h.client(other, tlstest.Name{DNS: adminDNS}), "", codes.Unavailable, 0, 0,
		},
		"certificate that has ended": {
			h.client(h.authority, tlstest.Name{DNS: adminDNS, Until: time.Now().Add(-time.Minute)}), "",
			codes.Unavailable, 0, 0,
		},
	} {
		if got := h.call(tt.secure, tt.token); got != tt.lane {
			t.Errorf("%s: Lane says %s, want %s", name, got, tt.lane)
		}
		if got, text := h.get(tt.secure, tt.token, "/lanes"); got != tt.lanes {
			t.Errorf("%s: /lanes says %d, want %d: %s", name, got, tt.lanes, text)
		}
		if got, text := h.get(tt.secure, tt.token, "/debug/pprof/cmdline"); got != tt.pprof {
			t.Errorf("%s: pprof says %d, want %d: %s", name, got, tt.pprof, text)
		}
	}
	if got, _ := h.get(nobody, "", "/readyz"); got != 200 {
		t.Errorf("/readyz, which is open, says %d", got)
	}
	if !h.disconnects(nobody, "/lanes") || h.disconnects(viewer, "/lanes") {
		t.Error("who is unknown keeps the connection, or a viewer loses it")
	}
	if got, _ := h.get(nobody, "", "/lanes?token=good-token&access_token=good-token"); got != 401 {
		t.Errorf("/lanes takes a token from the address: %d", got)
	}
	if got, _ := h.get(nobody, "", "/metrics"); got != 401 {
		t.Errorf("/metrics, which is not open, says %d", got)
	}
	if _, text := h.get(viewer, "", "/lanes"); strings.Contains(text, "abc") || strings.Contains(text, "xyz") {
		t.Errorf("a viewer sees names of streams: %s", text)
	}
	_, text := h.get(h.client(h.authority, tlstest.Name{DNS: adminDNS}), "", "/lanes")
	if !strings.Contains(text, "/streams/abc") || !strings.Contains(text, "/streams/xyz:") {
		t.Errorf("an operator sees no names of streams: %s", text)
	}
	if log := h.log.String(); !strings.Contains(log, "caller refused") || strings.Contains(log, "good-token") ||
		strings.Contains(log, "guess") {
		t.Errorf("the log says:\n%s", log)
	}
}

func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !what(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}

// A token that is taken out of the file does not let in any more, and a certificate that is renewed in place does.
func TestAccessFollowsTheFiles(t *testing.T) {
	h := newHouse(t)
	nobody := h.client(h.authority, tlstest.Name{})
	h.writeTokens(hashed("one", "one lane"), hashed("two", "two lane"))
	waitFor(t, func() bool { return h.call(nobody, "one") == codes.Unimplemented })
	h.writeTokens(hashed("one", "one lane"), "half a li")
	waitFor(t, func() bool {
		return h.call(nobody, "one") == codes.Unimplemented &&
			strings.Contains(h.log.String(), "what was read last counts")
	})
	if got := h.call(nobody, "two"); got != codes.Unimplemented {
		t.Errorf("while the file is being written: %s", got)
	}
	if strings.Contains(h.log.String(), "half a li") {
		t.Error("the log shows a line of the file, which may be a token")
	}
	h.writeTokens(hashed("two", "two viewer"))
	waitFor(t, func() bool { return h.call(nobody, "one") == codes.Unauthenticated })
	if got := h.call(nobody, "two"); got != codes.PermissionDenied {
		t.Errorf("the right was taken away: %s", got)
	}
	if err := os.Remove(h.tokens); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return h.call(nobody, "two") == codes.Unauthenticated })

	second := tlstest.NewAuthority(t)
	old := h.client(h.authority, tlstest.Name{URI: ingestID})
	tlstest.Renew(t, h.files, second, second)
	h.authority = second
	if got := h.call(h.client(second, tlstest.Name{URI: ingestID}), ""); got != codes.Unimplemented {
		t.Errorf("after the renewal: %s", got)
	}
	if got := h.call(old, ""); got != codes.Unavailable {
		t.Errorf("with the certificate of before: %s", got)
	}
}

// The process's own health command trusts the certificate of its file, whatever name is in it, and no other.
func TestHealthBehindTLS(t *testing.T) {
	h := newHouse(t)
	ours := TLS{Cert: h.files.Cert, Key: h.files.Key, ClientCA: h.files.CA}
	secure, err := ours.Local(true)
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.Probe(t.Context(), h.admin, secure, admin.IsReady); err != nil {
		t.Error(err)
	}
	tlstest.Renew(t, h.files, h.authority, h.authority)
	if err := admin.Probe(t.Context(), h.admin, secure, admin.IsReady); err == nil ||
		!strings.Contains(err.Error(), "another certificate") {
		t.Errorf("with another certificate: %v", err)
	}
	if none, err := (&TLS{}).Local(true); none != nil || err != nil {
		t.Errorf("%v, %v", none, err)
	}
}
