package source

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// Thousands of claims live in one process, so a claim's goroutines count: the one that carries its lane, which may
// outlive the session, and three of sarama's session. The reader has none once a fetcher serves it.
func TestGoroutinesOfAClaim(t *testing.T) {
	const claims = 200
	c := newCluster(t, kfake.SeedTopics(claims, testTopic))
	defer c.Close()
	p := producer(t, c)
	for i := range int32(claims) {
		produce(t, p, i, 0, 1)
	}
	p.Close()
	s := start(t, testConfig(c.ListenAddrs()...).with(func(c *Config) {
		// Nobody is to be expelled on a busy machine.
		c.Kafka.SessionTimeout, c.Kafka.RebalanceTimeout = config.Duration(time.Minute), config.Duration(2*time.Minute)
	}), false)
	defer s.stop()
	readers := make([]lane.Reader, claims)
	for i := range readers {
		readers[i] = open(t, s.claim(t), 0)
	}
	for _, r := range readers {
		read(t, r, 1)
	}
	want := map[string]int{
		"source.(*claim).run":                             claims,
		"sarama.(*consumerGroupSession).startClaim.func1": claims,
		"sarama.(*consumerGroupSession).consume.func1":    claims,
		"sarama.(*consumerGroupSession).managePartition":  claims,
	}
	// Sarama's own consumers, closed as soon as they are there, and readers that look for a broker take a moment.
	var wrong string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if wrong = miscounted(t, want, claims/2); wrong == "" {
			return
		}
	}
	t.Error(wrong)
}

// miscounted says which functions have other numbers of goroutines than want, or that many have none of them.
func miscounted(t *testing.T, want map[string]int, many int) string {
	t.Helper()
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	var wrong []string
	_, stacks, _ := strings.Cut(profile.String(), "\n") // the total
	for stack := range strings.SplitSeq(stacks, "\n\n") {
		var n int
		if _, err := fmt.Sscanf(stack, "%d @", &n); err != nil {
			continue // labels of the one before, or the end
		}
		name := ""
		for of := range want {
			if strings.Contains(stack, of) {
				name = of
			}
		}
		if found[name] += n; name == "" && n >= many {
			wrong = append(wrong, fmt.Sprintf("%d goroutines that a claim has no need for:\n%s", n, stack))
		}
	}
	for of, n := range want {
		if found[of] != n {
			wrong = append(wrong, fmt.Sprintf("%d goroutines of %s, want %d", found[of], of, n))
		}
	}
	return strings.Join(wrong, "\n")
}
