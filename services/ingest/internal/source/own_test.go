package source

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

func TestReadsFromExactOffset(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, testTopic))
	p := producer(t, c)
	produce(t, p, 0, 0, 50)
	produce(t, p, 1, 0, 50)
	s := start(t, testConfig(c.ListenAddrs()...), false)
	for range 2 {
		o := s.claim(t)
		if o.Topic() != testTopic || o.Cluster() != "test-cluster" {
			t.Errorf("claim of %q in cluster %q", o.Topic(), o.Cluster())
		}
		if oldest, newest, err := o.Range(t.Context()); err != nil || oldest != 0 || newest != 50 {
			t.Errorf("Range() = %d, %d, %v", oldest, newest, err)
		}
		for _, from := range []int64{17, 0, 49} { // forwards, back, again: each a new reader without a rebalance
			r := open(t, o, from)
			for i, got := range read(t, r, int(50-from)) {
				if got.Offset != from+int64(i) || got.Partition != o.Number() || got.Topic != testTopic {
					t.Fatalf("record %d from %d is %s/%d@%d", i, from, got.Topic, got.Partition, got.Offset)
				}
			}
			if b := r.Backlog(); b != 0 {
				t.Errorf("backlog %d at the end", b)
			}
			r.Close()
		}
	}
	if n := s.logs.Count("joined the group"); n != 1 {
		t.Errorf("joined %d times, want 1", n)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestOffsetGone(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, testTopic))
	p := producer(t, c)
	produce(t, p, 0, 0, 10)
	produce(t, p, 1, 0, 10)
	// The group's committed offset is gone as well: the session must live with that.
	adm := kadm.NewClient(p)
	var committed kadm.Offsets
	committed.AddOffset(testTopic, 0, 3, -1)
	if err := adm.CommitAllOffsets(t.Context(), testGroup, committed); err != nil {
		t.Fatal(err)
	}
	var cut kadm.Offsets
	cut.AddOffset(testTopic, 0, 5, -1)
	if _, err := adm.DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	s := start(t, testConfig(c.ListenAddrs()...), false)
	for range 2 {
		o := s.claim(t)
		if o.Number() == 1 {
			read(t, open(t, o, 0), 10)
			continue
		}
		mustCommitted(t, o, 3, "")
		for _, from := range []int64{3, 11} {
			out, err := open(t, o, from).Next(t.Context(), make([]record.Record, 0, 1), time.Time{})
			if !errors.Is(err, lane.ErrOffsetGone) {
				t.Errorf("reading from %d: %d records, %v; want ErrOffsetGone", from, len(out), err)
			}
		}
		r := open(t, o, 5)
		read(t, r, 5)
		// Retention overtakes a reader that waits at the end: it is told, not moved.
		produce(t, p, 0, 10, 1)
		read(t, r, 1)
	}
	if n := s.logs.Count("joined the group"); n != 1 {
		t.Errorf("joined %d times, want 1", n)
	}
}

func TestOffsetGoneWhileReading(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	p := producer(t, c)
	// More than a channel and a burst: the reader pauses before all of the first fetch is taken, so no other is under
	// way.
	const n = 200
	produce(t, p, 0, 0, n)
	s := start(t, testConfig(c.ListenAddrs()...).with(func(c *Config) { c.Kafka.Fetch.Records = 1 }), false)
	o := s.claim(t)
	r := open(t, o, 0)
	// The reader is full and paused; what it wants next disappears.
	eventually(t, "a pause", func() bool { return r.(*reader).isPaused() })
	produce(t, p, 0, n, 100)
	var cut kadm.Offsets
	cut.AddOffset(testTopic, 0, n+50, -1)
	if _, err := kadm.NewClient(p).DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	got := read(t, r, n)
	if last := got[n-1].Offset; last != n-1 {
		t.Fatalf("last offset %d", last)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if out, err := r.Next(ctx, got[:0], time.Time{}); !errors.Is(err, lane.ErrOffsetGone) {
		t.Errorf("Next() = %d records, %v; want ErrOffsetGone", len(out), err)
	}
}

func TestTwoMembersShare(t *testing.T) {
	for _, assignment := range []string{AssignSticky, AssignRange} {
		t.Run(assignment, func(t *testing.T) {
			c := newCluster(t, kfake.SeedTopics(4, testTopic))
			cfg := testConfig(c.ListenAddrs()...).with(func(c *Config) {
				c.Kafka.Assignment = assignment
				c.Kafka.SessionTimeout = config.Duration(45 * time.Second)
			})
			a := start(t, cfg, false)
			var first []*owned
			for range 4 {
				first = append(first, a.claim(t))
			}
			b := start(t, cfg, false)
			// Eager: the whole first generation ends before the second begins.
			for _, o := range first {
				select {
				case <-o.done:
				case <-time.After(patience):
					t.Fatal("a claim of the first generation goes on")
				}
			}
			seen := map[int32]int{}
			for _, s := range []*running{a, b} {
				for range 2 {
					o := s.claim(t)
					seen[o.Number()]++
					mustCommit(t, o, int64(10+o.Number()), "from the second generation")
				}
			}
			if len(seen) != 4 {
				t.Errorf("partitions %v", seen)
			}
			// A member that leaves does not make the other wait for the session timeout.
			stopped := time.Now()
			b.stop()
			for range 4 {
				o := a.claim(t)
				mustCommitted(t, o, int64(10+o.Number()), "from the second generation")
			}
			if waited := time.Since(stopped); waited >= time.Duration(cfg.Kafka.SessionTimeout) {
				t.Errorf("the partitions of the member that left came after %v", waited)
			}
		})
	}
}

func TestDrainOnRevoke(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	// The timer does not help: what was not awaited is committed because the claim ends.
	s := start(t, testConfig(c.ListenAddrs()...).with(func(c *Config) {
		c.Commit.Interval = config.Duration(time.Hour)
	}), true)
	o := s.claim(t)
	mustCommit(t, o, 1, "before")
	var stop sync.WaitGroup
	stop.Go(s.stop)
	<-o.ctx.Done()
	// The claim is revoked, and the lane still settles and commits.
	mustCommit(t, o, 2, "drained")
	o.CommitLater(lane.Pair{Position: 3, Checkpoint: "last"}) // not awaited by the lane: committed all the same
	close(o.release)
	stop.Wait()
	if position, checkpoint := stored(c, 0); position != 3 || checkpoint != "last" {
		t.Errorf("committed %d %q", position, checkpoint)
	}
	mustFenced(t, o.Commit(t.Context(), lane.Pair{Position: 4, Checkpoint: "too late"}))
	if info := c.GroupInfo(testGroup); len(info.Members) != 0 {
		t.Errorf("%d members are left in the group", len(info.Members))
	}
}

func TestDrainDeadline(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...).with(func(c *Config) { c.Kafka.DrainTimeout /= 20 }), true)
	o := s.claim(t)
	var stop sync.WaitGroup
	stop.Go(s.stop)
	defer stop.Wait()
	defer close(o.release)
	// A commit that cannot get through holds nobody beyond the deadline.
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.CoordinatorLoadInProgress, Count: -1})
	mustFenced(t, o.Commit(t.Context(), lane.Pair{Position: 2, Checkpoint: "never"}))
	if s.logs.Count("did not drain in time") != 1 {
		t.Error("nothing was logged")
	}
}

func TestStaticMember(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...).with(func(c *Config) { c.Kafka.InstanceID = "ingest-1" }), false)
	o := s.claim(t)
	mustCommit(t, o, 1, "static")
	if m := c.GroupInfo(testGroup).Members; len(m) != 1 || m[0].InstanceID == nil || *m[0].InstanceID != "ingest-1" {
		t.Errorf("members %+v", m)
	}
}

func TestHandlerPanicKeepsTheSession(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, testTopic))
	logs := &logtest.Log{}
	s := New(testConfig(c.ListenAddrs()...), logs.Logger(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	other := make(chan lane.Partition, 4)
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, Topics{Names: []string{testTopic}}, func(ctx context.Context, p lane.Partition) {
			if p.Number() == 0 {
				panic("broken lane")
			}
			other <- p
			<-ctx.Done()
		})
	}()
	p := <-other
	eventually(t, "the panic in the log", func() bool { return logs.Count("the lane panicked") == 1 })
	mustCommit(t, p, 7, "the other lane goes on")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := logs.Count("joined the group"); n != 1 {
		t.Errorf("joined %d times", n)
	}
}
