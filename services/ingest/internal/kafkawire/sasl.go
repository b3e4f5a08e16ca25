package kafkawire

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// SASL is how to authenticate at brokers.
type SASL struct {
	// Mechanism is PLAIN or one of the SCRAM family, as brokers name it.
	Mechanism, User, Password string
	// SCRAM begins a conversation; nil for PLAIN.
	SCRAM func() SCRAM
}

// SCRAM is the client's side of one conversation (RFC 5802).
type SCRAM interface {
	Begin(user, password, authorization string) error
	// Step is what to answer to a challenge of the server; the first one is empty.
	Step(challenge string) (string, error)
	Done() bool
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
	if s.SCRAM == nil {
		_, err := c.step(ctx, "\x00"+s.User+"\x00"+s.Password) // RFC 4616
		return err
	}
	conversation := s.SCRAM()
	if err := conversation.Begin(s.User, s.Password, ""); err != nil {
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
