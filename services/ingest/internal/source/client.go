package source

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// clientID is how brokers name us in their logs and quotas.
const clientID = "waybill-ingest"

// base is what every client of the source has in common: addresses and security, patience, no topic created by accident.
func (k *Kafka) base() (*sarama.Config, error) {
	c := sarama.NewConfig()
	c.ClientID = clientID
	c.RackID = k.Rack
	var err error
	if c.Version, err = sarama.ParseKafkaVersion(k.Version); err != nil {
		return nil, fmt.Errorf("kafka.version: %w", err)
	}
	c.Net.DialTimeout = time.Duration(k.RequestTimeout)
	c.Net.WriteTimeout = time.Duration(k.RequestTimeout)
	c.Net.ReadTimeout = time.Duration(k.RequestTimeout)
	c.Metadata.Full = false
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.RefreshFrequency = time.Duration(k.TopicRefresh)
	c.Metadata.Retry.Max = 2
	c.Metadata.Retry.Backoff = 200 * time.Millisecond
	c.Consumer.Return.Errors = true
	if err := k.secure(c); err != nil {
		return nil, err
	}
	return c, nil
}

// dataConfig is for the clients that fetch.
func (k *Kafka) dataConfig(fetch, response int32) (*sarama.Config, error) {
	c, err := k.base()
	if err != nil {
		return nil, err
	}
	// The consumer of a generation tells the size of a fetch; see prefetch.
	c.Consumer.Fetch.Min = 1
	c.Consumer.Fetch.Default = fetch
	c.Consumer.Fetch.MaxBytes = response
	c.Consumer.MaxWaitTime = shortPoll // see longPoll
	if k.Isolation == ReadCommitted {
		c.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	return c, nil
}

// groupConfig is for the client that holds the membership.
func (k *Kafka) groupConfig() (*sarama.Config, error) {
	c, err := k.base()
	if err != nil {
		return nil, err
	}
	g := &c.Consumer.Group
	g.InstanceId = k.InstanceID
	g.Session.Timeout = time.Duration(k.SessionTimeout)
	g.Heartbeat.Interval = time.Duration(k.SessionTimeout) / 10
	g.Rebalance.Timeout = time.Duration(k.RebalanceTimeout)
	g.Rebalance.Retry.Backoff = time.Second
	g.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	if k.Assignment == AssignRange {
		g.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	}
	// A JoinGroup is answered only when all members have joined.
	c.Net.ReadTimeout = g.Rebalance.Timeout + time.Duration(k.RequestTimeout)
	// The group's own consumer is paused and never read. Were it strict about its offset, one partition whose committed offset retention
	// has removed would end the whole member's session, again and again. The readers are strict instead: they answer ErrOffsetGone.
	g.ResetInvalidOffsets = true
	c.Consumer.Offsets.Initial = sarama.OffsetNewest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Fetch.Default = 1
	// Sarama makes three channels for each claim; nothing goes through them but errors. By default they take ten kilobytes.
	c.ChannelBufferSize = 1
	return c, nil
}

// producerConfig is for dead letters.
func (k *Kafka) producerConfig() (*sarama.Config, error) {
	c, err := k.base()
	if err != nil {
		return nil, err
	}
	c.Net.MaxOpenRequests = 1
	p := &c.Producer
	p.RequiredAcks = sarama.WaitForAll
	p.Idempotent = true
	p.Timeout = time.Duration(k.RequestTimeout)
	p.Compression = sarama.CompressionSnappy
	p.Retry.Max = 3
	p.Return.Successes = true
	p.Return.Errors = true
	// The broker's bound decides what is too large, not ours.
	p.MaxMessageBytes = int(sarama.MaxRequestSize) - 1<<20
	return c, nil
}

func (k *Kafka) secure(c *sarama.Config) error {
	if k.TLS.Enable {
		t, err := k.TLS.config()
		if err != nil {
			return err
		}
		c.Net.TLS.Enable, c.Net.TLS.Config = true, t
	}
	s := &c.Net.SASL
	switch k.SASL.Mechanism {
	case "":
		return nil
	case SASLPlain:
		s.Mechanism = sarama.SASLTypePlaintext
	case SASLScram256:
		s.Mechanism = sarama.SASLTypeSCRAMSHA256
		s.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: sha256.New} }
	case SASLScram512:
		s.Mechanism = sarama.SASLTypeSCRAMSHA512
		s.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: sha512.New} }
	default:
		return fmt.Errorf("kafka.sasl.mechanism: unknown mechanism %q", k.SASL.Mechanism)
	}
	s.Enable, s.User, s.Password = true, k.SASL.User, k.SASL.Password.Reveal()
	return nil
}

func (t *TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("kafka.tls.ca: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("kafka.tls.ca: no certificate in %s", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("kafka.tls.cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// scramClient adapts xdg-go/scram to sarama: one conversation at a time.
type scramClient struct {
	hash         scram.HashGeneratorFcn
	conversation *scram.ClientConversation
}

func (s *scramClient) Begin(user, password, authzID string) error {
	c, err := s.hash.NewClient(user, password, authzID)
	if err != nil {
		return err
	}
	s.conversation = c.NewConversation()
	return nil
}

func (s *scramClient) Step(challenge string) (string, error) { return s.conversation.Step(challenge) }
func (s *scramClient) Done() bool                            { return s.conversation.Done() }

// await runs a call of sarama's that knows no context. When ctx ends first the call is left to its network timeouts; the source waits for
// it when it stops.
func (s *Source) await(ctx context.Context, call func() error) error {
	return await(ctx, &s.calls, call)
}

func await(ctx context.Context, calls *sync.WaitGroup, call func() error) error {
	done := make(chan error, 1)
	calls.Go(func() { done <- call() })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// either returns a context that ends with ctx, or with alive and its cause.
func either(ctx, alive context.Context) (context.Context, context.CancelFunc) {
	merged, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(alive, func() { cancel(context.Cause(alive)) })
	return merged, func() {
		stop()
		cancel(nil)
	}
}

// explain adds what an operator can do about an error that sarama words for programmers.
func explain(err error) error {
	switch {
	case errors.Is(err, sarama.ErrOutOfBrokers):
		return fmt.Errorf("no broker answers: check kafka.brokers, the network, and that kafka.tls and kafka.sasl match the listener: %w", err)
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		return fmt.Errorf("the brokers refuse our credentials: check kafka.sasl: %w", err)
	}
	return err
}
