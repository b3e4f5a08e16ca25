package source

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// explainRead is Explain for what reads a topic.
func explainRead(topic string, err error) error {
	if errors.Is(err, sarama.ErrTopicAuthorizationFailed) {
		return fmt.Errorf("grant READ on %s to this principal: %w", topic, err)
	}
	return Explain(err)
}

// Explain adds what an operator can do about an error that sarama words for programmers.
func Explain(err error) error {
	var listener *listenerError
	switch {
	case errors.Is(err, sarama.ErrUnsupportedSASLMechanism):
		return fmt.Errorf("the listener does not offer the mechanism: choose another kafka.sasl.mechanism, or add "+
			"it to the brokers' sasl.enabled.mechanisms: %w", err)
	case errors.Is(err, sarama.ErrIllegalSASLState):
		return fmt.Errorf("the listener knows no SASL: check its port, or remove kafka.sasl: %w", err)
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		return fmt.Errorf("the brokers refuse our credentials: check kafka.sasl: %w", err)
	case errors.Is(err, sarama.ErrGroupAuthorizationFailed):
		return fmt.Errorf("grant READ on the group, kafka.group, to this principal: %w", err)
	case errors.Is(err, sarama.ErrInconsistentGroupProtocol):
		return fmt.Errorf("the group has members of another program, or with another kafka.assignment: stop them, or "+
			"choose another kafka.group; to change the assignment of a running group, let each member first name "+
			"both, as in kafka.assignment: sticky,cooperative-sticky: %w", err)
	case errors.As(err, &listener):
		return listener
	case errors.Is(err, sarama.ErrOutOfBrokers):
		return fmt.Errorf("no broker responds: check kafka.brokers, the network, and that kafka.tls and kafka.sasl "+
			"match the listener: %w", err)
	}
	return err
}
