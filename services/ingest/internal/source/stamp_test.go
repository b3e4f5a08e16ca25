package source

import (
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"pgregory.net/rapid"
)

// What is put before a checkpoint comes off again, and what is no stamp stays.
func TestStamps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stamp{epoch: rapid.Int32Min(-1).Draw(t, "epoch")}
		if rapid.Bool().Draw(t, "known") {
			copy(s.topic[:], rapid.SliceOfN(rapid.ByteMin(1), 16, 16).Draw(t, "topic"))
			s.place = placeOf(rapid.String().Draw(t, "cluster"), topicPartition{"t", 3})
		}
		checkpoint := rapid.StringMatching(`[A-Za-z0-9_-]{0,40}`).Draw(t, "checkpoint")
		marked := s.mark(checkpoint)
		if got, rest := unmark(marked); got != s || rest != checkpoint || len(marked) > len(checkpoint)+71 {
			t.Fatalf("%q is %+v and %q", marked, got, rest)
		}
	})
	for _, foreign := range []string{
		"", "AYsBAQ93", "committed by loader-3; at 12:00;", ";",
		"topic_id=short;", "topic_id=7yL1vJ8bQfOTe5w2Q0-b4A", "topic_id=7yL1vJ8bQfOTe5w2Q0-b4A;AYs",
		"leader_epoch=-1;", "leader_epoch=x;AYs", "leader_epoch=99999999999;",
	} {
		if s, rest := unmark(foreign); s != (stamp{epoch: -1}) || rest != foreign {
			t.Errorf("%q is %+v and %q", foreign, s, rest)
		}
	}
}

// A position is committed with the epoch of the record before it.
func TestEpochOfAPosition(t *testing.T) {
	var e epochs
	check := func(position int64, want int32) {
		t.Helper()
		if got := e.before(position); got != want {
			t.Errorf("before %d: epoch %d, want %d", position, got, want)
		}
	}
	check(10, -1)
	e.begin(3)
	check(10, 3)
	e.note(10, 3)
	e.note(20, 5)
	e.note(30, 6)
	check(20, 3) // the record at 19
	check(21, 5)
	check(30, 5)
	// A reader that went back, and finds another log from 25 on.
	e.note(25, 7)
	check(26, 7)
	if len(e.starts) != 1 {
		t.Errorf("%d epochs are kept for positions that have passed", len(e.starts))
	}
	e.begin(-1)
	check(40, -1)
}

// The largest checkpoint of a writer and the largest stamp are what brokers take.
func TestLargestMetadata(t *testing.T) {
	s := stamp{topic: sarama.Uuid{1}, place: placeOf("c", topicPartition{"t", 1}), epoch: 1<<31 - 1}
	if n := len(s.mark(strings.Repeat("x", 4000))); n > 4096 {
		t.Errorf("%d bytes", n)
	}
}

// What was copied with its metadata from another cluster, topic or partition is no position of a topic that was
// deleted: its checkpoint goes to the writer, which refuses it.
func TestStampOfAnotherPlace(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	produce(t, producer(t, c), 0, 0, 20)
	o := start(t, testConfig(c.ListenAddrs()...), false).claim(t)
	copied := stamp{topic: sarama.Uuid{1}, place: placeOf("another-cluster", topicPartition{testTopic, 0}), epoch: 9}
	mustCommit(t, o, 7, copied.mark("theirs"))
	mustCommitted(t, o, 7, "theirs")
}
