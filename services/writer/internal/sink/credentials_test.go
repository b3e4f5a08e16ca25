package sink

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/bigquery"
)

// issuers is a server that stands for those of Google that change one token for another, and for BigQuery, which
// takes the last one of a chain alone.
func issuers(t *testing.T, subject, through string) (url string) {
	t.Helper()
	answer := func(w http.ResponseWriter, r *http.Request, holds bool, value any) {
		w.Header().Set("Content-Type", "application/json")
		if !holds {
			t.Errorf("%s with %q and %v", r.URL, r.Header.Get("Authorization"), r.PostForm)
			w.WriteHeader(http.StatusUnauthorized)
		}
		if err := json.NewEncoder(w).Encode(value); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sts", func(w http.ResponseWriter, r *http.Request) {
		holds := r.FormValue("subject_token") == subject && strings.HasSuffix(r.FormValue("audience"), "/providers/ci")
		answer(w, r, holds,
			map[string]any{
				"access_token": "federated", "token_type": "Bearer", "expires_in": 3600,
				"issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
			})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, r.FormValue("assertion") != "",
			map[string]any{"access_token": "signed", "token_type": "Bearer", "expires_in": 3600})
	})
	mux.HandleFunc("POST /v1/projects/-/serviceAccounts/{account}", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Delegates []string }
		err := json.NewDecoder(r.Body).Decode(&in)
		from := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		delegates := []string(nil)
		if through != "" {
			delegates = []string{through}
		}
		answer(w, r, err == nil && r.PathValue("account") == "writer@p.iam:generateAccessToken" &&
			(from == "federated" || from == "signed") && slices.Equal(in.Delegates, delegates), map[string]any{
			"accessToken": "impersonated", "expireTime": time.Now().Add(time.Hour).Format(time.RFC3339),
		})
	})
	mux.HandleFunc("GET /bigquery/v2/projects/my-project/datasets/d", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, r.Header.Get("Authorization") == "Bearer impersonated",
			map[string]any{"datasetReference": map[string]string{"projectId": "my-project", "datasetId": "d"}})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// keyFile is the source of impersonation in the file of a service account.
func keyFile(t *testing.T, tokens string) map[string]any {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"type": "service_account", "client_email": "ci@p.iam", "token_uri": tokens,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}
}

// Credentials need be no key: workload identity federation, and impersonation, through a chain of accounts too, end in
// the token of the writer's account, by the file that the configuration names and by Application Default Credentials.
func TestCredentialsWithoutAKey(t *testing.T) {
	const subject, through = "token-of-the-workload", "projects/-/serviceAccounts/between@p.iam"
	dir := t.TempDir()
	workload := filepath.Join(dir, "subject")
	if err := os.WriteFile(workload, []byte(subject), 0o600); err != nil {
		t.Fatal(err)
	}
	const account = "/v1/projects/-/serviceAccounts/writer@p.iam:generateAccessToken"
	for name, test := range map[string]struct {
		through string
		file    func(url string) map[string]any
	}{
		"federation": {"", func(url string) map[string]any {
			return map[string]any{
				"type":               "external_account",
				"audience":           "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/ci",
				"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": url + "/sts",
				"service_account_impersonation_url": url + account,
				"credential_source":                 map[string]any{"file": workload},
			}
		}},
		"impersonation chain": {through, func(url string) map[string]any {
			return map[string]any{
				"type": "impersonated_service_account", "service_account_impersonation_url": url + account,
				"delegates": []string{through}, "source_credentials": keyFile(t, url+"/token"),
			}
		}},
	} {
		for _, byDefault := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, default %v", name, byDefault), func(t *testing.T) {
				url := issuers(t, subject, test.through)
				content, err := json.Marshal(test.file(url))
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(t.TempDir(), "credentials.json")
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				c := &Config{}
				c.Endpoint.REST = url
				if byDefault {
					t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
				} else {
					t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
					c.Credentials = path
				}
				_, options, err := c.clientOptions("test")
				if err != nil {
					t.Fatal(err)
				}
				client, err := bigquery.NewClient(t.Context(), "my-project", options...)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := client.Dataset("d").Metadata(t.Context()); err != nil {
					t.Error(err)
				}
				if err := client.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
