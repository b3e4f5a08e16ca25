// Package oauth gets access tokens: by client credentials from a token endpoint (RFC 6749, section 4.4), of Google's
// application default credentials, or of AWS for MSK. A token is used until shortly before its end.
//
//	s := config.Source()
//	token, err := s.Token(ctx)
package oauth

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/tlsfiles"
)

// Where tokens come from.
const (
	ClientCredentials = "client_credentials"
	Google            = "google"
	MSK               = "aws_msk_iam"
)

// Config says where tokens come from.
type Config struct {
	// Provider is client_credentials, google or aws_msk_iam; empty: there is none.
	Provider string `yaml:"provider"`
	// TokenURL, ClientID, ClientSecret and Scope are for client_credentials. Scope may be empty, or several with
	// spaces.
	TokenURL     string        `yaml:"token_url"`
	ClientID     string        `yaml:"client_id"`
	ClientSecret config.Secret `yaml:"client_secret"`
	Scope        string        `yaml:"scope"`
	// CA is the path of a PEM file with the authority of the token endpoint; empty: the system's.
	CA string `yaml:"ca"`
	// Principal is the account's mail address for google, when the credentials do not say it.
	Principal string `yaml:"principal"`
	// Region is for aws_msk_iam.
	Region string `yaml:"region"`
}

// Enabled says whether there is a provider.
func (c *Config) Enabled() bool { return c.Provider != "" }

// Check reports what is wrong with the section.
func (c *Config) Check(report func(key, message, remedy string)) {
	const choose = "choose client_credentials, google or aws_msk_iam"
	switch c.Provider {
	case "":
		if c.TokenURL != "" || c.ClientID != "" || c.ClientSecret.Reveal() != "" || c.Region != "" ||
			c.Principal != "" {
			report("provider", "is empty while other keys of oauth are set", choose)
		}
	case ClientCredentials:
		if u, err := url.Parse(c.TokenURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" ||
			u.User != nil {
			report("token_url", "is no URL of a token endpoint", "write https://host/path, without user and password")
		} else if u.Scheme == "http" && u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" {
			report("token_url", "the secret would go over the network in the clear", "write https://host/path")
		}
		if c.ClientID == "" || c.ClientSecret.Reveal() == "" {
			report("client_id", "client_id or client_secret is empty", "set both; the secret may come from a file")
		}
		if _, err := tlsfiles.Client(tlsfiles.Files{CA: c.CA}); err != nil {
			report("ca", err.Error(), "name a PEM file")
		}
	case Google:
	case MSK:
		if c.Region == "" {
			report("region", "is empty", "write the region of the cluster, for example eu-west-1")
		}
	default:
		report("provider", fmt.Sprintf("unknown value %q", c.Provider), choose)
	}
}

// Token is an access token, and when it ends; zero: it does not say.
type Token struct {
	Text string
	End  time.Time
	// Principal is whose it is, of Google's.
	Principal string
}

// Source gives tokens that hold. It is safe for concurrent use.
type Source struct {
	fetch func(context.Context) (Token, error)
	// turn holds a token while nobody fetches.
	turn chan struct{}

	mu    sync.Mutex
	token Token
	renew time.Time
}

// timeout bounds one attempt to get a token.
const timeout = 10 * time.Second

// Source makes a source of its own. c must be good, and is kept.
func (c *Config) Source() *Source {
	s := &Source{turn: make(chan struct{}, 1)}
	switch c.Provider {
	case Google:
		s.fetch = c.google
	case MSK:
		s.fetch = c.msk
	default:
		s.fetch = c.clientCredentials
	}
	s.turn <- struct{}{}
	return s
}

// Token is one that holds: the one at hand until four fifths of its life are over, then a new one. While none can be
// had, the one at hand is given to its end.
func (s *Source) Token(ctx context.Context) (Token, error) {
	if t, fresh := s.kept(); fresh {
		return t, nil
	}
	select {
	case <-s.turn:
	case <-ctx.Done():
		return Token{}, ctx.Err()
	}
	defer func() { s.turn <- struct{}{} }()
	old, fresh := s.kept() // by whom we waited for
	if fresh {
		return old, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	now := time.Now()
	t, err := s.fetch(ctx)
	if err != nil {
		if old.Text != "" && now.Before(old.End) {
			return old, nil
		}
		return Token{}, fmt.Errorf("get an access token: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.renew = t, now
	// Brokers let a session last as long as its token, and let nobody authenticate again within a second (KIP-368):
	// what is left of a token when it is last shown must be longer than that.
	if !t.End.IsZero() {
		s.renew = now.Add(t.End.Sub(now) / 5 * 4)
	}
	return t, nil
}

func (s *Source) kept() (t Token, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, s.token.Text != "" && time.Now().Before(s.renew)
}
