package source

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/ingest/internal/assignment"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// The load of a partition is what is added to it, whatever of that has been read, times what an offset took of late.
func TestLoadOfAPartition(t *testing.T) {
	const window, capacity = 10 * time.Second, 0 // what is late does not count
	r, now, l := &reader{}, time.Unix(1000, 0), load{}
	tick := func(added int64) {
		now = now.Add(time.Second)
		r.newestAt.Store(now.UnixNano())
		r.newest.Add(added)
		l.measure(r, now, window)
	}
	r.newest.Store(5000) // a backlog is not what comes
	r.fetchedBytes.Store(20_000)
	r.fetchedOffsets.Store(100)
	tick(0)
	if reported := l.share(window, capacity); reported != assignment.Unknown {
		t.Errorf("reported %d before anything is measured", reported)
	}
	for range 30 {
		tick(50)
	}
	if reported := l.share(window, capacity); reported != 50*200 {
		t.Errorf("reported %d, want 50 offsets of 200 bytes", reported)
	}
	r = &reader{} // the lane opens again: what is known stays
	r.newest.Store(6500)
	tick(0)
	if reported := l.share(window, capacity); reported != 50*200 {
		t.Errorf("reported %d with a new reader", reported)
	}
	r.fetchedBytes.Store(200)
	r.fetchedOffsets.Store(1)
	for range 60 {
		tick(10)
	}
	if reported := l.share(window, capacity); reported < 1900 || reported > 2200 {
		t.Errorf("reported %d, want about 2000", reported)
	}
}

// What has not been read counts as what it takes to catch up, within what a member is filled with, so that who is
// behind does not seem to have nothing to do once producers rest. What is on its way does not count.
func TestWhatIsLateTakesCapacity(t *testing.T) {
	for _, c := range []struct {
		rate, backlog, capacity, needs float64
	}{
		{1000, 2000, 1e6, 1000},      // within two seconds of what comes
		{1000, 62_000, 1e6, 3000},    // a minute late, to be read within 30 s
		{0, 30_000, 1e6, 1000},       // nothing comes any more
		{1000, 1e9, 1e6, 750_000},    // no more than a member takes
		{900_000, 1e9, 1e6, 900_000}, // unless that much comes
		{1000, 1e9, 0, 1000},         // nobody knows what one takes
		{0, 0, 1e6, 0},
	} {
		l := load{rate: c.rate, backlog: c.backlog}
		if got := l.needs(c.capacity); got != c.needs {
			t.Errorf("%+v: %v", c, got)
		}
	}
	r, now, l := &reader{offset: 40, count: 10}, time.Unix(1000, 0), load{}
	r.fetchedBytes.Store(400)
	r.fetchedOffsets.Store(4)
	r.newest.Store(100)
	for range 2 {
		now = now.Add(time.Second)
		r.newestAt.Store(now.UnixNano())
		l.measure(r, now, loadWindow)
	}
	if l.backlog != 7000 {
		t.Errorf("a backlog of %v, want 10 records and 60 offsets of 100 bytes", l.backlog)
	}
}

// A burst is averaged; what lasts for three measurements is believed.
func TestLoadThatRisesIsSeenSoon(t *testing.T) {
	const window, capacity = 10 * time.Second, 0 // what is late does not count
	r, now, l := &reader{}, time.Unix(1000, 0), load{}
	r.fetchedBytes.Store(100)
	r.fetchedOffsets.Store(1)
	tick := func(times int, added int64) uint64 {
		for range times {
			now = now.Add(time.Second)
			r.newestAt.Store(now.UnixNano())
			r.newest.Add(added)
			l.measure(r, now, window)
		}
		return l.share(window, capacity)
	}
	if reported := tick(60, 100); reported != 10_000 {
		t.Fatalf("reported %d", reported)
	}
	tick(2, 500)
	if reported := tick(1, 100); reported > 18_000 {
		t.Errorf("reported %d behind a burst of two seconds", reported)
	}
	tick(60, 100)
	if reported := tick(3, 500); reported != 50_000 {
		t.Errorf("reported %d behind three seconds of 50000", reported)
	}
}

// The leader fills members by their reports, gives what is new to who has room, and withholds what moves.
func TestLeaderPacksByLoad(t *testing.T) {
	member := func(generation int32, rates ...uint64) sarama.ConsumerGroupMemberMetadata {
		r := assignment.Report{Generation: generation, Capacity: 100}
		var owned []int32
		for i, rate := range rates {
			if rate > 0 {
				owned = append(owned, int32(i))
				p := assignment.Partition{Topic: testTopic, Number: int32(i)}
				r.Holds = append(r.Holds, assignment.Share{Partition: p, Rate: rate})
			}
		}
		return sarama.ConsumerGroupMemberMetadata{
			Version: 2, GenerationID: generation, Topics: []string{testTopic}, UserData: r.Append(nil),
			OwnedPartitions: []*sarama.OwnedPartition{{Topic: testTopic, Partitions: owned}},
		}
	}
	strategy := cooperative{&byLoad{}, nil}
	topics := map[string][]int32{testTopic: {0, 1, 2, 3}}
	plan := func(members map[string]sarama.ConsumerGroupMemberMetadata) sarama.BalanceStrategyPlan {
		t.Helper()
		p, err := strategy.Plan(members, topics)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	got := plan(map[string]sarama.ConsumerGroupMemberMetadata{"a": member(5, 10, 10, 10, 10), "b": member(5)})
	if len(got["a"][testTopic]) != 4 {
		t.Errorf("a member at 40 %% gives something away: %v", got)
	}
	got = plan(map[string]sarama.ConsumerGroupMemberMetadata{"a": member(5, 30, 30, 30, 30), "b": member(5)})
	if len(got["a"][testTopic]) != 2 || len(got["b"][testTopic]) != 0 {
		t.Errorf("at 120 %%: %v, want two to stay and two to be withheld", got)
	}
	got = plan(map[string]sarama.ConsumerGroupMemberMetadata{"a": member(6, 30, 30), "b": member(6)})
	if len(got["a"][testTopic]) != 2 || len(got["b"][testTopic]) != 2 {
		t.Errorf("then %v, want what nobody holds to go by what was reported of it before", got)
	}
	stranger := sarama.ConsumerGroupMemberMetadata{
		Version: 1, Topics: []string{testTopic},
		UserData: []byte("waybill 9"),
	}
	got = plan(map[string]sarama.ConsumerGroupMemberMetadata{"a": member(7, 30, 30, 30, 0), "s": stranger})
	if n := len(got["a"][testTopic]) + len(got["s"][testTopic]); n != 4 && n != 3 {
		t.Errorf("beside a stranger: %v", got)
	}
}

// A member whose load grows beyond what it can carry asks for a plan. What the leader takes from it drains, and
// commits; the rest goes on, and all of it within sessions that end and begin beneath.
func TestLoadMovesToWhoHasRoom(t *testing.T) {
	const partitions = 4
	c := newCluster(t, kfake.SeedTopics(partitions, testTopic))
	quick := func(s *Source) {
		s.loadEvery, s.loadWindow = 50*time.Millisecond, time.Second
		s.replanEvery, s.urgentEvery = 3*time.Second, 3*time.Second
	}
	cfg := testConfig(c.ListenAddrs()...).with(func(c *Config) {
		// Two partitions fit into three quarters of it, three do not, and all four are too much.
		c.Kafka.Assignment, c.Kafka.Capacity = AssignLoad, config.Bytes(700<<10)
		// Nobody is to be expelled on a busy machine.
		c.Kafka.SessionTimeout, c.Kafka.RebalanceTimeout = config.Duration(time.Minute), config.Duration(2*time.Minute)
		c.Kafka.RequestTimeout, c.Kafka.DrainTimeout = config.Duration(20*time.Second), config.Duration(time.Minute)
	})
	a := startTopics(t, cfg, true, Topics{Names: []string{testTopic}}, quick)
	w := owners{}
	w.take(t, a, partitions)
	for _, o := range w {
		r := open(t, o, 0)
		go func() {
			for {
				if _, err := r.Next(t.Context(), make([]record.Record, 0, 64), time.Time{}); err != nil {
					return
				}
			}
		}()
	}
	b := startTopics(t, cfg, true, Topics{Names: []string{testTopic}}, quick)
	eventually(t, "the second member to be in the group", func() bool { return b.Ready() == nil && b.joined.Load() })

	p := producer(t, c, kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
	value := make([]byte, 10<<10)
	stop := make(chan struct{})
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		began := time.Now()
		for n := int64(0); ; {
			for ; n < time.Since(began).Milliseconds()/50; n++ { // 200 KiB a second for each, 800 in all
				for i := range int32(partitions) {
					p.Produce(t.Context(), &kgo.Record{Topic: testTopic, Partition: i, Value: value}, nil)
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	defer func() {
		close(stop)
		<-produced
	}()
	// Which of them move, and whether one comes back, depends on what is measured on the way. Whatever ends drains and
	// commits, and whoever has it next begins with that.
	var moved *owned
	released := map[*owned]bool{}
	eventually(t, "a partition to move", func() bool {
		for _, o := range w {
			if o.ctx.Err() != nil && !released[o] {
				released[o] = true
				mustCommit(t, o, 7, fmt.Sprint("drained ", o.Number()))
				close(o.release)
			}
		}
		for _, r := range []*running{a, b} {
			for range len(r.claims) {
				w.take(t, r, 1)
			}
		}
		for _, o := range w {
			if o.of == b && o.ctx.Err() == nil {
				moved = o
			}
		}
		return moved != nil
	})
	mustCommitted(t, moved, 7, fmt.Sprint("drained ", moved.Number()))
	if len(released) == partitions {
		t.Error("all were taken away")
	}
}
