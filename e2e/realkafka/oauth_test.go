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

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
)

// issuer is a token endpoint whose tokens are those that Kafka's unsecured validator takes: not signed, and short.
func issuer(t *testing.T, life time.Duration) (url string, issued *atomic.Int64) {
	issued = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, secret, _ := r.BasicAuth(); user != "ingest" || secret != "secret" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
			return
		}
		now, part := time.Now(), base64.RawURLEncoding.EncodeToString
		token := part([]byte(`{"alg":"none"}`)) + "." +
			part(fmt.Appendf(nil, `{"sub":"ingest-oauth","iat":%d,"exp":%d}`,
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
	url, issued := issuer(t, 10*time.Second)
	const form = ", sasl: {mechanism: oauthbearer, oauth: {provider: client_credentials, token_url: '%s', " +
		"client_id: ingest, client_secret: %s}}"
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

	// What cannot be decoded becomes dead letters, which sarama's producer writes.
	run, err := stack.New(stack.Config{
		Dir: filepath.Join(s.dir, "stack"), Bin: bin, Writers: 1, Ingests: 1, Kafka: []string{s.oauth}, Group: "tokens",
		KafkaYAML: fmt.Sprintf("  request_timeout: 3s\n  sasl: {mechanism: oauthbearer, "+
			"oauth: {provider: client_credentials, token_url: '%s', client_id: ingest, client_secret: secret}}\n", url),
		Contracts: "  - {builtin: delivery.v6, topic: tokens}\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Down(time.Minute); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(run.Tails(20))
		}
	})
	if err := run.Up(s.ctx); err != nil {
		t.Fatal(err)
	}
	committed := func(want int64) error {
		offsets, err := s.admin.FetchOffsets(s.ctx, "tokens")
		if err != nil {
			return err
		}
		sum := int64(0)
		offsets.Each(func(o kadm.OffsetResponse) { sum += max(o.At, 0) })
		if sum != want {
			return fmt.Errorf("%d of %d are committed", sum, want)
		}
		return nil
	}
	before := issued.Load()
	if err := stack.Poll(s.ctx, 100*time.Millisecond, "the records", func() error { return committed(7) }); err != nil {
		t.Fatal(err)
	}
	// Beyond the life of every token and session so far.
	err = stack.Poll(s.ctx, 100*time.Millisecond, "tokens renewed", func() error {
		if more := issued.Load() - before; more < 3 {
			return fmt.Errorf("%d tokens since", more)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 7 {
		if err := producer.ProduceSync(s.ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := stack.Poll(s.ctx, 100*time.Millisecond, "more records",
		func() error { return committed(14) }); err != nil {
		t.Fatal(err)
	}
	if log := stack.Tail(run.Ingests[0].Log, 400); strings.Contains(log, "refuses") ||
		strings.Contains(log, "authentication failed") {
		t.Errorf("it was refused meanwhile:\n%s", log)
	}
}
