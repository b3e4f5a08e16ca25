//go:build realkafka

package realkafka

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/e2e/stack/stacktest"
)

// What the listener jwks takes of a token beside its signature.
const (
	tokenIssuer   = "https://issuer.test"
	tokenAudience = "kafka"
)

// base64url is how the parts of a token are written.
var base64url = base64.RawURLEncoding.EncodeToString

// keys are those of an issuer: a private one, and the set that says the public one.
type keys struct {
	private *rsa.PrivateKey
	url     string
}

// newKeys makes a key and serves its set until the test ends.
func newKeys(t *testing.T) *keys {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"1","use":"sig","alg":"RS256","e":"AQAB","n":%q}]}`,
		base64url(private.N.Bytes()))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, set)
	}))
	t.Cleanup(server.Close)
	return &keys{private, server.URL + "/keys"}
}

// sign makes a token of claims.
func (k *keys) sign(claims string) (string, error) {
	text := base64url([]byte(`{"alg":"RS256","kid":"1","typ":"JWT"}`)) + "." + base64url([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.private, crypto.SHA256, sum[:])
	return text + "." + base64url(signature), err
}

// unsigned is what Kafka's unsecured validator takes.
func unsigned(claims string) (string, error) {
	return base64url([]byte(`{"alg":"none"}`)) + "." + base64url([]byte(claims)) + ".", nil
}

// issuer is a token endpoint that knows one client. What tokens say beside their life is more.
func issuer(
	t *testing.T, life time.Duration, sign func(claims string) (string, error), more string,
) (url string, issued *atomic.Int64) {
	t.Helper()
	issued = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if user, secret, _ := r.BasicAuth(); user != "ingest" || secret != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
			return
		}
		now := time.Now()
		token, err := sign(fmt.Sprintf(`{"sub":"ingest-oauth","iat":%d,"exp":%d%s}`, now.Unix(), now.Add(life).Unix(),
			more))
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"access_token":"%s","token_type":"Bearer","expires_in":%d}`, token, int(life.Abs().Seconds()))
		issued.Add(1)
	}))
	t.Cleanup(server.Close)
	return server.URL, issued
}

// withTokens is more of the section kafka: tokens of an endpoint.
func withTokens(url, secret string) string {
	return fmt.Sprintf("sasl: {mechanism: oauthbearer, oauth: {provider: client_credentials, token_url: '%s', "+
		"client_id: ingest, client_secret: %s}}", url, secret)
}

// produceSeven produces records that no contract takes, so that sarama's producer writes dead letters.
func (s *secured) produceSeven(topic string) {
	s.t.Helper()
	producer := s.client(kgo.DefaultProduceTopic(topic))
	for range 7 {
		if err := producer.ProduceSync(s.ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// startWith starts an ingest of a topic, of which group and topic have the name, at a listener.
func (s *secured) startWith(t *testing.T, topic, address, kafkaYAML string) *stack.Stack {
	t.Helper()
	run := stacktest.New(t, stack.Config{
		Dir: filepath.Join(s.dir, topic), Bin: bin, Writers: 1, Ingests: 1, Kafka: []string{address}, Group: topic,
		KafkaYAML: "  request_timeout: 3s\n  " + kafkaYAML + "\n",
		Contracts: "  - {builtin: delivery.v6, topic: " + topic + "}\n",
	})
	if err := run.Up(s.ctx); err != nil {
		t.Fatal(err)
	}
	return run
}

// awaitCommitted waits until the group has committed so much in all.
func (s *secured) awaitCommitted(t *testing.T, group string, want int64) {
	t.Helper()
	err := stack.Poll(s.ctx, 100*time.Millisecond, "the records", func() error {
		offsets, err := s.admin.FetchOffsets(s.ctx, group)
		if err != nil {
			return err
		}
		if sum := total(offsets); sum != want {
			return fmt.Errorf("%d of %d are committed", sum, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkTokens authenticates by tokens that end every few seconds: sarama's connections and those of fetches go on
// beyond the life of one, and of a session.
func checkTokens(t *testing.T, s *secured) {
	s.create("tokens", "tokens"+stack.DeadLetters)
	s.produceSeven("tokens")
	url, issued := issuer(t, 10*time.Second, unsigned, "")
	good := ", " + withTokens(url, "secret")
	if out := s.check("tokens", s.oauth, "tokens", good); strings.Contains(out, "FAIL") {
		t.Errorf("all as it should be:\n%s", out)
	}
	for _, bad := range []struct{ address, kafka, says string }{
		{s.oauth, ", " + withTokens(url, "wrong"), "invalid_client"},
		{s.oauth, plainSASL, "does not offer the mechanism"},
		{s.sasl, good, "does not offer the mechanism"},
	} {
		if out := s.check("tokens", bad.address, "tokens", bad.kafka); !strings.Contains(out, bad.says) {
			t.Errorf("does not say %q:\n%s", bad.says, out)
		}
	}
	before := issued.Load()
	run := s.startWith(t, "tokens", s.oauth, withTokens(url, "secret"))
	s.awaitCommitted(t, "tokens", 7)
	// Beyond the life of every token and session so far.
	err := stack.Poll(s.ctx, 100*time.Millisecond, "tokens renewed", func() error {
		if more := issued.Load() - before; more < 3 {
			return fmt.Errorf("%d tokens since", more)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.produceSeven("tokens")
	s.awaitCommitted(t, "tokens", 14)
	notRefused(t, run)
}

func notRefused(t *testing.T, run *stack.Stack) {
	t.Helper()
	if log := stack.Tail(run.Ingests[0].Log, 400); strings.Contains(log, "refuses") ||
		strings.Contains(log, "authentication failed") {
		t.Errorf("it was refused meanwhile:\n%s", log)
	}
}

// checkSignedTokens is the same at a listener that verifies signatures by a JSON Web Key Set, and issuer, audience and
// end: what it refuses is said, and what it takes carries records and dead letters.
func checkSignedTokens(t *testing.T, s *secured) {
	const claims = `,"iss":"` + tokenIssuer + `","aud":"` + tokenAudience + `"`
	s.create("signed", "signed"+stack.DeadLetters)
	s.produceSeven("signed")
	tokens := func(life time.Duration, sign func(string) (string, error), more string) string {
		url, _ := issuer(t, life, sign, more)
		return withTokens(url, "secret")
	}
	good := tokens(time.Hour, s.keys.sign, claims)
	if out := s.check("signed", s.jwks, "signed", ", "+good); strings.Contains(out, "FAIL") {
		t.Errorf("all as it should be:\n%s", out)
	}
	for name, bad := range map[string]string{
		"not signed":        tokens(time.Hour, unsigned, claims),
		"another key":       tokens(time.Hour, newKeys(t).sign, claims),
		"another issuer":    tokens(time.Hour, s.keys.sign, `,"iss":"https://x","aud":"`+tokenAudience+`"`),
		"for somebody else": tokens(time.Hour, s.keys.sign, `,"iss":"`+tokenIssuer+`","aud":"x"`),
		"has ended":         tokens(-time.Hour, s.keys.sign, claims),
	} {
		if out := s.check("signed", s.jwks, "signed", ", "+bad); !strings.Contains(out, "FAIL  brokers") ||
			!strings.Contains(out, "check kafka.sasl") {
			t.Errorf("%s is taken:\n%s", name, out)
		}
	}
	run := s.startWith(t, "signed", s.jwks, good)
	s.awaitCommitted(t, "signed", 7)
	letters, err := s.admin.ListEndOffsets(s.ctx, "signed"+stack.DeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	letters.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	if sum < 7 {
		t.Errorf("%d dead letters of 7", sum)
	}
	notRefused(t, run)
}
