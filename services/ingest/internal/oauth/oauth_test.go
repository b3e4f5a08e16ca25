package oauth

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-data/waybill/pkg/config"
)

// endpoint is a token endpoint that knows one client.
type endpoint struct {
	*httptest.Server
	requested atomic.Int64
	life      atomic.Int64 // of a token, in seconds
	broken    atomic.Bool
}

func newEndpoint(t *testing.T) *endpoint {
	e := &endpoint{}
	e.life.Store(3600)
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := e.requested.Add(1)
		user, password, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case e.broken.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.FormValue("grant_type") != "client_credentials" || user != "me" || password != "canary-secret" ||
			r.FormValue("scope") != "kafka read":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client","error_description":"who are you"}`)
		default:
			fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":%d}`, n, e.life.Load())
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) config(secret string) *Config {
	return &Config{
		Provider: ClientCredentials, TokenURL: e.URL, ClientID: "me", ClientSecret: config.NewSecret(secret),
		Scope: "kafka read",
	}
}

// A token is asked for once, used for four fifths of its life, and renewed before its end; while the endpoint is away,
// the one at hand does to its end.
func TestTokensAreRenewedBeforeTheyEnd(t *testing.T) {
	e := newEndpoint(t)
	s := e.config("canary-secret").Source()
	get := func() string {
		t.Helper()
		token, err := s.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return token.Text
	}
	for range 3 {
		if got := get(); got != "token-1" {
			t.Fatal(got)
		}
	}
	left := time.Until(s.renew)
	if left < 45*time.Minute || left > 49*time.Minute {
		t.Errorf("it is renewed in %v of an hour", left)
	}
	s.renew = time.Now()
	e.broken.Store(true)
	if got := get(); got != "token-1" {
		t.Errorf("while the endpoint is away: %s", got)
	}
	s.token.End = time.Now()
	if token, err := s.Token(t.Context()); err == nil {
		t.Errorf("after its end: %v", token)
	}
	e.broken.Store(false)
	if got := get(); got == "token-1" {
		t.Error("it was not renewed")
	}
}

// What is refused says why, and shows no secret.
func TestRefusalsShowNoSecret(t *testing.T) {
	e := newEndpoint(t)
	_, err := e.config("canary-wrong").Source().Token(t.Context())
	if err == nil || !strings.Contains(err.Error(), "invalid_client who are you") ||
		strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.config("canary-secret").Source().Token(ctx); err == nil || strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
}

// The form of Google's Managed Kafka, byte for byte.
func TestGoogleKafka(t *testing.T) {
	got, err := GoogleKafka(Token{
		Text: "ya29.token", End: time.Unix(1893456000, 0), Principal: "waybill@my-project.iam.gserviceaccount.com",
	}, time.Unix(1893452400, 0))
	const want = "eyJ0eXAiOiJKV1QiLCJhbGciOiJHT09HX09BVVRIMl9UT0tFTiJ9." +
		"eyJleHAiOjE4OTM0NTYwMDAsImlhdCI6MTg5MzQ1MjQwMCwiaXNzIjoiR29vZ2xlIiwic3ViIjoid2F5YmlsbEBteS1wcm9qZWN0LmlhbS5nc2Vydm" +
		"ljZWFjY291bnQuY29tIn0." + "eWEyOS50b2tlbg"
	if got != want || err != nil {
		t.Errorf("%v\n%s, want\n%s", err, got, want)
	}
	if _, err := GoogleKafka(Token{Text: "x"}, time.Now()); err == nil || !strings.Contains(err.Error(), "principal") {
		t.Error(err)
	}
	for file, want := range map[string]string{
		`{"client_email":"a@b.c"}`: "a@b.c",
		`{"service_account_impersonation_url":"https://x/v1/projects/-/serviceAccounts/a@b.c:generateAccessToken"}`: "a@b.c",
		`{}`: "", "": "",
	} {
		if got := mailOf([]byte(file)); got != want {
			t.Errorf("%s is of %q", file, got)
		}
	}
}

// AWS's token is a signed URL in base64, of the region, made of the credentials in the environment.
func TestMSK(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	token, err := (&Config{Provider: MSK, Region: "eu-west-1"}).Source().Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := decode(token.Text)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(signed)
	if err != nil || u.Host != "kafka.eu-west-1.amazonaws.com" || u.Query().Get("Action") != "kafka-cluster:Connect" ||
		!strings.HasPrefix(u.Query().Get("X-Amz-Credential"), "AKIDEXAMPLE/") || strings.Contains(signed, "canary") {
		t.Errorf("%s, %v", signed, err)
	}
	if left := time.Until(token.End); left < 10*time.Minute || left > 20*time.Minute {
		t.Errorf("it ends in %v", left)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for name, tt := range map[string]struct {
		c    Config
		want string
	}{
		"none":    {Config{}, ""},
		"google":  {Config{Provider: Google}, ""},
		"unknown": {Config{Provider: "x"}, `provider: unknown value "x"`},
		"left":    {Config{ClientID: "x"}, "provider: is empty"},
		"nothing": {Config{Provider: ClientCredentials}, "token_url: is no URL"},
		"clear": {
			Config{
				Provider: ClientCredentials, TokenURL: "http://issuer/token", ClientID: "x",
				ClientSecret: config.NewSecret("y"),
			},
			"token_url: the secret would go over the network in the clear",
		},
		"no secret": {
			Config{Provider: ClientCredentials, TokenURL: "https://x/t", ClientID: "x"},
			"client_id: client_id or",
		},
		"no region": {Config{Provider: MSK}, "region: is empty"},
	} {
		var got string
		tt.c.Check(func(key, message, _ string) { got += key + ": " + message })
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func decode(text string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	return string(raw), err
}
