package kafkawire

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A token is shown as RFC 7628 has it, a new one whenever a session is about to end; a refusal gets its response, so
// that the broker ends the conversation, and says why.
func TestTokensAreShown(t *testing.T) {
	var shown, ended atomic.Int32
	address := broker(t, func(key, _ int16, request []byte) []byte {
		switch kmsg.Key(key) {
		case kmsg.ApiVersions:
			return speaks(kmsg.SASLHandshake, kmsg.SASLAuthenticate, kmsg.ListOffsets)
		case kmsg.SASLHandshake:
			return (&kmsg.SASLHandshakeResponse{Version: 1}).AppendTo(nil)
		case kmsg.SASLAuthenticate:
			r := &kmsg.SASLAuthenticateResponse{Version: 2}
			switch text := string(request); {
			case strings.Contains(text, "n,,\x01auth=Bearer good\x01\x01"):
				r.SessionLifetimeMillis = 50
				shown.Add(1)
			case strings.Contains(text, "auth=Bearer bad"):
				r.SASLAuthBytes = []byte(`{"status":"invalid_token"}`)
			default:
				ended.Add(1)
				r.ErrorCode, r.ErrorMessage = 58, kmsg.StringPtr("no")
			}
			return append([]byte{0}, r.AppendTo(nil)...)
		}
		return (&kmsg.ListOffsetsResponse{Version: 4}).AppendTo(nil)
	})
	token := "good"
	d := testDialer()
	d.SASL = &SASL{Mechanism: "OAUTHBEARER", Token: func(context.Context) (string, error) {
		if token == "" {
			return "", errors.New("the issuer is away")
		}
		return token, nil
	}}
	c, err := d.Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for shown.Load() < 3 {
		if _, err := c.Do(t.Context(), &kmsg.ListOffsetsRequest{Version: 4}, 4); err != nil {
			t.Fatal(err)
		}
	}
	for next, says := range map[string]string{"bad": "invalid_token", "": "the issuer is away"} {
		token = next
		if _, err := d.Dial(t.Context(), address); err == nil || !strings.Contains(err.Error(), says) ||
			strings.Contains(err.Error(), "Bearer") {
			t.Errorf("token %q: %v, want %s", next, err, says)
		}
	}
	if ended.Load() != 1 {
		t.Errorf("%d refusals got a response", ended.Load())
	}
}
