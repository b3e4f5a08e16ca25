package source

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What trickles in is fetched at a pace.
func TestTrickleIsPaced(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	p := producer(t, c)
	s := start(t, testConfig(c.ListenAddrs()...), false)
	r := open(t, s.claim(t), 0)
	const records = 20
	began := time.Now()
	for i := range records {
		produce(t, p, 0, i, 1)
		read(t, r, 1)
	}
	// The first record waits for nothing, and the start of the reader may cut one pause short.
	if took := time.Since(began); took < (records-2)*pace {
		t.Errorf("%d records, each produced when the one before was read, took %v: fetched without a pause", records,
			took)
	}
}

// What lies at the broker is fetched without a pause, however little comes at a time.
func TestBacklogIsNotPaced(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	p := producer(t, c, kgo.ProducerBatchMaxBytes(minFetch), kgo.ProducerBatchCompression(kgo.NoCompression()))
	const records = 200
	value := make([]byte, minFetch*3/4) // a batch, and a fetch, of one record
	for range records {
		p.Produce(t.Context(), &kgo.Record{Topic: testTopic, Value: value}, nil)
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	config := testConfig(c.ListenAddrs()...).with(func(c *Config) { c.Kafka.Fetch.Bytes = minFetch })
	s := startWith(t, config, func(s *Source) { s.pace = time.Hour }) // one pause, and nothing more would come
	read(t, open(t, s.claim(t), 0), records)
}
