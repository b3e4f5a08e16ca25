package kafkawire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/xdg-go/scram"
)

// SASL is how to authenticate at brokers.
type SASL struct {
	// Mechanism is PLAIN, OAUTHBEARER or one of the SCRAM family, as brokers name it.
	Mechanism, User, Password string
	// Token is the access token to show, for OAUTHBEARER; nil for others.
	Token func(context.Context) (string, error)
	// SCRAM begins the client's side of a conversation (RFC 5802); nil for PLAIN.
	SCRAM func() (*scram.ClientConversation, error)
}

// AuthError is a broker's refusal of our credentials or of the mechanism.
type AuthError struct {
	Mechanism string
	// Code is Kafka's.
	Code int16
	// Detail is what the broker says, or which mechanisms it has enabled.
	Detail string
}

func (e *AuthError) Error() string {
	return fmt.Sprintf("the broker refuses SASL %s with error %d (%s): check kafka.sasl", e.Mechanism, e.Code, e.Detail)
}

// renew authenticates again in time.
func (c *Conn) renew(ctx context.Context) error {
	if c.login.IsZero() || time.Now().Before(c.login) {
		return nil
	}
	return c.authenticate(ctx)
}

// authenticate holds the conversation that the mechanism asks for.
func (c *Conn) authenticate(ctx context.Context) error {
	s := c.dialer.SASL
	hello := &kmsg.SASLHandshakeRequest{Version: 1, Mechanism: s.Mechanism}
	if err := c.Speak(hello, 1); err != nil {
		return err
	}
	response, err := c.exchange(ctx, hello)
	if err != nil {
		return err
	}
	if r := response.(*kmsg.SASLHandshakeResponse); r.ErrorCode != 0 {
		return &AuthError{s.Mechanism, r.ErrorCode, "it has enabled " + strings.Join(r.SupportedMechanisms, ", ")}
	}
	if s.Token != nil {
		return c.bear(ctx)
	}
	if s.SCRAM == nil {
		_, err := c.step(ctx, "\x00"+s.User+"\x00"+s.Password) // RFC 4616
		return err
	}
	conversation, err := s.SCRAM()
	if err != nil {
		return fmt.Errorf("begin SASL %s: %w", s.Mechanism, err)
	}
	challenge := ""
	for {
		response, err := conversation.Step(challenge)
		if err != nil {
			return fmt.Errorf("SASL %s at %s: %w", s.Mechanism, c.address, err)
		}
		if conversation.Done() {
			return nil
		}
		if challenge, err = c.step(ctx, response); err != nil {
			return err
		}
	}
}

// bear shows the token (RFC 7628, section 3.1). A broker that refuses it says why in JSON, as a challenge, and ends the
// conversation when that is followed by a lone separator.
func (c *Conn) bear(ctx context.Context) error {
	token, err := c.dialer.SASL.Token(ctx)
	if err != nil {
		return err
	}
	challenge, err := c.step(ctx, "n,,\x01auth=Bearer "+token+"\x01\x01")
	if err != nil || challenge == "" {
		return err
	}
	if _, err := c.step(ctx, "\x01"); err != nil {
		if refused, ok := errors.AsType[*AuthError](err); ok {
			refused.Detail = challenge
		}
		return err
	}
	return &AuthError{c.dialer.SASL.Mechanism, 0, challenge}
}

// step sends one message of the conversation and returns the broker's.
func (c *Conn) step(ctx context.Context, message string) (string, error) {
	request := &kmsg.SASLAuthenticateRequest{SASLAuthBytes: []byte(message)}
	if err := c.Speak(request, 2); err != nil {
		return "", err
	}
	response, err := c.exchange(ctx, request)
	if err != nil {
		return "", err
	}
	r := response.(*kmsg.SASLAuthenticateResponse)
	if r.ErrorCode != 0 {
		detail := "it does not say why"
		if r.ErrorMessage != nil {
			detail = *r.ErrorMessage
		}
		return "", &AuthError{c.dialer.SASL.Mechanism, r.ErrorCode, detail}
	}
	c.login = time.Time{}
	if life := time.Duration(r.SessionLifetimeMillis) * time.Millisecond; life > 0 {
		c.login = time.Now().Add(life * 4 / 5)
	}
	return string(r.SASLAuthBytes), nil
}
