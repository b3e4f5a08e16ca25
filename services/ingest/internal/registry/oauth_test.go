package registry

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/ingest/internal/oauth"
)

// guarded is a registry with one schema that takes the newest token of an issuer and no other, and the issuer, which
// gives tokens that last for so many seconds to whom good approves of.
func guarded(
	t *testing.T, seconds int, good func(*http.Request) bool,
) (registryURL, tokenURL string, issued *atomic.Int64) {
	t.Helper()
	issued = new(atomic.Int64)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !good(r) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":%d}`, issued.Add(1), seconds)
	}))
	t.Cleanup(issuer.Close)
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := fmt.Sprintf("Bearer token-%d", issued.Load())
		if got := r.Header.Get("Authorization"); got != want || issued.Load() == 0 {
			http.Error(w, `{"error_code":401,"message":"no"}`, http.StatusUnauthorized)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/schemas/ids/7") {
			fmt.Fprint(w, `{"schema":"\"string\""}`)
			return
		}
		fmt.Fprint(w, "[]")
	}))
	t.Cleanup(registry.Close)
	return registry.URL, issuer.URL, issued
}

func byOAuth(t *testing.T, url string, c oauth.Config) *Client {
	t.Helper()
	settings := Defaults()
	settings.URLs, settings.OAuth = []string{url}, c
	client, err := New(settings, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// Requests show a token of the issuer, asked for once while it lasts; one that has ended is renewed before the request;
// a client that the issuer does not know is told so, and its secret is not shown.
func TestRegistryTokensOfAnIssuer(t *testing.T) {
	knows := func(r *http.Request) bool {
		user, secret, _ := r.BasicAuth()
		return user == "ingest" && secret == "canary" && r.FormValue("grant_type") == "client_credentials" &&
			r.FormValue("scope") == "registry"
	}
	client := func(url, tokens, secret string) *Client {
		return byOAuth(t, url, oauth.Config{
			Provider: oauth.ClientCredentials, TokenURL: tokens, ClientID: "ingest", Scope: "registry",
			ClientSecret: config.NewSecret(secret),
		})
	}
	url, tokens, issued := guarded(t, 3600, knows)
	c := client(url, tokens, "canary")
	for range 3 {
		if err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if schema, err := c.ByID(t.Context(), 7); err != nil || schema.Text != `"string"` || issued.Load() != 1 {
		t.Errorf("%v, %v, %d tokens", schema, err, issued.Load())
	}
	err := client(url, tokens, "canary-of-another").Ping(t.Context())
	if err == nil || !strings.Contains(err.Error(), "invalid_client") || strings.Contains(err.Error(), "canary") {
		t.Errorf("with a wrong secret: %v", err)
	}
	url, tokens, issued = guarded(t, -1, knows) // each token has ended when it is there
	c = client(url, tokens, "canary")
	for range 3 {
		if err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if issued.Load() != 3 {
		t.Errorf("%d tokens for three requests, each with one that had ended", issued.Load())
	}
}

// Google's registry takes the access token as it is, without the form that its brokers want.
func TestRegistryTokensOfGoogle(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	url, tokens, issued := guarded(t, 3600, func(r *http.Request) bool {
		return r.FormValue("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer" &&
			r.FormValue("assertion") != ""
	})
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "token_uri": tokens,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
	c := byOAuth(t, url, oauth.Config{Provider: oauth.Google})
	for range 3 {
		if err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if schema, err := c.ByID(t.Context(), 7); err != nil || schema.Text != `"string"` || issued.Load() != 1 {
		t.Errorf("%v, %v, %d tokens", schema, err, issued.Load())
	}
}
