package oauth

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const account = "waybill@my-project.iam.gserviceaccount.com"

// googleEndpoint is a token endpoint as Google's: it takes what a service account has signed, and nothing else. The
// file of the account is what GOOGLE_APPLICATION_CREDENTIALS names.
func googleEndpoint(t *testing.T, life time.Duration) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		signed, signature, _ := cutLast(r.FormValue("assertion"))
		_, claims, _ := strings.Cut(signed, ".")
		var c struct{ Iss, Scope, Aud string }
		text, err := decode(claims)
		raw, bad := decode(signature)
		sum := sha256.Sum256([]byte(signed))
		if err != nil || bad != nil || json.Unmarshal([]byte(text), &c) != nil || c.Iss != account ||
			c.Scope != googleScope || rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], []byte(raw)) != nil {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant"}`)
			return
		}
		n++
		fmt.Fprintf(w, `{"access_token":"ya29.%d","token_type":"Bearer","expires_in":%d}`, n, int(life.Seconds()))
	}))
	t.Cleanup(server.Close)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": account, "private_key_id": "1", "token_uri": server.URL,
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
}

// cutLast cuts at the last dot.
func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndex(s, ".")
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// Application default credentials bring the access token and the account that it is of, and both go into the form of
// Managed Kafka, byte for byte; a principal of the configuration comes before the account's.
func TestGoogleByDefaultCredentials(t *testing.T) {
	googleEndpoint(t, time.Hour)
	for principal, want := range map[string]string{"": account, "pool@my-project.iam": "pool@my-project.iam"} {
		source := (&Config{Provider: Google, Principal: principal}).Source()
		token, err := source.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if again, err := source.Token(t.Context()); err != nil || again != token {
			t.Errorf("asked twice: %v, then %v, %v", token, again, err)
		}
		if left := time.Until(token.End); token.Principal != want || left < 50*time.Minute || left > time.Hour {
			t.Errorf("%+v, ends in %v", token, left)
		}
		now := time.Now()
		got, err := GoogleKafka(token, now)
		part := base64.RawURLEncoding.EncodeToString
		form := part([]byte(`{"typ":"JWT","alg":"GOOG_OAUTH2_TOKEN"}`)) + "." +
			part(fmt.Appendf(nil, `{"exp":%d,"iat":%d,"iss":"Google","sub":%q}`, token.End.Unix(), now.Unix(), want)) +
			"." + part([]byte(token.Text))
		if got != form || err != nil || !strings.HasPrefix(token.Text, "ya29.") {
			t.Errorf("%v\n%s, want\n%s", err, got, form)
		}
	}
}
