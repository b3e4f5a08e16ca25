//go:build realkafka

package realkafka

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// evenly produces to all partitions in turn, a record to each every 20 ms, until the function that it returns is
// called; that one returns how many there were.
func (w *world) evenly() func() int64 {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Seeds...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan int64, 1)
	go func() {
		defer client.Close()
		generator := events.New(plain)
		index := uint64(0)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			for p := range int32(partitions) {
				r := record(generator.Delivery(nil, index))
				r.Topic, r.Partition = w.topic(), p
				client.Produce(w.ctx, r, nil)
				index++
			}
			<-tick.C
		}
		if err := client.Flush(w.ctx); err != nil {
			w.t.Errorf("load: %v", err)
		}
		done <- int64(index)
	}()
	w.t.Cleanup(cancel)
	return func() int64 {
		cancel()
		return <-done
	}
}

// often commits so often that a lane that stands still shows.
const often = stack.Small + "commit:\n  interval: 100ms\n"

// silence follows what is committed, and for how long nothing was.
type silence struct {
	stop    chan struct{}
	stopped chan map[int32]time.Duration
	// look is the longest time from one look at the commits to the next, which says how busy the machine is. It may be
	// read after end.
	look time.Duration
}

// listen begins to follow the commits of a topic under load.
func (w *world) listen() *silence {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Seeds...))
	if err != nil {
		w.t.Fatal(err)
	}
	s := &silence{stop: make(chan struct{}), stopped: make(chan map[int32]time.Duration, 1)}
	go func() {
		defer client.Close()
		admin := kadm.NewClient(client)
		at, since, longest := map[int32]int64{}, map[int32]time.Time{}, map[int32]time.Duration{}
		for last := time.Now(); ; {
			commits, err := admin.FetchOffsets(w.ctx, w.Config.Group)
			now := time.Now()
			s.look, last = max(s.look, now.Sub(last)), now
			for p := range int32(partitions) {
				o, ok := commits.Lookup(w.topic(), p)
				if since[p].IsZero() || err == nil && ok && o.At > at[p] {
					at[p], since[p] = o.At, now
				}
				longest[p] = max(longest[p], now.Sub(since[p]))
			}
			select {
			case <-s.stop:
				s.stopped <- longest
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return s
}

// end is how long each partition was silent at most.
func (s *silence) end() map[int32]time.Duration {
	close(s.stop)
	return <-s.stopped
}

// of is the longest silence of some partitions.
func of(all map[int32]time.Duration, partitions []int32) (longest time.Duration) {
	for _, p := range partitions {
		longest = max(longest, all[p])
	}
	return longest.Round(10 * time.Millisecond)
}

// carries are the partitions whose lanes an ingest has open.
func (w *world) carries(s *stack.Service) []int32 {
	lanes, err := s.Lanes(w.ctx)
	var list []int32
	for _, l := range lanes {
		if err == nil && (l.State == "open" || l.State == "stalled") {
			list = append(list, l.Partition)
		}
	}
	slices.Sort(list)
	return list
}

// spread waits until each of these ingests has so many lanes open.
func (w *world) spread(each int, ingests ...*stack.Service) {
	w.t.Helper()
	w.until(fmt.Sprintf("%d ingests carry %d lanes each", len(ingests), each), func() error {
		for _, i := range ingests {
			if n := len(w.carries(i)); n != each {
				return fmt.Errorf("%s carries %d", i.Name, n)
			}
		}
		return nil
	})
}

// opened counts how often an ingest has opened lanes, by partition.
func (w *world) opened(s *stack.Service) map[int32]int {
	w.t.Helper()
	text, err := os.ReadFile(s.Log)
	if err != nil {
		w.t.Fatal(err)
	}
	n := map[int32]int{}
	for line := range strings.Lines(string(text)) {
		var p int32
		if _, after, ok := strings.Cut(line, `msg="lane open"`); ok {
			if _, after, ok = strings.Cut(after, "partition="); ok {
				if _, err := fmt.Sscan(after, &p); err == nil {
					n[p]++
				}
			}
		}
	}
	return n
}

// Under load two ingests join one and go again, one in order and one by SIGKILL. The lanes that stay with the first one
// are not opened again, and do not stop; those that move are handed over. Every record is one row.
func TestIngestsComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{Ingests: 3, IngestYAML: often})
	first, second, third := w.Ingests[0], w.Ingests[1], w.Ingests[2]
	for _, s := range []*stack.Service{second, third} {
		if err := s.Stop(time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	load := w.evenly()
	w.spread(partitions, first)
	w.committed(20 * partitions)
	before := w.opened(first)

	phase := func(name string, act func()) {
		t.Helper()
		s := w.listen()
		began := time.Now()
		had := w.carries(first)
		act()
		took := time.Since(began)
		stays := slices.DeleteFunc(had, func(p int32) bool { return !slices.Contains(w.carries(first), p) })
		all := s.end()
		t.Logf("%s: %v; longest silence of the lanes that stay (%v): %v; of all: %v", name,
			took.Round(10*time.Millisecond), stays, of(all, stays), of(all, slices.Collect(maps.Keys(all))))
		if len(stays) == 0 {
			t.Errorf("%s: no lane stays", name)
		}
		// An eager rebalance stops all of them for about a heartbeat, and for as long as the slowest lane drains. Where
		// somebody else has the processors everything takes longer, also a look, which takes some 20 ms.
		if longest := of(all, stays); longest > 3*time.Second+10*s.look {
			t.Errorf("%s: a lane that stays was silent for %v, and a look took %v", name, longest, s.look)
		}
	}
	start := func(s *stack.Service) {
		t.Helper()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	phase("nothing happens", func() { time.Sleep(time.Second) })
	phase("a second ingest joins", func() { start(second); w.spread(3, first, second) })
	phase("a third ingest joins", func() { start(third); w.spread(2, first, second, third) })
	kept := w.carries(first)
	phase("the third stops", func() {
		if err := third.Stop(time.Minute); err != nil {
			t.Error(err)
		}
		w.spread(3, first, second)
	})
	phase("the second is killed", func() { second.Kill(); w.spread(partitions, first) })
	after := w.opened(first)
	for _, p := range kept {
		if after[p] != before[p] {
			t.Errorf("the lane of partition %d was opened %d times, though it stayed", p, after[p]-before[p])
		}
	}
	w.produced(w.topic(), load())
	w.verified()
}

// Static members restart within their session, in order and by SIGKILL: no rebalance, and each comes back to its
// lanes. Those of the other one do not notice.
func TestStaticIngestsComeBack(t *testing.T) {
	t.Parallel()
	w := prepared(t, stack.Config{Ingests: 2, IngestYAML: often, KafkaYAML: "  instance_id: ${INSTANCE}\n"})
	for _, s := range w.Ingests {
		s.Env = append(s.Env, "INSTANCE="+s.Name)
	}
	// A start may take some seconds on a machine that is busy with something else.
	w.Config.KafkaYAML = strings.Replace(w.Config.KafkaYAML, "session_timeout: 6s", "session_timeout: 40s", 1)
	if err := w.Rejoin(w.Config.Group); err != nil { // writes the configurations
		t.Fatal(err)
	}
	w.up()
	first, second := w.Ingests[0], w.Ingests[1]
	load := w.evenly()
	w.spread(partitions/2, first, second)
	own, others, before := w.carries(first), w.carries(second), w.opened(first)
	generations := w.metric(first, "waybill_ingest_source_generations_total")
	for name, end := range map[string]func(){
		"stopped": func() {
			if err := second.Stop(time.Minute); err != nil {
				t.Error(err)
			}
		},
		"killed": second.Kill,
	} {
		s := w.listen()
		end()
		w.restart(second)
		w.spread(partitions/2, first, second)
		all := s.end()
		t.Logf("%s: longest silence of the lanes that stay: %v; of the others: %v", name, of(all, own), of(all, others))
		if got := w.carries(second); !slices.Equal(got, others) {
			t.Errorf("%s: it came back to %v, it had %v", name, got, others)
		}
	}
	if n := w.metric(first, "waybill_ingest_source_generations_total"); n != generations {
		t.Errorf("%v rebalances", n-generations)
	}
	if after := w.opened(first); !maps.Equal(after, before) {
		t.Errorf("lanes were opened %v times, before %v", after, before)
	}
	w.produced(w.topic(), load())
	w.verified()
}

// Ingests with eager assignment are replaced one by one under load, in the two steps of the protocol. No partition has
// two owners at any time, or the rows would say so; in the end lanes that stay do not stop.
func TestIngestsMoveToCooperativeAssignment(t *testing.T) {
	t.Parallel()
	w := prepared(t, stack.Config{Ingests: 3, IngestYAML: often, KafkaYAML: "  assignment: sticky\n"})
	w.up()
	load := w.evenly()
	w.spread(2, w.Ingests...)
	for _, assignment := range []string{"sticky,cooperative-sticky", "cooperative-sticky"} {
		w.Config.KafkaYAML = quick + "  assignment: " + assignment + "\n"
		if err := w.Rejoin(w.Config.Group); err != nil { // writes the configurations, for whoever starts from now on
			t.Fatal(err)
		}
		for i, s := range w.Ingests {
			l := w.listen()
			if i == 1 {
				s.Kill()
			} else if err := s.Stop(time.Minute); err != nil {
				t.Error(err)
			}
			w.restart(s)
			w.spread(2, w.Ingests...)
			all := l.end()
			t.Logf("%s to %s: longest silence of a lane %v", s.Name, assignment,
				of(all, slices.Collect(maps.Keys(all))))
		}
	}
	stays, before := w.carries(w.Ingests[0]), w.opened(w.Ingests[0])
	l := w.listen()
	if err := w.Ingests[2].Stop(time.Minute); err != nil {
		t.Error(err)
	}
	w.spread(3, w.Ingests[:2]...)
	after, all := w.opened(w.Ingests[0]), l.end()
	t.Logf("cooperative: longest silence of the lanes that stay %v, of all %v",
		of(all, stays), of(all, slices.Collect(maps.Keys(all))))
	for _, p := range stays {
		if after[p] != before[p] {
			t.Errorf("the lane of partition %d was opened again", p)
		}
	}
	w.produced(w.topic(), load())
	w.verified()
}

// Two ingests that share by load: one carries all while it can, and hands over in order what is too much for it.
func TestIngestsShareByLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{Ingests: 2, IngestYAML: often})
	first, second := w.Ingests[0], w.Ingests[1]
	load := w.evenly()
	w.committed(20 * partitions)
	const span = 2 * time.Second
	fetched := func() float64 {
		const name = "waybill_ingest_source_fetched_bytes_total"
		return w.metric(first, name) + w.metric(second, name)
	}
	before := fetched()
	time.Sleep(span)
	rate := (fetched() - before) / span.Seconds()

	// Four fifths of what comes is what one of them can carry.
	w.Config.KafkaYAML = quick + fmt.Sprintf("  assignment: load\n  capacity: %d\n", int(0.8*rate))
	if err := w.Rejoin(w.Config.Group); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*stack.Service{second, first} {
		if err := s.Stop(time.Minute); err != nil {
			t.Error(err)
		}
	}
	w.restart(first)
	w.spread(partitions, first) // alone, it has all whether it can carry it or not
	finalized := w.metric(w.Writers[0], "waybill_writer_streams_finalized_total")
	w.restart(second)
	l := w.listen()
	began := time.Now()
	w.until("the second one carries a part", func() error {
		if a, b := len(w.carries(first)), len(w.carries(second)); b == 0 || a+b != partitions {
			return fmt.Errorf("%d and %d", a, b)
		}
		return nil
	})
	stays, all := w.carries(first), l.end()
	t.Logf("%.0f bytes/s, after %v: %v with the first, %v with the second; longest silence of those that stay %v, "+
		"of all %v",
		rate, time.Since(began).Round(time.Second), stays, w.carries(second), of(all, stays),
		of(all, slices.Collect(maps.Keys(all))))
	if len(stays) == 0 {
		t.Error("the first one carries nothing")
	}
	if n := w.metric(w.Writers[0], "waybill_writer_streams_finalized_total"); n != finalized {
		t.Errorf("%v write streams were finalized: lanes were not handed over in order", n-finalized)
	}
	w.produced(w.topic(), load())
	w.verified()
}
