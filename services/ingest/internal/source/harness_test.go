package source

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/services/ingest/internal/kafkatest"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	testTopic = "events"
	testGroup = "g"
	patience  = kafkatest.Patience
)

// What tests of other packages need as well.
var (
	producer    = kafkatest.Producer
	eventually  = kafkatest.Eventually
	sameRecords = kafkatest.SameRecords
)

func newCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	return kafkatest.Cluster(t, append([]kfake.Opt{kfake.GroupMinSessionTimeout(100 * time.Millisecond)}, opts...)...)
}

// testConfig is the default with a test's patience.
func testConfig(brokers ...string) Config {
	c := Defaults()
	c.Kafka.Brokers = brokers
	c.Kafka.Group = testGroup
	// Short enough to be waited for, and long enough for a member that gets no processor for some seconds.
	c.Kafka.SessionTimeout = config.Duration(8 * time.Second)
	c.Kafka.RebalanceTimeout = config.Duration(12 * time.Second)
	c.Kafka.DrainTimeout = config.Duration(4 * time.Second)
	c.Kafka.RequestTimeout = config.Duration(2 * time.Second)
	c.Kafka.TopicRefresh = config.Duration(200 * time.Millisecond)
	c.Commit.Interval = config.Duration(50 * time.Millisecond)
	return c
}

func (c Config) with(change func(*Config)) Config {
	change(&c)
	return c
}

// owned is a claim under test, with the context of its handler.
type owned struct {
	lane.Partition
	of  *running
	ctx context.Context
	// release lets the handler return after its context has ended.
	release chan struct{}
	done    chan struct{}
}

// running is a source under test.
type running struct {
	*Source
	claims chan *owned
	logs   *logtest.Log
	stop   func()
}

// start runs a source whose handler hands out its claims and returns when its context has ended (and release is closed,
// or the test has ended, when hold).
func start(t *testing.T, c Config, hold bool, topics ...string) *running {
	t.Helper()
	if len(topics) == 0 {
		topics = []string{testTopic}
	}
	return startTopics(t, c, hold, Topics{Names: topics})
}

// startWith is start with a source that is not quite as usual.
func startWith(t *testing.T, c Config, adjust func(*Source)) *running {
	t.Helper()
	return startTopics(t, c, false, Topics{Names: []string{testTopic}}, adjust)
}

func startTopics(t *testing.T, c Config, hold bool, topics Topics, adjust ...func(*Source)) *running {
	t.Helper()
	logs := &logtest.Log{}
	r := &running{Source: New(c, logs.Logger(), prometheus.NewRegistry()), claims: make(chan *owned, 64), logs: logs}
	r.backoff = 10 * time.Millisecond
	for _, f := range adjust {
		f(r.Source)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, tested := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- r.Run(ctx, topics, func(ctx context.Context, p lane.Partition) {
			o := &owned{Partition: p, of: r, ctx: ctx, release: make(chan struct{}), done: make(chan struct{})}
			defer close(o.done)
			select {
			case r.claims <- o:
			case <-ctx.Done(): // of many that nobody takes, as after a session that ended unexpectedly
				return
			}
			<-ctx.Done()
			if hold {
				select {
				case <-o.release:
				case <-tested: // also of claims that nobody has taken
				}
			}
		})
	}()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(patience):
				t.Error("Run did not end")
			}
			if t.Failed() {
				t.Logf("log of the source:\n%s", logs)
			}
		})
	}
	t.Cleanup(func() {
		close(tested)
		r.stop()
	})
	return r
}

// claim waits for the next claim.
func (r *running) claim(t *testing.T) *owned {
	t.Helper()
	select {
	case o := <-r.claims:
		return o
	case <-time.After(patience):
		t.Fatalf("no claim came\n%s", r.logs)
		return nil
	}
}

// produce writes n records whose values are "v<partition>-<i>".
func produce(t *testing.T, p *kgo.Client, partition int32, from, n int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < from+n; i++ {
		value := fmt.Appendf(nil, "v%d-%d", partition, i)
		records = append(records, &kgo.Record{Topic: testTopic, Partition: partition, Value: value})
	}
	if err := p.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// read takes n records.
func read(t *testing.T, r lane.Reader, n int) []record.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out := make([]record.Record, 0, n)
	for len(out) < n {
		var err error
		if out, err = r.Next(ctx, out, time.Time{}); err != nil {
			t.Fatalf("after %d of %d records: %v", len(out), n, err)
		}
	}
	return out
}

// open reads the partition from an offset, for as long as the test.
func open(t *testing.T, p lane.Partition, from int64) lane.Reader {
	t.Helper()
	r, err := p.Read(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stored is what the coordinator holds for a partition.
func stored(c *kfake.Cluster, partition int32) (int64, string) {
	info := c.GroupInfo(testGroup)
	if info == nil {
		return -1, ""
	}
	commit, ok := info.Commits[testTopic][partition]
	if !ok {
		return -1, ""
	}
	return commit.Offset, commit.Metadata
}

func mustCommit(t *testing.T, p lane.Partition, position int64, checkpoint string) {
	t.Helper()
	if err := p.Commit(t.Context(), lane.Pair{Position: position, Checkpoint: checkpoint}); err != nil {
		t.Fatalf("commit %d: %v", position, err)
	}
}

func mustCommitted(t *testing.T, p lane.Partition, position int64, checkpoint string) {
	t.Helper()
	got, err := p.Committed(t.Context())
	if want := (lane.Pair{Position: position, Checkpoint: checkpoint}); err != nil || got != want {
		t.Fatalf("Committed() = %v, %v; want %v", got, err, want)
	}
}

func mustFenced(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, lane.ErrFenced) {
		t.Fatalf("got %v, want ErrFenced", err)
	}
}

func (r *reader) isPaused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paused
}
