//go:build realkafka

package realkafka

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/produce"
	"github.com/waybill-data/waybill/sandbox/verify"
)

// partitions of every topic.
const partitions = 6

// world is a stack under test: writers and ingests of its own, and a sandbox that stands for BigQuery, on the shared
// brokers.
type world struct {
	*stack.Stack
	t     *testing.T
	ctx   context.Context
	admin *kadm.Client
	// topics are those under test; ends are the offsets, by partition, behind the last record that must be settled.
	topics []verify.Topic
	ends   map[string]map[int32]int64
	// sent is how many records must be found in all.
	sent int64
}

// quick has ingest notice a new topic soon, too.
const quick = stack.Quick + "  topic_refresh: 2s\n"

// newWorld starts a stack on a topic of its own, named for the test, and on further ones, all with the contract
// delivery.v6. It is stopped with the test; when the test fails, the end of each log is shown.
func newWorld(t *testing.T, config stack.Config, further ...string) *world {
	t.Helper()
	return prepared(t, config, further...).up()
}

// prepared is newWorld before it is started.
func prepared(t *testing.T, config stack.Config, further ...string) *world {
	t.Helper()
	config.Group = strings.ToLower(strings.TrimPrefix(t.Name(), "Test"))
	var topics []verify.Topic
	for _, name := range append([]string{config.Group}, further...) {
		topic := verify.Builtin("waybill")[0]
		topic.Name = name + "_" + stack.DeliveryTopic
		topics = append(topics, topic)
		config.Contracts += "  - builtin: delivery.v6\n    topic: " + topic.Name + "\n"
	}
	w := lay(t, config)
	w.topics = topics
	for _, topic := range topics {
		w.create(topic.Name, nil)
	}
	return w
}

// lay lays out a world without starting it.
func lay(t *testing.T, config stack.Config) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	config.Dir, config.Bin, config.Kafka = t.TempDir(), bin, kafka.Seeds
	config.KafkaYAML = quick + config.KafkaYAML
	if config.IngestYAML == "" {
		config.IngestYAML = stack.Small
	}
	s, err := stack.New(config)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Stack: s, t: t, ctx: ctx, ends: map[string]map[int32]int64{}}
	w.connect()
	t.Cleanup(func() { w.admin.Close() })
	return w
}

// connect connects to the brokers anew.
func (w *world) connect() {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Seeds...))
	if err != nil {
		w.t.Fatal(err)
	}
	w.admin = kadm.NewClient(client)
}

// up starts the world.
func (w *world) up() *world {
	w.t.Helper()
	w.t.Cleanup(func() {
		if err := w.Down(time.Minute); err != nil {
			w.t.Errorf("down: %v", err)
		}
		if w.t.Failed() {
			w.t.Log(w.Tails(40))
		}
	})
	if err := w.Up(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	return w
}

// topic is the name of the topic under test.
func (w *world) topic() string { return w.topics[0].Name }

// create creates a topic with three replicas.
func (w *world) create(topic string, settings map[string]*string) {
	w.t.Helper()
	if _, err := w.admin.CreateTopic(w.ctx, partitions, Brokers, settings, topic); err != nil {
		w.t.Fatalf("create topic %s: %v", topic, err)
	}
}

// plain events, none of them bad.
var plain = events.Config{Size: 4000, TruncatedEvery: -1, UnknownTypeEvery: -1}

// produce adds events to a topic.
func (w *world) produce(topic string, n int64, mix events.Config) produce.Summary {
	w.t.Helper()
	sum, err := produce.Run(w.ctx, produce.Config{
		Seeds: kafka.Seeds, Topic: topic, Partitions: partitions, Events: n, First: uint64(w.sent), Codec: "lz4",
		Generator: mix,
	})
	if err != nil {
		w.t.Fatalf("produce to %s: %v", topic, err)
	}
	w.produced(topic, n)
	return sum
}

// produced notes that n records were added to a topic without transactions, up to its present end.
func (w *world) produced(topic string, n int64) {
	w.t.Helper()
	w.sent += n
	ends, err := w.admin.ListEndOffsets(w.ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		w.t.Fatalf("ends of %s: %v", topic, err)
	}
	w.ends[topic] = map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) { w.ends[topic][o.Partition] = o.Offset })
}

// commits reads what the group has committed. A client that cannot reach the group's coordinator does not look for
// another one by itself.
func (w *world) commits() (kadm.OffsetResponses, error) {
	ctx, cancel := context.WithTimeout(w.ctx, 3*time.Second)
	defer cancel()
	commits, err := w.admin.FetchOffsets(ctx, w.Config.Group)
	if err != nil {
		w.admin.Close()
		w.connect()
		return nil, fmt.Errorf("committed offsets: %w", err)
	}
	return commits, nil
}

// settled waits until the group has committed everything that was produced.
func (w *world) settled() {
	w.t.Helper()
	w.until("everything is committed", func() error {
		commits, err := w.commits()
		if err != nil {
			return err
		}
		for topic, ends := range w.ends {
			for partition, end := range ends {
				o, _ := commits.Lookup(topic, partition)
				if end > 0 && o.At < end {
					return fmt.Errorf("%s/%d: committed %d of %d", topic, partition, o.At, end)
				}
			}
		}
		return nil
	})
}

// committed waits until the group has committed at least n offsets of all topics together.
func (w *world) committed(n int64) {
	w.t.Helper()
	w.until(fmt.Sprintf("%d offsets are committed", n), func() error {
		commits, err := w.commits()
		if err != nil {
			return err
		}
		var sum int64
		commits.Each(func(o kadm.OffsetResponse) { sum += max(o.At, 0) })
		if sum < n {
			return fmt.Errorf("%d are committed", sum)
		}
		return nil
	})
}

// until waits for something that must come.
func (w *world) until(what string, f func() error) {
	w.t.Helper()
	if err := stack.Within(w.ctx, 90*time.Second, 50*time.Millisecond, what, f); err != nil {
		w.t.Fatal(err)
	}
}

// compared compares every offset that the brokers hold with every row, and returns the report; anything off fails the
// test.
func (w *world) compared() verify.Report {
	w.t.Helper()
	w.settled()
	var report verify.Report
	for range 10 {
		var err error
		report, err = w.Verify(w.ctx, verify.Config{Topics: w.topics})
		if err != nil {
			w.t.Fatalf("verify: %v", err)
		}
		if report.Missing == 0 {
			break
		}
		// Records of a transaction whose end was not confirmed, and that was committed, may be on their way still.
		time.Sleep(time.Second)
	}
	if !report.OK() {
		w.t.Fatalf("not exactly once:\n%s", stack.Text(report))
	}
	w.t.Log(report.Line())
	return report
}

// verified is compared, and the count of all records that were sent.
func (w *world) verified() verify.Report {
	w.t.Helper()
	report := w.compared()
	if report.Events != w.sent || report.Rows+report.DeadLetters != w.sent {
		w.t.Fatalf("%d records were produced: %s", w.sent, report.Line())
	}
	return report
}

// fault makes the sandbox's BigQuery misbehave.
func (w *world) fault(fault map[string]any) {
	w.t.Helper()
	if err := w.Fault(w.ctx, stack.BigQuery, fault); err != nil {
		w.t.Fatal(err)
	}
}

// slow makes appends take a moment, so that there is always a window in flight.
func (w *world) slow() {
	w.fault(map[string]any{"kind": "latency", "method": "append", "delay": "20ms", "jitter": "20ms"})
}

// kill kills a service half a commit interval after a commit that the test has seen, so that there are rows that no
// commit covers.
func (w *world) kill(s *stack.Service) {
	time.Sleep(500 * time.Millisecond)
	s.Kill()
}

// restart kills a service if it runs, and starts it.
func (w *world) restart(s *stack.Service) {
	w.t.Helper()
	if err := s.Restart(w.ctx); err != nil {
		w.t.Fatal(err)
	}
}

// logged waits until a service has logged a text.
func (w *world) logged(s *stack.Service, text string) {
	w.t.Helper()
	w.loggedBehind(s, 0, text)
}

// logSize is how many bytes a service has logged.
func (w *world) logSize(s *stack.Service) int64 {
	w.t.Helper()
	log, err := os.Stat(s.Log)
	if err != nil {
		w.t.Fatal(err)
	}
	return log.Size()
}

// loggedBehind waits until a service has logged a text behind so many bytes.
func (w *world) loggedBehind(s *stack.Service, size int64, text string) {
	w.t.Helper()
	w.until(s.Name+" logs "+text, func() error { return s.Logged(size, text) })
}

// metric reads one metric of a service.
func (w *world) metric(s *stack.Service, name string, labels ...string) float64 {
	w.t.Helper()
	m, err := s.Metrics(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return m.Sum(name, labels...)
}
