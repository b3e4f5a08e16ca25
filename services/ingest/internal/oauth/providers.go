package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-msk-iam-sasl-signer-go/signer"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/google"

	"github.com/waybill-data/waybill/pkg/tlsfiles"
)

// clientCredentials asks the token endpoint. An error shows what it says, which is a code and a text for people, and
// never the secret.
func (c *Config) clientCredentials(ctx context.Context) (Token, error) {
	secure, err := tlsfiles.Client(tlsfiles.Files{CA: c.CA})
	if err != nil {
		return Token{}, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = secure
	defer transport.CloseIdleConnections()
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: transport})
	source := clientcredentials.Config{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), TokenURL: c.TokenURL,
	}
	if c.Scope != "" {
		source.Scopes = strings.Fields(c.Scope)
	}
	t, err := source.Token(ctx)
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused):
		return Token{}, fmt.Errorf("%s responds %s %s %s: check client_id, client_secret and scope", c.TokenURL,
			refused.Response.Status, refused.ErrorCode, refused.ErrorDescription)
	case err != nil:
		return Token{}, err
	}
	return Token{Text: t.AccessToken, End: t.Expiry}, nil
}

// googleScope lets the token open Managed Kafka and its schema registry.
const googleScope = "https://www.googleapis.com/auth/cloud-platform"

// google takes application default credentials: a file, workload identity, or the metadata server.
func (c *Config) google(ctx context.Context) (Token, error) {
	found, err := google.FindDefaultCredentials(context.WithoutCancel(ctx), googleScope)
	if err != nil {
		return Token{}, err
	}
	t, err := found.TokenSource.Token()
	if err != nil {
		return Token{}, err
	}
	principal := c.Principal
	if principal == "" {
		principal = mailOf(found.JSON)
	}
	return Token{Text: t.AccessToken, End: t.Expiry, Principal: principal}, nil
}

// mailOf is the account in a file of credentials: its own, or the one that it impersonates.
func mailOf(file []byte) string {
	var c struct {
		Mail string `json:"client_email"`
		URL  string `json:"service_account_impersonation_url"`
	}
	if json.Unmarshal(file, &c) != nil {
		return ""
	}
	if c.Mail != "" {
		return c.Mail
	}
	_, account, _ := strings.Cut(c.URL, "/serviceAccounts/")
	mail, _, _ := strings.Cut(account, ":")
	return mail
}

// GoogleKafka is a token in the form that Google's Managed Kafka takes: three parts in base64url joined by dots, of
// which the last is the access token.
func GoogleKafka(t Token, now time.Time) (string, error) {
	if t.Principal == "" {
		return "", errors.New("the credentials do not say whose they are: set kafka.sasl.oauth.principal to the mail " +
			"address of the service account")
	}
	subject, err := json.Marshal(t.Principal)
	if err != nil {
		return "", err
	}
	part := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"exp":%d,"iat":%d,"iss":"Google","sub":%s}`, t.End.Unix(), now.Unix(), subject)
	header := part([]byte(`{"typ":"JWT","alg":"GOOG_OAUTH2_TOKEN"}`))
	return header + "." + part([]byte(claims)) + "." + part([]byte(t.Text)), nil
}

// msk signs a token with the credentials that AWS's SDK finds.
func (c *Config) msk(ctx context.Context) (Token, error) {
	text, end, err := signer.GenerateAuthToken(ctx, c.Region)
	if err != nil {
		return Token{}, err
	}
	return Token{Text: text, End: time.UnixMilli(end)}, nil
}
