package source

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	"github.com/waybill-data/waybill/pkg/tlsfiles"
)

// clientID is how brokers name us in their logs and quotas.
const clientID = "waybill-ingest"

// How soon a join or a sync is repeated for which it was too late, as another rebalance has begun, or the coordinator
// has moved, and how often before the session ends. All other members wait for it, and so does every partition that
// moves.
const (
	joinBackoff = 100 * time.Millisecond
	joinRetries = 50
)

// ClientConfig is what every client of the source has in common: addresses and security, patience, no topic created by
// accident.
func (k *Kafka) ClientConfig() (*sarama.Config, error) {
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
	c, err := k.ClientConfig()
	if err != nil {
		return nil, err
	}
	c.Net.ReadTimeout = k.fetchTimeout()
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

// fetchTimeout is how long a broker may take to begin the response to a fetch, and as long again to end it. A
// generation ends when its lanes have drained and its fetches have come back: a broker that hangs must not make the
// group drop the member.
func (k *Kafka) fetchTimeout() time.Duration {
	return min(time.Duration(k.RequestTimeout), time.Duration(k.RebalanceTimeout-k.DrainTimeout)/2)
}

// groupConfig is for the client that holds the membership.
func (k *Kafka) groupConfig() (*sarama.Config, error) {
	c, err := k.ClientConfig()
	if err != nil {
		return nil, err
	}
	g := &c.Consumer.Group
	g.InstanceId = k.InstanceID
	g.Session.Timeout = time.Duration(k.SessionTimeout)
	// A rebalance waits until each member knows of it, with a heartbeat, and a partition that moves waits for two.
	g.Heartbeat.Interval = min(time.Duration(k.SessionTimeout)/10, 500*time.Millisecond)
	g.Rebalance.Timeout = time.Duration(k.RebalanceTimeout)
	g.Rebalance.Retry.Backoff, g.Rebalance.Retry.Max = joinBackoff, joinRetries
	g.Rebalance.GroupStrategies = k.strategies()
	// A JoinGroup gets its response only when all members have joined.
	c.Net.ReadTimeout = g.Rebalance.Timeout + time.Duration(k.RequestTimeout)
	// The group's own consumer is paused and never read. Were it strict about its offset, one partition whose committed
	// offset retention has removed would end the whole member's session, again and again. The readers are strict
	// instead: they returns ErrOffsetGone.
	g.ResetInvalidOffsets = true
	c.Consumer.Offsets.Initial = sarama.OffsetNewest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Fetch.Default = 1
	// Sarama makes three channels for each claim; nothing goes through them but errors. By default they take ten
	// kilobytes.
	c.ChannelBufferSize = 1
	return c, nil
}

// secure has connections opened by our own dialer, TLS included, and authenticated with the password that holds when
// they are.
func (k *Kafka) secure(c *sarama.Config) error {
	if k.TLS.Enable {
		if _, err := tlsfiles.Client(k.TLS.Files); err != nil {
			return fmt.Errorf("kafka.tls.%w", err)
		}
	}
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, &dialer{k}
	s := &c.Net.SASL
	switch k.SASL.Mechanism {
	case "":
		return nil
	case SASLPlain:
		s.Mechanism = sarama.SASLTypePlaintext
	case SASLScram256:
		s.Mechanism = sarama.SASLTypeSCRAMSHA256
		s.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{sasl: &k.SASL, hash: sha256.New} }
	case SASLScram512:
		s.Mechanism = sarama.SASLTypeSCRAMSHA512
		s.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{sasl: &k.SASL, hash: sha512.New} }
	case SASLOAuth:
		s.Mechanism, s.TokenProvider = sarama.SASLTypeOAuth, &tokens{k.SASL.OAuth.Source(), k.SASL.OAuth.Provider}
		s.Enable, s.Version = true, sarama.SASLHandshakeV1
		return nil
	default:
		return fmt.Errorf("kafka.sasl.mechanism: unknown mechanism %q", k.SASL.Mechanism)
	}
	// The dialer's connections and the SCRAM client put the password of the moment in the place of this one.
	s.Enable, s.Version, s.User, s.Password = true, sarama.SASLHandshakeV1, k.SASL.User, "renewed for each connection"
	return nil
}

// scramClient adapts xdg-go/scram to sarama: one conversation at a time, with the password that holds when it begins.
type scramClient struct {
	sasl         *SASL
	hash         scram.HashGeneratorFcn
	conversation *scram.ClientConversation
}

func (s *scramClient) Begin(_, _, authzID string) error {
	c, err := s.hash.NewClient(s.sasl.User, s.sasl.Password.Reveal(), authzID)
	if err != nil {
		return err
	}
	s.conversation = c.NewConversation()
	return nil
}

func (s *scramClient) Step(challenge string) (string, error) { return s.conversation.Step(challenge) }
func (s *scramClient) Done() bool                            { return s.conversation.Done() }

// Await runs a call of sarama's that knows no context. When ctx ends first the call is left to its network timeouts,
// and calls waits for it. What the call finds out it returns: it may outlive its caller, so it must write to nothing
// that its caller reads.
func Await[T any](ctx context.Context, calls *sync.WaitGroup, call func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	calls.Go(func() {
		value, err := call()
		done <- outcome{value, err}
	})
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// AwaitErr is Await for a call that finds out nothing but its error.
func AwaitErr(ctx context.Context, calls *sync.WaitGroup, call func() error) error {
	_, err := Await(ctx, calls, func() (struct{}, error) { return struct{}{}, call() })
	return err
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
