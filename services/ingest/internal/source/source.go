package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-data/waybill/pkg/processors"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// Handler carries one claim. Its context ends when the claim does; it then settles what it can within the drain timeout
// and returns. It returns for no other reason.
type Handler func(ctx context.Context, p lane.Partition)

// Letters takes records that will not become rows, of one topic at a time. It returns when they are durable; waits
// is called with what keeps it.
type Letters interface {
	Produce(ctx context.Context, letters []lane.DeadLetter, waits func(what string)) error
}

// Source is a member of a consumer group that reads its partitions by itself.
type Source struct {
	// Letters is set before Run, unless no lane has dead letters.
	Letters Letters

	config  Config
	log     *slog.Logger
	metrics *Metrics

	// backoff is the pause after a failed request; fenceGrace is how long the session may outlive a fenced commit.
	// endsEvery is how often the ends of partitions are looked up.
	backoff    time.Duration
	fenceGrace time.Duration
	// entered is called, in tests, between our entering a generation and what sarama makes of it.
	entered func(*membership)
	// joinGrace is how long a member that stops waits for a join of its own to get its response, while its lanes go on.
	joinGrace time.Duration
	endsEvery time.Duration
	// pace is the constant of fetcher.go; loadEvery, loadWindow, replanEvery and urgentEvery are those of load.go.
	pace                                            time.Duration
	loadEvery, loadWindow, replanEvery, urgentEvery time.Duration

	// Set while Run runs.
	cluster string
	control sarama.Client // metadata, topics
	leaders *leaders      // offsets of partitions, and connections for fetches
	group   sarama.ConsumerGroup
	offsets *offsets
	renewal renewal
	member  atomic.Pointer[membership]
	// calls are those of sarama's that their callers may have left.
	calls sync.WaitGroup

	// joined says that the last attempt to be part of the group succeeded; a rebalance under way does not change that.
	joined atomic.Bool
	state  atomic.Pointer[string]
	// foreign are the members of the group that were last found to be other programs, as text.
	foreign atomic.Pointer[string]
	// refused are the topics that may not be read, with why. unserved counts the claims whose lanes have ended before
	// them, fenced those that the coordinator has ended while the session goes on.
	refused  atomic.Pointer[map[string]error]
	unserved atomic.Int64
	fenced   atomic.Int64
}

// New returns a source that has not yet done anything. reg may be nil.
func New(config Config, log *slog.Logger, reg prometheus.Registerer) *Source {
	saramaLog.To(log)
	s := &Source{
		config: config, log: log, metrics: NewMetrics(reg),
		backoff: 100 * time.Millisecond, fenceGrace: time.Duration(config.Kafka.SessionTimeout),
		joinGrace: 2 * time.Second, // a join waits for the others' heartbeats, which are half a second apart
		endsEvery: endsEvery, pace: pace, loadEvery: loadEvery, loadWindow: loadWindow, replanEvery: replanEvery,
		urgentEvery: urgentEvery,
	}
	s.waits("has not connected to the brokers yet")
	return s
}

// Ready says why the source is not at work, or nil: a topic that is to be read is refused, a claim has no lane, or the
// member is not part of its group. Waiting for topics that do not exist yet is no fault.
func (s *Source) Ready() error {
	var errs []error
	if refused := s.refused.Load(); refused != nil {
		for _, topic := range slices.Sorted(maps.Keys(*refused)) {
			errs = append(errs, fmt.Errorf("topic %s is refused: %w", topic, (*refused)[topic]))
		}
	}
	if s.joined.Load() {
		if n := s.unserved.Load(); n > 0 {
			errs = append(errs, fmt.Errorf("%d partitions of this member have no lane: "+
				"theirs ended by a fault, which the log has; restart this ingest", n))
		}
		if n := s.fenced.Load(); n > 0 {
			errs = append(errs, fmt.Errorf("%d partitions of this member have no lane: another member owns them, "+
				"says the group's coordinator; this ingest joins the group again within %v", n, s.fenceGrace))
		}
	} else if why := s.state.Load(); why != nil && *why != "" {
		errs = append(errs, errors.New(*why))
	}
	return errors.Join(errs...)
}

func (s *Source) waits(why string) { s.state.Store(&why) }

// Run carries the topics' partitions until ctx ends; then lanes drain and the member leaves the group. Brokers that are
// away, missing topics and rebalances are waited out. The error is one of configuration.
func (s *Source) Run(ctx context.Context, topics Topics, handler Handler) error {
	if err := s.open(); err != nil {
		return fmt.Errorf("kafka clients: %w", err)
	}
	defer s.close()
	if !s.connect(ctx, topics.Names) {
		return nil
	}
	config, err := s.config.Kafka.groupConfig()
	if err != nil {
		return err
	}
	s.mark(config)
	if s.group, err = sarama.NewConsumerGroup(s.config.Kafka.Brokers, s.config.Kafka.Group, config); err != nil {
		return fmt.Errorf("consumer group: %w", err)
	}
	var errs sync.WaitGroup
	errs.Go(func() {
		last := ""
		for err := range s.group.Errors() {
			err = Explain(err)
			if text := err.Error(); text != last { // an outage repeats itself
				last = text
				s.log.Warn("consumer group", "error", err)
			}
		}
	})
	defer func() {
		// Leaves the group, so that the others need not wait for the session timeout.
		if err := s.group.Close(); err != nil {
			s.log.Debug("close the consumer group", "error", err)
		}
		errs.Wait()
		s.retire() // which sarama does for dynamic members alone
	}()
	m, err := newMembership(ctx, s, handler)
	if err != nil {
		return err
	}
	defer m.close()
	s.member.Store(m)
	s.take(ctx, m, topics)
	return nil
}

// take joins the group for the topics that can be read, and joins again when those change or a session ends.
func (s *Source) take(ctx context.Context, m *membership, topics Topics) {
	survey := newSurvey(s, topics)
	said := ""
	barrens := 0 // barren sessions in a row
	for pause := time.Duration(0); Sleep(ctx, pause); {
		readable := survey.readable()
		if len(readable) == 0 {
			s.joined.Store(false)
			s.waits("")
			pause = time.Duration(s.config.Kafka.TopicRefresh)
			continue
		}
		barren, err := s.session(ctx, m, readable, func() bool { return slices.Equal(readable, survey.readable()) })
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errDrained) {
			pause = 0
			continue
		}
		if err == nil {
			pause, said = 0, ""
			if !barren {
				barrens = 0
				continue
			}
			// A network that loses every response must not keep the whole group in rebalances.
			barrens++
			pause = min(s.backoff<<min(barrens, 10), 30*time.Second)
			continue
		}
		s.joined.Store(false)
		err = Explain(err)
		s.waits("cannot join the consumer group: " + err.Error())
		if said != err.Error() {
			said = err.Error()
			s.log.Warn("cannot join the consumer group, trying again", "error", err)
		}
		pause = time.Second
	}
}

// session is one call of Consume, which may last for many generations. It ends early when the topics change, and after
// a doubtful commit; barren says that it ended so before any commit was confirmed.
func (s *Source) session(
	ctx context.Context, m *membership, topics []string, same func() bool,
) (barren bool, err error) {
	stop := ctx
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-stop.Done():
			m.rebalanced(ctx, s.joinGrace)
			cancel()
		case <-ctx.Done():
		}
	})
	watch.Go(func() {
		for Sleep(ctx, time.Duration(s.config.Kafka.TopicRefresh)) {
			if !same() {
				s.log.Info("the topics to read have changed, joining again")
				cancel()
			}
		}
	})
	defer watch.Wait()
	defer cancel()
	one := &session{membership: m, leave: cancel}
	err = s.group.Consume(ctx, topics, one)
	return one.renewed.Load() && !m.committer.confirmed.Load(), err
}

// fewClients is how many connections to each broker fetch. One carries a million small records a
// second; another one helps where a broker is far away, or records are compressed. Four cost 1.05 to 1.08 of the
// processor time of one.
func fewClients() int { return min(2, processors.Count()) }

// open makes the clients. They dial when they are first used.
func (s *Source) open() (err error) {
	k := &s.config.Kafka
	base, err := k.ClientConfig()
	if err != nil {
		return err
	}
	if s.control, err = sarama.NewClient(k.Brokers, base); err != nil {
		return err
	}
	commits, err := sarama.NewClient(k.Brokers, base)
	if err != nil {
		return err
	}
	s.offsets = &offsets{client: commits, group: k.Group}
	s.leaders = newLeaders(newDirectory(s.control, &s.calls), newDialer(k, base))
	return nil
}

func (s *Source) close() {
	s.joined.Store(false)
	s.waits("has stopped")
	_ = s.control.Close() // only ErrClosedClient
	_ = s.offsets.client.Close()
	s.calls.Wait()
	s.leaders.close()
}

// connect waits for the brokers and learns the cluster's id. It returns false when ctx ends first.
func (s *Source) connect(ctx context.Context, topics []string) bool {
	pause := s.backoff
	said := false
	for {
		id, err := clusterID(s.control, s.config.Kafka.Brokers, topics)
		if err == nil {
			s.cluster = id
			s.metrics.connected.Set(1)
			s.waits("has not joined the consumer group yet")
			s.log.Info("connected to the brokers", "cluster", id, "brokers", s.config.Kafka.Brokers)
			return true
		}
		err = Explain(err)
		s.waits("the brokers do not respond: " + err.Error())
		if !said {
			said = true
			s.log.Warn("the brokers do not respond, trying again", "brokers", s.config.Kafka.Brokers, "error", err)
		}
		if !Sleep(ctx, pause) {
			return false
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// clusterID asks the brokers for the id of their cluster, finding out which of them respond, or why none does.
func clusterID(client sarama.Client, brokers, topics []string) (string, error) {
	if err := client.RefreshMetadata(topics...); errors.Is(err, sarama.ErrOutOfBrokers) {
		return "", unreachable(client.Config(), brokers, err)
	}
	b, err := AnyBroker(client)
	if err != nil {
		return "", unreachable(client.Config(), brokers, err)
	}
	resp, err := b.GetMetadata(sarama.NewMetadataRequest(client.Config().Version, topics))
	if err != nil {
		_ = b.Close()
		return "", err
	}
	if resp.ClusterID == nil {
		return "", nil
	}
	return *resp.ClusterID, nil
}

// unreachable adds to the error that no broker can be talked to what the first says that says something: sarama keeps
// to itself which mechanism is not enabled, and that a listener knows no SASL.
func unreachable(config *sarama.Config, brokers []string, err error) error {
	for _, address := range brokers {
		b := sarama.NewBroker(address)
		if e := b.Open(config); e != nil {
			continue
		}
		_, cause := b.Connected()
		_ = b.Close() // it is of no more use
		if errors.As(cause, new(sarama.KError)) || errors.As(cause, new(*listenerError)) {
			return sarama.Wrap(sarama.ErrOutOfBrokers, cause)
		}
	}
	return err
}

// Sleep waits and says whether ctx still lives.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
