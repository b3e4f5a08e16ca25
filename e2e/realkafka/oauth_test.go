//go:build realkafka

package realkafka

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
)

// issuer is a token endpoint whose tokens are those that Kafka's unsecured validator takes: not signed, and short.
func issuer(t *testing.T, life time.Duration) (url string, issued *atomic.Int64) {
	issued = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, secret, _ := r.BasicAuth(); user != "ingest" || secret != "secret" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		now, part := time.Now(), base64.RawURLEncoding.EncodeToString
		token := part([]byte(`{"alg":"none"}`)) + "." + part(fmt.Appendf(nil, `{"sub":"ingest-oauth","iat":%d,"exp":%d}`,
			now.Unix(), now.Add(life).Unix())) + "."
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"%s","token_type":"Bearer","expires_in":%d}`, token, int(life.Seconds()))
		issued.Add(1)
	}))
	t.Cleanup(server.Close)
	return server.URL, issued
}

// checkTokens authenticates by tokens that end every few seconds: sarama's connections and those of fetches go on
// beyond the life of one, and of a session.
func checkTokens(t *testing.T, s *secured) {
	s.create("tokens", "tokens"+stack.DeadLetters)
	producer := s.client(kgo.DefaultProduceTopic("tokens"))
	for range 7 {
		if err := producer.ProduceSync(s.ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	url, issued := issuer(t, 5*time.Second)
	const form = ", sasl: {mechanism: oauthbearer, oauth: {provider: client_credentials, token_url: '%s', client_id: ingest, " +
		"client_secret: %s}}"
	good := fmt.Sprintf(form, url, "secret")
	if out := s.check("tokens", s.oauth, "tokens", good); strings.Contains(out, "FAIL") {
		t.Errorf("all as it should be:\n%s", out)
	}
	for _, bad := range []struct{ address, kafka, says string }{
		{s.oauth, fmt.Sprintf(form, url, "wrong"), "invalid_client"},
		{s.oauth, plainSASL, "does not offer the mechanism"},
		{s.sasl, good, "does not offer the mechanism"},
	} {
		if out := s.check("tokens", bad.address, "tokens", bad.kafka); !strings.Contains(out, bad.says) {
			t.Errorf("does not say %q:\n%s", bad.says, out)
		}
	}

	addresses, err := stack.Addresses(2)
	if err != nil {
		t.Fatal(err)
	}
	config := s.write("tokens.yaml", fmt.Sprintf(`kafka: {brokers: ['%s'], group: tokens, request_timeout: 3s%s}
writer: {endpoints: ['127.0.0.1:1']}
contracts: [{builtin: delivery.v6, topic: tokens}]
grpc: {listen: '%s'}
admin: {listen: '%s'}
`, s.oauth, good, addresses[0], addresses[1]))
	ingest := &stack.Process{
		Name: "tokens", Path: filepath.Join(bin, "ingest"), Args: []string{"serve", "--config", config},
		Log: filepath.Join(s.dir, "tokens.log"),
	}
	if err := ingest.Start(); err != nil {
		t.Fatal(err)
	}
	defer ingest.Kill()
	// What is behind, our own connections find out.
	behind := func() error {
		m, err := stack.ReadMetrics(s.ctx, addresses[1])
		if err != nil {
			return err
		}
		if lag := m.Sum("waybill_ingest_lag_records"); lag < 7 {
			return fmt.Errorf("%v records behind", lag)
		}
		return nil
	}
	if err := stack.Poll(s.ctx, 100*time.Millisecond, "the backlog", behind, ingest); err != nil {
		t.Fatal(err, stack.Tail(ingest.Log, 20))
	}
	before := issued.Load()
	for range 7 {
		if err := producer.ProduceSync(s.ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	err = stack.Poll(s.ctx, 100*time.Millisecond, "tokens renewed, and the backlog grown", func() error {
		m, err := stack.ReadMetrics(s.ctx, addresses[1])
		if err != nil {
			return err
		}
		if lag, more := m.Sum("waybill_ingest_lag_records"), issued.Load()-before; lag < 14 || more < 4 {
			return fmt.Errorf("%v records behind, %d tokens since", lag, more)
		}
		return nil
	}, ingest)
	if err != nil {
		t.Fatal(err, stack.Tail(ingest.Log, 20))
	}
	if log := stack.Tail(ingest.Log, 400); strings.Contains(log, "refuses") || strings.Contains(log, "authentication failed") {
		t.Errorf("it was refused meanwhile:\n%s", log)
	}
}
