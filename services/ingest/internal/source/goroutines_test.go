package source

import (
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// Thousands of claims live in one process, so a claim's goroutines count: its handler, which may outlive the session,
// three of sarama's session, and the reader.
func TestGoroutinesOfAClaim(t *testing.T) {
	const few, many, each = 8, 136, 5
	of := goroutines(t, few, 0)
	most := (many-few)*each + (many-few)/2
	if more := goroutines(t, many, of+most) - of; more > most {
		t.Errorf("%d goroutines for %d claims more, want %d for each", more, many-few, each)
	}
}

// goroutines is how many there are once so many claims read, as soon as they are no more than enough, else once none
// has ended for a while.
func goroutines(t *testing.T, claims int32, enough int) int {
	c := newCluster(t, kfake.SeedTopics(claims, testTopic))
	defer c.Close()
	p := producer(t, c)
	for i := range claims {
		produce(t, p, i, 0, 1)
	}
	p.Close()
	before := runtime.NumGoroutine()
	s := start(t, testConfig(c.ListenAddrs()...), false)
	defer s.stop()
	readers := make([]lane.Reader, claims)
	for i := range readers {
		readers[i] = open(t, s.claim(t), 0)
	}
	for _, r := range readers {
		read(t, r, 1)
	}
	// Sarama's own consumers, closed as soon as they are there, take a moment to end.
	least, looks := runtime.NumGoroutine(), 0
	for least-before > enough && looks < 20 {
		time.Sleep(100 * time.Millisecond)
		looks++
		if now := runtime.NumGoroutine(); now < least {
			least, looks = now, 0
		}
	}
	return least - before
}
