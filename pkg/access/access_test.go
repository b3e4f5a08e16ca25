package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

func newGuard(t *testing.T, c Config) *Guard {
	t.Helper()
	g, err := New(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func write(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certificate is a verified connection with these names.
func certificate(until time.Time, uri string, dns ...string) *tls.ConnectionState {
	c := &x509.Certificate{DNSNames: dns, NotAfter: until}
	if u, err := url.Parse(uri); err == nil && uri != "" {
		c.URIs = []*url.URL{u}
	}
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c}}}
}

// What is not listed needs the right to act; what is listed is what the table says.
func TestNewMethodsAreClosed(t *testing.T) {
	for _, tt := range []struct {
		rules []rule
		name  string
		can   Right
	}{
		{methods, "/lane.v1.LaneService/Lane", Lane},
		{methods, "/lane.v1.LaneServiceX/Lane", Operator},
		{methods, "/anything.v1.New/Method", Operator},
		{methods, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Viewer},
		{methods, "/admin.v1.AdminService/ListTables", Viewer},
		{methods, "/admin.v1.RecordService/Tap", Payload},
		{methods, "/admin.v1.RecordService/Preview", Payload},
		{methods, "/admin.v1.SteeringService/ListPauses", Viewer},
		{methods, "/admin.v1.AdminService/ListReplays", Viewer},
		{methods, "/admin.v1.SteeringService/Pause", Operator},
		{methods, "/admin.v1.SteeringService/Replay", Operator},
		{methods, "/admin.v1.SteeringService/StopReplay", Operator},
		{methods, "/admin.v1.SteeringService/Resume", Operator},
		{pages, "/", Viewer},
		{pages, "/act", Operator},
		{pages, "/lanes", Viewer},
		{pages, "/replays", Viewer},
		{pages, "/tap", Payload},
		{pages, "/preview", Payload},
		{pages, "/debug/pprof/profile", Operator},
		{pages, "//debug/pprof/profile", Operator},
		{pages, "/new", Operator},
	} {
		r := needed(tt.rules, tt.name)
		if !r.admits(Caller{rights: []Right{tt.can}}) {
			t.Errorf("%s: %s does not do", tt.name, tt.can)
		}
		for _, less := range Rights {
			if c := (Caller{rights: []Right{less}}); r.admits(c) != c.May(tt.can) {
				t.Errorf("%s: %s does, want %s alone", tt.name, less, tt.can)
			}
		}
	}
}

// A certificate is judged by the time of the call, not only by that of the handshake; one that nobody has verified, or
// that bears the name of a JWT's subject, is nobody's.
func TestCertificatesAreJudgedWhileCallsLast(t *testing.T) {
	g := newGuard(t, Config{Identities: []Identity{
		{Name: "spiffe://a/b", Rights: []Right{Lane}},
		{Name: "b.example.com", Rights: []Right{Viewer}},
		{Name: "jwt:me", Rights: []Right{Operator}},
	}})
	now := time.Now()
	good := certificate(now.Add(time.Minute), "spiffe://a/b", "b.example.com")
	if c, known := g.identify(good, "", now); !known || c.Name != "spiffe://a/b" || !c.May(Lane) || !c.May(Viewer) ||
		c.May(Operator) {
		t.Errorf("%+v, %v", c, known)
	}
	if c, known := g.identify(good, "", now.Add(2*time.Minute)); known {
		t.Errorf("after its end: %+v", c)
	}
	unverified := certificate(now.Add(time.Minute), "spiffe://a/b")
	unverified.VerifiedChains = nil
	if c, known := g.identify(unverified, "", now); known {
		t.Errorf("not verified: %+v", c)
	}
	if c, _ := g.identify(certificate(now.Add(time.Minute), "", "jwt:me"), "", now); c.May(Operator) {
		t.Errorf("took the name of a subject: %+v", c)
	}
	if c, known := newGuard(t, Defaults()).identify(nil, "", now); !known || !c.May(Operator) {
		t.Errorf("where nobody is told apart: %+v, %v", c, known)
	}
}

// fakeStream is a call whose messages are nothing.
type fakeStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (f fakeStream) Context() context.Context { return f.ctx }
func (f fakeStream) RecvMsg(any) error        { return nil }

// A call whose certificate has ended since, ends before its next message.
func TestCallsEndWithTheirCertificates(t *testing.T) {
	g := newGuard(t, Config{Identities: []Identity{{Name: "a", Rights: []Right{Operator}}}})
	state := certificate(time.Now().Add(time.Minute), "", "a")
	ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: address("x"), AuthInfo: credentials.TLSInfo{State: *state}})
	err := g.Stream()(nil, fakeStream{ctx: ctx}, &grpc.StreamServerInfo{FullMethod: "/x/y"},
		func(_ any, s grpc.ServerStream) error {
			if c := CallerOf(s.Context()); c.Name != "a" || !c.May(Operator) {
				t.Errorf("called by %+v", c)
			}
			s.(*lasting).next = time.Now().Add(-time.Second)
			if err := s.RecvMsg(nil); err != nil {
				return errors.Join(errors.New("while it is good"), err)
			}
			state.PeerCertificates[0].NotAfter = time.Now().Add(-time.Second)
			if err := s.RecvMsg(nil); err != nil {
				return errors.Join(errors.New("judged before its time"), err)
			}
			s.(*lasting).next = time.Now().Add(-time.Second)
			return s.RecvMsg(nil)
		})
	if status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
}

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

func TestTokensOfAnIssuer(t *testing.T) {
	key, other := ecKey(t), ecKey(t)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, Config{
		Identities: []Identity{{Name: "jwt:me", Rights: []Right{Viewer}}},
		JWT:        JWT{JWKS: write(t, "jwks.json", string(set)), Issuer: "https://issuer", Audience: "waybill"},
	})
	now := time.Now()
	for name, tt := range map[string]struct {
		key    any
		change func(*jwt.Claims)
		known  bool
	}{
		"good":              {key, func(*jwt.Claims) {}, true},
		"another key":       {other, func(*jwt.Claims) {}, false},
		"has ended":         {key, func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(now.Add(-time.Minute)) }, false},
		"never ends":        {key, func(c *jwt.Claims) { c.Expiry = nil }, false},
		"not yet":           {key, func(c *jwt.Claims) { c.NotBefore = jwt.NewNumericDate(now.Add(time.Hour)) }, false},
		"of another issuer": {key, func(c *jwt.Claims) { c.Issuer = "https://x" }, false},
		"for somebody else": {key, func(c *jwt.Claims) { c.Audience = jwt.Audience{"x"} }, false},
		"of nobody":         {key, func(c *jwt.Claims) { c.Subject = "" }, false},
	} {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: tt.key},
			(&jose.SignerOptions{}).WithHeader("kid", "1"))
		if err != nil {
			t.Fatal(err)
		}
		c := jwt.Claims{
			Issuer: "https://issuer", Subject: "me", Audience: jwt.Audience{"waybill"},
			Expiry: jwt.NewNumericDate(now.Add(time.Hour)),
		}
		tt.change(&c)
		text, err := jwt.Signed(signer).Claims(c).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		caller, known := g.identify(nil, text, now)
		if known != tt.known || caller.May(Viewer) != tt.known {
			t.Errorf("%s: %+v, %v", name, caller, known)
		}
	}
	// Signed with the public key as if it were a secret, or not at all.
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: public},
		(&jose.SignerOptions{}).WithHeader("kid", "1"))
	if err != nil {
		t.Fatal(err)
	}
	confused, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: "https://issuer", Subject: "me", Audience: jwt.Audience{"waybill"},
		Expiry: jwt.NewNumericDate(now.Add(time.Hour)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{confused, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.", "a.b.c", "x"} {
		if caller, known := g.identify(nil, text, now); known {
			t.Errorf("%s: %+v", text, caller)
		}
	}
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestConfigurationIsChecked(t *testing.T) {
	const hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
	for name, tt := range map[string]struct {
		c    Config
		want string
	}{
		"no such open": {Config{Open: []string{"pprof"}}, `open[0]: "pprof" cannot be left open`},
		"no rights":    {Config{Identities: []Identity{{Name: "a"}}}, "identities[0].rights: there are none"},
		"twice": {Config{Identities: []Identity{
			{Name: "a", Rights: []Right{Lane}}, {Name: "a", Rights: []Right{"god"}},
		}}, `identities[1].name: is empty, or that of another identity` + "\n" +
			`identities[1].rights: "god" is no right`},
		"no issuer":   {Config{Identities: []Identity{{Name: "jwt:a", Rights: []Right{Lane}}}}, "there is no issuer"},
		"no keys":     {Config{JWT: JWT{Issuer: "x"}}, "jwt.jwks: is empty"},
		"no audience": {Config{JWT: JWT{JWKS: "x", Issuer: "x"}}, "jwt.issuer: "},
		"no key set": {
			Config{JWT: JWT{JWKS: write(t, "j", `{"keys":[]}`), Issuer: "x", Audience: "y"}},
			"no public key",
		},
		"plain token": {Config{Tokens: write(t, "t", "hunter2 a lane")}, "t:1: the first field is no SHA-256 in hex"},
		"twice a token": {
			Config{Tokens: write(t, "t", hash+" a lane\n\n"+hash+" b lane")}, "t:3: the token is in the file already",
		},
		"no time": {Config{Tokens: write(t, "t", hash+" a lane until=tomorrow")}, "t:1: field 4 is not until="},
	} {
		var got []string
		tt.c.Check(func(key, message, _ string) { got = append(got, key+": "+message) })
		if text := strings.Join(got, "\n"); !strings.Contains(text, tt.want) || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %s, want %s", name, text, tt.want)
		}
	}
	fine := Config{Tokens: write(t, "t", "# ours\n"+hash+" a lane,viewer until=2030-01-01T00:00:00Z\n")}
	fine.Check(func(key, message, _ string) { t.Errorf("%s: %s", key, message) })
}
