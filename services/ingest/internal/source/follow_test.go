package source

import (
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// loneReader is a reader at offset 10 that no fetcher works for.
func loneReader(t *testing.T) *reader {
	t.Helper()
	k := Defaults().Kafka
	config, err := k.dataConfig(minFetch, minFetch)
	if err != nil {
		t.Fatal(err)
	}
	budget, _ := newPrefetch(1<<20, minFetch, 1000, 1)
	from := origin{tp: testPartition, offset: 10}
	pool := newFetchers(t.Context(), nil, config, new(sync.WaitGroup))
	return newReader(from, new(epochs), pool, budget, slog.New(slog.DiscardHandler), NewMetrics(nil))
}

func TestResponsesThatRelease(t *testing.T) {
	for name, test := range map[string]struct {
		code    sarama.KError
		replica int32
		want    error
	}{
		"the offset is gone":                    {sarama.ErrOffsetOutOfRange, -1, lane.ErrOffsetGone},
		"a replica does not have it yet":        {sarama.ErrOffsetOutOfRange, 2, errMoved},
		"the first broker does not have it yet": {sarama.ErrOffsetOutOfRange, 0, errMoved},
		"another leader":                        {sarama.ErrNotLeaderForPartition, -1, sarama.ErrNotLeaderForPartition},
		"a replica that is none any more": {
			sarama.ErrUnknownTopicOrPartition, 2,
			sarama.ErrUnknownTopicOrPartition,
		},
		"a broken disk":                       {sarama.ErrKafkaStorageError, -1, sarama.ErrKafkaStorageError},
		"an epoch that the broker has passed": {sarama.ErrFencedLeaderEpoch, -1, sarama.ErrFencedLeaderEpoch},
	} {
		t.Run(name, func(t *testing.T) {
			r := loneReader(t)
			r.replica = test.replica
			err := r.take(failed(test.code))
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if r.replica != -1 || r.offset != 10 {
				t.Errorf("goes on at replica %d, offset %d; want the leader, 10", r.replica, r.offset)
			}
			if quiet := test.code != sarama.ErrKafkaStorageError &&
				errors.Is(test.want, test.code); quiet != moves(err) {
				t.Errorf("%v is taken for a change of leaders: %t", err, !quiet)
			}
		})
	}
}

// The leader's word about a replica nearby is followed for a lease. After that the leader is asked again, and one that
// failed is left alone until then.
func TestReplicaNearby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := loneReader(t)
		defer r.Close()
		r.lease = time.Minute
		says := func(preferred int32) error {
			b := reply()
			b.PreferredReadReplica = preferred
			return r.take(b.part())
		}
		step := func(what string, preferred int32, want error, replica int32) {
			t.Helper()
			if err := says(preferred); !errors.Is(err, want) || r.replica != replica {
				t.Errorf("%s: %v, replica %d; want %v, %d", what, err, r.replica, want, replica)
			}
		}
		step("the leader serves", -1, nil, -1)
		step("the leader names one", 2, errMoved, 2)
		step("which serves", -1, nil, 2)
		time.Sleep(time.Minute)
		step("the lease ends", -1, errMoved, -1)
		step("the leader names another", 3, errMoved, 3)
		if err := r.take(failed(sarama.ErrReplicaNotAvailable)); !moves(err) || r.replica != -1 {
			t.Errorf("a failed replica: %v, %d", err, r.replica)
		}
		step("the leader names it still", 3, nil, -1)
		time.Sleep(time.Minute)
		step("and again later", 3, errMoved, 3)
		time.Sleep(time.Minute)
		step("the lease ends, and the replica names itself", 3, errMoved, -1)
		step("the leader names the first broker", 0, errMoved, 0)
		time.Sleep(time.Minute)
		step("the lease of the first broker ends", -1, errMoved, -1)
	})
}

// A batch that does not fit is asked for with more room, until one has come.
func TestRoomForALargeBatch(t *testing.T) {
	r := loneReader(t)
	defer r.Close()
	for want := int32(2 * minFetch); want <= 8*minFetch; want *= 2 {
		if err := r.take(sent{reply().FetchResponseTopicPartition, []byte("the head")}.part()); err != nil {
			t.Fatal(err)
		}
		if w, ok := r.wants(); !ok || w.bytes != want || w.offset != 10 {
			t.Fatalf("asks for %d bytes at %d, want %d at 10", w.bytes, w.offset, want)
		}
	}
	b := reply(batchOf(10, 10, 10))
	if err := r.take(b.part()); err != nil {
		t.Fatal(err)
	}
	if w, _ := r.wants(); w.bytes != minFetch || w.offset != 11 {
		t.Errorf("asks for %d bytes at %d, want %d at 11", w.bytes, w.offset, minFetch)
	}
}

// A lane may go back at once, while a fetch of its reader before is under way: each reader gets what it asked for.
func TestRewindsAtOnce(t *testing.T) {
	const n = 500
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	produce(t, producer(t, c), 0, 0, n)
	s := start(t, testConfig(c.ListenAddrs()...), false)
	o := s.claim(t)
	for i := range 20 {
		from := int64(i * 37 % n)
		r := open(t, o, from)
		for j, got := range read(t, r, 1+i) {
			if got.Offset != from+int64(j) {
				t.Fatalf("reader %d from %d: record %d is at %d", i, from, j, got.Offset)
			}
		}
		if i%3 == 0 {
			r.Close()
		}
	}
}
