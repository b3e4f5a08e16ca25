// Package realkafka runs Apache Kafka itself, for tests that must not trust an imitation: transactions, the group
// coordinator, leaders that move, retention, and the bound on what an offset commit may carry. The tests beside it have
// the build tag realkafka and want the jars that tools/kafka.sh fetches; `make test-kafka` does both.
package realkafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
)

// Brokers is how many brokers a cluster has: with three replicas and two in sync, one of them may be away.
const Brokers = 3

// clusterID is a fixed one: the cluster lives as long as its folder.
const clusterID = "WaybillTestsCluster0AA"

// Cluster is Apache Kafka with KRaft: every broker is a controller too. All listen on loopback.
type Cluster struct {
	// Brokers are the processes; Brokers[i] has id i+1 and the address Seeds[i].
	Brokers []*stack.Process
	Seeds   []string

	classpath string
	configs   []string
}

var properties = template.Must(template.New("server.properties").Parse(`# Written by the tests.
process.roles=broker,controller
node.id={{.ID}}
listeners=PLAINTEXT://{{.Address}},CONTROLLER://{{.Controller}}
advertised.listeners=PLAINTEXT://{{.Address}}
controller.listener.names=CONTROLLER
controller.quorum.voters={{.Voters}}
log.dirs={{.Dir}}
num.network.threads=2
num.io.threads=4
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=5
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# A broker that was killed is noticed soon, and one that was stopped is back soon.
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=6000
`))

// New lays out a cluster below dir and formats its storage. jars is the folder that tools/kafka.sh fills.
func New(ctx context.Context, dir, jars string) (*Cluster, error) {
	jars, err := filepath.Abs(jars)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(jars, "kafka_2.13-4.1.1.jar")); err != nil {
		return nil, fmt.Errorf("no Apache Kafka in %s: run make test-kafka, or tools/kafka.sh %s: %w", jars, jars, err)
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("java 17 is needed to run Apache Kafka: %w", err)
	}
	addresses, err := stack.Addresses(2 * Brokers)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Seeds: addresses[:Brokers], classpath: filepath.Join(jars, "*")}
	var voters []string
	for i, controller := range addresses[Brokers:] {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, controller))
	}
	for i := range Brokers {
		config, err := writeProperties(dir, i+1, addresses[i], addresses[Brokers+i], strings.Join(voters, ","))
		if err != nil {
			return nil, err
		}
		c.configs = append(c.configs, config)
		c.Brokers = append(c.Brokers, &stack.Process{
			Name: fmt.Sprintf("broker-%d", i+1), Path: java, Args: c.args("256m", "kafka.Kafka", config),
			Log: filepath.Join(dir, "logs", fmt.Sprintf("broker-%d.log", i+1)),
		})
	}
	if err := c.format(ctx, java); err != nil {
		return nil, err
	}
	return c, nil
}

func writeProperties(dir string, id int, address, controller, voters string) (string, error) {
	var b strings.Builder
	err := properties.Execute(&b, map[string]any{
		"ID": id, "Address": address, "Controller": controller, "Voters": voters,
		"Dir": filepath.Join(dir, fmt.Sprintf("broker-%d", id)),
	})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("broker-%d.properties", id))
	return path, os.WriteFile(path, []byte(b.String()), 0o644)
}

// args are those of one of Kafka's programs. The little compiling that a short life pays for is all that it gets.
func (c *Cluster) args(heap, class string, rest ...string) []string {
	return append([]string{
		"-Xmx" + heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		"-cp", c.classpath, class,
	}, rest...)
}

func (c *Cluster) format(ctx context.Context, java string) error {
	errs := make([]error, len(c.configs))
	var all sync.WaitGroup
	for i, config := range c.configs {
		all.Go(func() {
			format := exec.CommandContext(ctx, java,
				c.args("128m", "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", config)...)
			if out, err := format.CombinedOutput(); err != nil {
				errs[i] = fmt.Errorf("format the storage of broker %d: %w\n%s", i+1, err, out)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// Start starts the brokers that do not run and returns when all replicas of all partitions are in sync.
func (c *Cluster) Start(ctx context.Context) error {
	for _, b := range c.Brokers {
		if b.Running() {
			continue
		}
		if err := b.Start(); err != nil {
			return err
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Seeds...), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for _, b := range c.Brokers {
		if err := b.Await(ctx, func(ctx context.Context) error { return healthy(ctx, admin) }); err != nil {
			return err
		}
	}
	return nil
}

// healthy is nil when every broker is there and every replica in sync.
func healthy(ctx context.Context, admin *kadm.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	metadata, err := admin.Metadata(ctx)
	if err != nil {
		return err
	}
	if n := len(metadata.Brokers); n != Brokers {
		return fmt.Errorf("%d of %d brokers are there", n, Brokers)
	}
	for name, topic := range metadata.Topics {
		for _, p := range topic.Partitions {
			if p.Err != nil || len(p.ISR) < len(p.Replicas) {
				return fmt.Errorf("%s/%d: %d of %d replicas are in sync (%w)",
					name, p.Partition, len(p.ISR), len(p.Replicas), errors.Join(p.Err))
			}
		}
	}
	return nil
}

// Stop ends all brokers at once: what they leave is not needed any more, and a last controller would wait for a quorum.
func (c *Cluster) Stop() {
	var all sync.WaitGroup
	for _, b := range c.Brokers {
		all.Go(b.Kill)
	}
	all.Wait()
}
