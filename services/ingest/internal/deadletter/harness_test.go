package deadletter

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	testTopic   = "events"
	letterTopic = testTopic + ".dead-letter"
	patience    = time.Minute
)

func newCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.ClusterID("test-cluster")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// testKafka is the default with a test's patience.
func testKafka(brokers ...string) *source.Kafka {
	k := source.Defaults().Kafka
	k.Brokers, k.Group = brokers, "g"
	k.RequestTimeout = config.Duration(2 * time.Second)
	return &k
}

// testWriter is a writer under test, with its log.
type testWriter struct {
	*Writer
	logs *lines
}

func newTestWriter(t *testing.T, kafka *source.Kafka, change ...func(*Config)) *testWriter {
	t.Helper()
	c := Defaults()
	for _, f := range change {
		f(&c)
	}
	logs := &lines{}
	w := NewWriter(c, kafka, newLogger(logs), nil)
	w.backoff = 10 * time.Millisecond
	t.Cleanup(w.Close)
	return &testWriter{w, logs}
}

// unheard is told what dead letters wait for.
func unheard(string) {}

// heardText keeps what a lane hears that it waits for.
type heardText struct {
	mu   sync.Mutex
	text string
}

func (h *heardText) set(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = text
}

func (h *heardText) now() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text
}

// lines collects a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count(s string) int { return strings.Count(l.String(), s) }

func newLogger(l *lines) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func producer(t *testing.T, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts = append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)
	p, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// sameRecords compares records by what Kafka holds: null and empty are different, but no headers are no headers.
var sameRecords = cmp.Options{
	cmpopts.IgnoreUnexported(record.Record{}),
	cmp.FilterValues(func(a, b []record.Header) bool { return len(a)+len(b) == 0 }, cmp.Comparer(func(_,
		_ []record.Header,
	) bool {
		return true
	})),
}

// eventually waits for something that another process decides.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never came: %s", what)
}
