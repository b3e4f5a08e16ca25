package deadletter

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/services/ingest/internal/kafkatest"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	testTopic   = "events"
	letterTopic = testTopic + ".dead-letter"
	patience    = kafkatest.Patience
)

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
	logs *logtest.Log
}

func newTestWriter(t *testing.T, kafka *source.Kafka, change ...func(*Config)) *testWriter {
	t.Helper()
	c := Defaults()
	for _, f := range change {
		f(&c)
	}
	logs := &logtest.Log{}
	w := NewWriter(c, kafka, logs.Logger(), nil)
	w.backoff = 10 * time.Millisecond
	t.Cleanup(w.Close)
	return &testWriter{w, logs}
}

// ignored takes what dead letters wait for.
func ignored(string) {}

// waitText keeps what a lane was said to wait for.
type waitText struct {
	mu   sync.Mutex
	text string
}

func (w *waitText) set(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = text
}

func (w *waitText) now() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text
}
