// Package kafka runs a Kafka cluster inside the process: franz-go's kfake behind real sockets, with its log on disk.
// It knows consumer groups, idempotence, transactions, all codecs and the error codes of a broker, and it keeps
// topics, records, groups and committed offsets over a restart, clean or not.
//
// What it costs, read from kfake's source and measured: a record batch keeps about 100 bytes of memory (its place in
// the segment); the records themselves are in segment files, read when fetched. A clean restart reads one segment of
// each partition at a time. After a kill, however, kfake replays each partition as a whole, and needs as much memory
// as there is data until it is up. All work happens on one goroutine of kfake's, so one core is the limit of the
// cluster, however many brokers it has.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// segmentBytes is the size at which a partition's segment file is closed. kfake's default of 100 MiB would have a
// restart hold that much for each partition.
const segmentBytes = 16 << 20

// DeadLetter is the suffix of the topic that takes the records of a topic that cannot become rows.
const DeadLetter = ".dead-letter"

// Topic is a topic to create.
type Topic struct {
	Name       string
	Partitions int
}

// Config of a cluster. The zero value is a cluster of three brokers on free ports of 127.0.0.1, in memory, without
// topics.
type Config struct {
	// Dir keeps the log. Empty: in memory, which then grows with the data.
	Dir string
	// Host is the address to listen on, default 127.0.0.1.
	Host string
	// Advertise is the host that clients are to connect to, default Host.
	Advertise string
	// Ports of the brokers, one each. Empty: three free ports.
	Ports []int
	// Topics are created, each with a dead-letter topic of one partition beside it, unless they exist.
	Topics []Topic
	// RetentionBytes bounds a partition's log; 0 keeps everything.
	RetentionBytes int64
	// TLS, if set, is what every broker serves with.
	TLS *tls.Config
	// Logger receives kfake's warnings. Nil: nobody does.
	Logger *slog.Logger
}

// Cluster is a running cluster.
type Cluster struct {
	fake    *kfake.Cluster
	seeds   []string
	brokers int32

	mu     sync.Mutex // guards what follows, and kfake's admin calls against Close, after which they would never return
	closed bool
	topics []Topic
	faults []*installed
	nextID int
}

// ErrClosed is the error of calls on a closed cluster.
var ErrClosed = errors.New("the kafka cluster is closed")

// Start starts a cluster; it accepts connections when Start returns. A taken port is an error that names it.
func Start(config Config) (*Cluster, error) {
	if config.Host == "" {
		config.Host = "127.0.0.1"
	}
	options := []kfake.Opt{
		kfake.ClusterID("waybill-sandbox"),
		kfake.ListenFn(config.listen),
		kfake.MaxVersions(versions()),
		kfake.GroupMinSessionTimeout(500 * time.Millisecond),
		kfake.BrokerConfigs(map[string]string{"log.segment.bytes": strconv.Itoa(segmentBytes)}),
	}
	if len(config.Ports) > 0 {
		options = append(options, kfake.Ports(config.Ports...))
	}
	if config.Dir != "" {
		options = append(options, kfake.DataDir(config.Dir))
	}
	if config.RetentionBytes > 0 {
		options = append(options, kfake.BrokerConfigs(map[string]string{
			"log.retention.bytes": strconv.FormatInt(config.RetentionBytes, 10),
		}))
	}
	if config.TLS != nil {
		options = append(options, kfake.TLS(config.TLS))
	}
	if config.Logger != nil {
		options = append(options, kfake.WithLogger(logger{config.Logger}))
	}
	fake, err := kfake.NewCluster(options...)
	if err != nil {
		return nil, fmt.Errorf("start kafka: %w", err)
	}
	for key, mend := range mended {
		fake.ControlKey(int16(key), func(request kmsg.Request) (kmsg.Response, error, bool) {
			fake.KeepControl()
			mend(request)
			return nil, nil, false
		})
	}
	seeds := fake.ListenAddrs()
	c := &Cluster{fake: fake, seeds: seeds, brokers: int32(len(seeds))}
	for _, topic := range config.Topics {
		if err := errors.Join(c.CreateTopic(topic), c.CreateTopic(Topic{topic.Name + DeadLetter, 1})); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Seeds are the addresses of the brokers, host:port.
func (c *Cluster) Seeds() []string { return slices.Clone(c.seeds) }

// Fake gives tests all that kfake can do. The cluster must not be closed through it.
func (c *Cluster) Fake() *kfake.Cluster { return c.fake }

// CreateTopic creates a topic unless it exists; an existing one keeps its partitions.
func (c *Cluster) CreateTopic(topic Topic) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if c.fake.TopicInfo(topic.Name) == nil {
		if err := c.fake.CreateTopic(topic.Name, int32(topic.Partitions), nil); err != nil {
			return fmt.Errorf("create topic %s: %w", topic.Name, err)
		}
	}
	c.topics = append(c.topics, Topic{topic.Name, len(c.fake.PartitionInfos(topic.Name))})
	return nil
}

// MoveLeaders gives every partition of the topics that this cluster knows to the next broker.
func (c *Cluster) MoveLeaders() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	for _, topic := range c.topics {
		for partition := range int32(topic.Partitions) {
			next := (c.fake.LeaderFor(topic.Name, partition) + 1) % c.brokers
			if err := c.fake.MoveTopicPartition(topic.Name, partition, next); err != nil {
				return fmt.Errorf("move %s/%d to broker %d: %w", topic.Name, partition, next, err)
			}
		}
	}
	return nil
}

// Close stops the cluster and writes what a quick restart needs. It is safe to call twice.
func (c *Cluster) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.fake.Close()
	}
}

// listen puts the configured hosts in place of the loopback address that kfake asks for.
func (config Config) listen(network, wanted string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(wanted)
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), network, net.JoinHostPort(config.Host, port))
	if err != nil || config.Advertise == "" {
		return listener, err
	}
	_, port, err = net.SplitHostPort(listener.Addr().String())
	return advertised{listener, address{network, net.JoinHostPort(config.Advertise, port)}}, err
}

// advertised is a listener that gives another address out than the one it listens on.
type advertised struct {
	net.Listener
	as address
}

func (a advertised) Addr() net.Addr { return a.as }

type address struct{ network, hostPort string }

func (a address) Network() string { return a.network }
func (a address) String() string  { return a.hostPort }

// logger passes kfake's warnings on and drops its chatter.
type logger struct{ to *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.to.Error("kafka", "message", fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.to.Warn("kafka", "message", fmt.Sprintf(format, args...))
	case kfake.LogLevelNone, kfake.LogLevelInfo, kfake.LogLevelDebug:
	}
}
