//go:build realkafka

package realkafka

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

var (
	chaosTime = flag.Duration("chaos", 60*time.Second, "how long TestChaos disturbs")
	chaosSeed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "what TestChaos does, and when")
)

// Everything at once, under a steady load and a transactional one: services are killed, stopped in order and paused
// beyond their session, brokers restart, replies of BigQuery are lost. Nothing is lost, doubled or out of order. The
// seed that is printed makes the same decisions again; what they meet is up to the machine.
func TestChaos(t *testing.T) {
	w := newWorld(t, stack.Config{Ingests: 2, Writers: 2}, "chaos_transactional")
	t.Logf("seed %d, for %v", *chaosSeed, *chaosTime)
	w.slow()
	w.fault(map[string]any{"kind": "lost_reply", "probability": 0.01})
	w.fault(map[string]any{"kind": "aborted", "probability": 0.01, "in_stream": true})
	load := w.load(w.topic(), 150)
	stop := w.inTransactions(w.topics[1].Name)

	end := time.Now().Add(*chaosTime)
	brokers := make(chan error, 1)
	restarts := 0
	go func() { brokers <- w.restartBrokers(rand.New(rand.NewPCG(*chaosSeed, 1)), end, &restarts) }()
	random := rand.New(rand.NewPCG(*chaosSeed, 2))
	done := map[string]int{}
	for time.Now().Before(end) {
		done[w.disturb(random)]++
		pause(random, 500*time.Millisecond, 3*time.Second)
	}
	if err := <-brokers; err != nil {
		t.Fatal(err)
	}
	quiet := time.Now()
	transactions := stop()
	w.produced(w.topic(), load())
	report := w.compared()
	if report.Topics[0].Events != w.sent {
		t.Errorf("%d records were produced: %s", w.sent, report.Line())
	}
	if n := report.Topics[1].Rows; n < transactions.committed || n > transactions.committed+transactions.unsure {
		t.Errorf("%+v, and %d rows", transactions, n)
	}
	t.Logf("chaos on Apache Kafka: events %d, lost %d, duplicates %d, out of order %d; %v, %d brokers restarted, "+
		"transactions %+v, settled %v after the end, seed %d",
		report.Events, report.Missing, report.Duplicates, report.OutOfOrder, done, restarts, transactions,
		time.Since(quiet).Round(100*time.Millisecond), *chaosSeed)
}

// pause waits between low and high.
func pause(random *rand.Rand, low, high time.Duration) {
	time.Sleep(low + time.Duration(random.Int64N(int64(high-low))))
}

// disturb does one thing to one service and leaves all of them running. It returns what it did.
func (w *world) disturb(random *rand.Rand) string {
	w.t.Helper()
	services := append(append([]*stack.Service{}, w.Ingests...), w.Writers...)
	s := services[random.IntN(len(services))]
	switch random.IntN(4) {
	case 0, 1:
		s.Kill()
		pause(random, time.Millisecond, 2*time.Second)
		w.restart(s)
		return "killed"
	case 2:
		if err := s.Signal(syscall.SIGSTOP); err != nil {
			w.t.Fatal(err)
		}
		// The session ends after six seconds: now before the member comes back, now after it.
		pause(random, time.Second, 10*time.Second)
		if err := s.Signal(syscall.SIGCONT); err != nil {
			w.t.Fatal(err)
		}
		return "paused"
	default:
		if err := s.Stop(time.Minute); err != nil {
			w.t.Errorf("a graceful stop: %v", err)
		}
		w.restart(s)
		return "stopped"
	}
}

// restartBrokers kills one broker after the other, or asks it to end, until the end; it waits for the replicas before
// it takes the next.
func (w *world) restartBrokers(random *rand.Rand, end time.Time, restarts *int) error {
	for time.Now().Before(end) {
		pause(random, 4*time.Second, 10*time.Second)
		broker := kafka.Brokers[random.IntN(Brokers)]
		if random.IntN(2) == 0 {
			broker.Kill()
		} else if err := broker.Stop(time.Minute); err != nil && broker.Running() {
			return err
		}
		pause(random, time.Millisecond, 5*time.Second)
		if err := kafka.Start(w.ctx); err != nil {
			return fmt.Errorf("broker %s: %w", broker.Name, err)
		}
		*restarts++
	}
	return nil
}
