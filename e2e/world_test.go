package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
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

// world is a stack under test.
type world struct {
	*stack.Stack
	t   *testing.T
	ctx context.Context
	log *stack.Log
	// sent is how many events were produced to each topic.
	sent map[string]int64
}

// patient lets services stop in order on a machine that is busy with something else.
const patient = `  session_timeout: 60s
  rebalance_timeout: 150s
  drain_timeout: 120s
`

// newWorld starts a stack. It is stopped with the test; when the test fails, the end of each log is shown.
func newWorld(t *testing.T, config stack.Config) *world {
	t.Helper()
	w := prepared(t, config)
	w.upSandbox()
	w.upServices()
	return w
}

// upSandbox starts the sandbox alone.
func (w *world) upSandbox() {
	w.t.Helper()
	if err := w.UpSandbox(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	var err error
	if w.log, err = w.Log(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.log.Close)
}

// create makes a topic of four partitions.
func (w *world) create(topic string) {
	w.t.Helper()
	if _, err := kadm.NewClient(w.client()).CreateTopic(w.ctx, 4, 1, nil, topic); err != nil {
		w.t.Fatal(err)
	}
}

// upServices starts writers and ingests.
func (w *world) upServices() {
	w.t.Helper()
	if err := w.UpServices(w.ctx); err != nil {
		w.t.Fatal(err)
	}
}

// client is one of the sandbox's Kafka, closed with the test.
func (w *world) client(options ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(w.Seeds()...))...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	return client
}

// prepared is newWorld with nothing started yet.
func prepared(t *testing.T, config stack.Config) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	t.Cleanup(cancel)
	config.Dir, config.Bin = t.TempDir(), bin
	config.IngestYAML = stack.Small + config.IngestYAML
	if !strings.Contains(config.KafkaYAML, "session_timeout") {
		config.KafkaYAML = stack.Quick + config.KafkaYAML
	}
	s, err := stack.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Down(60 * time.Second); err != nil {
			t.Errorf("down: %v", err)
		}
		if t.Failed() {
			t.Log(s.Tails(40))
		}
	})
	return &world{Stack: s, t: t, ctx: ctx, sent: map[string]int64{}}
}

// produce adds events to a topic, none of them bad unless the mix says so.
func (w *world) produce(topic string, n int64, mix events.Config) produce.Summary {
	w.t.Helper()
	if mix == (events.Config{}) {
		mix = events.Config{Size: 4000, TruncatedEvery: -1, UnknownTypeEvery: -1}
	}
	sum, err := produce.Run(w.ctx, produce.Config{
		Seeds: w.Seeds(), Topic: topic, Events: n, First: uint64(w.sent[topic]), Codec: "none",
		Generator: mix,
	})
	if err != nil {
		w.t.Fatalf("produce to %s: %v", topic, err)
	}
	w.sent[topic] += n
	return sum
}

// settled waits until the group has committed everything that was produced.
func (w *world) settled() {
	w.t.Helper()
	w.until("everything is committed", func() error {
		for topic := range w.sent {
			if err := w.log.Settled(w.ctx, topic); err != nil {
				return err
			}
		}
		return nil
	})
}

// committed waits until the group has committed at least n offsets of a topic.
func (w *world) committed(topic string, n int64) {
	w.t.Helper()
	w.until(fmt.Sprintf("%d of %s are committed", n, topic), func() error {
		c, err := w.log.Committed(w.ctx, topic)
		if err == nil && c < n {
			err = fmt.Errorf("%d committed", c)
		}
		return err
	})
}

// until waits for something that must come.
func (w *world) until(what string, f func() error) {
	w.t.Helper()
	if err := stack.Within(w.ctx, 10*time.Minute, 50*time.Millisecond, what, f); err != nil {
		w.t.Fatal(err)
	}
}

// verified compares every offset and returns the report; anything off fails the test.
func (w *world) verified() verify.Report {
	w.t.Helper()
	w.settled()
	var topics []verify.Topic
	for _, topic := range verify.Builtin("waybill") {
		if w.sent[topic.Name] > 0 {
			topics = append(topics, topic)
		}
	}
	report, err := w.Verify(w.ctx, verify.Config{Topics: topics})
	if err != nil {
		w.t.Fatalf("verify: %v", err)
	}
	if !report.OK() {
		w.t.Fatalf("not exactly once:\n%s", stack.Text(report))
	}
	var sent int64
	for _, n := range w.sent {
		sent += n
	}
	if report.Events != sent || report.Rows+report.DeadLetters != sent {
		w.t.Fatalf("produced %d events:\n%s", sent, stack.Text(report))
	}
	w.t.Log(report.Line())
	return report
}

// fault makes a part of the sandbox misbehave.
func (w *world) fault(family string, fault map[string]any) {
	w.t.Helper()
	if err := w.Fault(w.ctx, family, fault); err != nil {
		w.t.Fatal(err)
	}
}

// metric reads one metric of a service, 0 while it does not respond.
func (w *world) metric(s *stack.Service, name string, labels ...string) float64 {
	m, err := s.Metrics(w.ctx)
	if err != nil {
		return 0
	}
	return m.Sum(name, labels...)
}

// restart starts a service anew and waits until it is ready.
func (w *world) restart(s *stack.Service) {
	w.t.Helper()
	if err := s.Restart(w.ctx); err != nil {
		w.t.Fatal(err)
	}
}

// reply is a response and its body.
type reply struct {
	code         int
	status, body string
	header       http.Header
}

// request makes a request and returns the reply, whatever its status.
func request(ctx context.Context, t *testing.T, method, address, body string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Status, string(text), response.Header}
}
