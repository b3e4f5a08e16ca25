package source

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
)

// What one member keeps, others read, and the newest entry of a partition counts; the group's own commits are another
// matter.
func TestEntriesAreSeenByOthers(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(3, testTopic))
	config := testConfig(cluster.ListenAddrs()...)
	one, other := NewEntries(config), NewEntries(config)
	defer one.Close()
	defer other.Close()
	if got, err := one.Read(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("%v, %v", got, err)
	}
	a, b := pauses.Lane{Topic: testTopic, Partition: 0}, pauses.Lane{Topic: testTopic, Partition: 2}
	if err := one.Write(t.Context(), map[pauses.Lane]string{a: "first", b: "second"}); err != nil {
		t.Fatal(err)
	}
	if err := other.Write(t.Context(), map[pauses.Lane]string{b: "third"}); err != nil {
		t.Fatal(err)
	}
	got, err := one.Read(t.Context())
	if diff := cmp.Diff(map[pauses.Lane]string{a: "first", b: "third"}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := other.Partitions(t.Context(), testTopic); err != nil || !slices.Equal(got, []int32{0, 1, 2}) {
		t.Errorf("partitions %v, %v", got, err)
	}
	if _, err := other.Partitions(t.Context(), "nothing"); !errors.Is(err, ErrNoTopic) {
		t.Errorf("%v", err)
	}
}

// Where a partition ends, and what the group of the lanes has committed there, is asked of Kafka each time.
func TestEntriesTellPositions(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(2, testTopic))
	config := testConfig(cluster.ListenAddrs()...)
	entries := NewEntries(config)
	defer entries.Close()
	at := pauses.Lane{Topic: testTopic, Partition: 1}
	reports := func(end, committed int64) {
		t.Helper()
		if got, err := entries.End(t.Context(), at); err != nil || got != end {
			t.Errorf("it ends at %d, %v; want %d", got, err, end)
		}
		if got, err := entries.Committed(t.Context(), at); err != nil || got != committed {
			t.Errorf("%d is committed, %v; want %d", got, err, committed)
		}
	}
	reports(0, -1)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 3 {
		if err := client.ProduceSync(t.Context(), &kgo.Record{
			Topic: testTopic, Partition: at.Partition, Value: []byte("x"),
		}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: at.Topic, Partition: at.Partition, At: 2, LeaderEpoch: -1, Metadata: "a checkpoint"})
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), config.Kafka.Group, offsets); err != nil {
		t.Fatal(err)
	}
	reports(3, 2)
	entries.Close()
	if _, err := entries.End(t.Context(), at); err == nil {
		t.Error("tells an end when it is closed")
	}
	if _, err := entries.Committed(t.Context(), at); err == nil {
		t.Error("tells what is committed when it is closed")
	}
}

// A principal that may not read the group is told what to grant, at once.
func TestEntriesThatMayNotBeRead(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, testTopic))
	cluster.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.OffsetFetchRequest)
		response := request.ResponseKind().(*kmsg.OffsetFetchResponse)
		response.ErrorCode = 30
		for _, g := range request.Groups {
			one := kmsg.NewOffsetFetchResponseGroup()
			one.Group, one.ErrorCode = g.Group, 30
			response.Groups = append(response.Groups, one)
		}
		return response, nil, true
	})
	entries := NewEntries(testConfig(cluster.ListenAddrs()...))
	defer entries.Close()
	if _, err := entries.Read(t.Context()); !errors.Is(err, pauses.ErrRefused) {
		t.Errorf("%v", err)
	}
}

// A client that is closed says so, and connects no more.
func TestEntriesThatAreClosed(t *testing.T) {
	entries := NewEntries(testConfig("127.0.0.1:1"))
	entries.Close()
	if _, err := entries.Read(t.Context()); err == nil {
		t.Error("reads")
	}
	if err := entries.Write(t.Context(), nil); err == nil {
		t.Error("writes")
	}
}

// check warns where the group of the entries may not be written, which is no fault of the lanes; and says nothing of it
// otherwise.
func TestCheckLooksAtTheGroupOfEntries(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code   int16
		rights int32
		warns  bool
	}{
		"granted": {0, 1<<3 | 1<<8, false}, "seen only": {0, 1 << 8, true}, "refused": {30, 0, true},
		"not known": {0, math.MinInt32, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := newCluster(t, kfake.SeedTopics(1, testTopic))
			cluster.ControlKey(int16(kmsg.DescribeGroups), func(r kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				request := r.(*kmsg.DescribeGroupsRequest)
				if !slices.Equal(request.Groups, []string{testGroup + steeringSuffix}) {
					return nil, nil, false
				}
				response := request.ResponseKind().(*kmsg.DescribeGroupsResponse)
				one := kmsg.NewDescribeGroupsResponseGroup()
				one.Group, one.ErrorCode, one.AuthorizedOperations = request.Groups[0], tt.code, tt.rights
				response.Groups = append(response.Groups, one)
				return response, nil, true
			})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			warns := false
			topics := Topics{Names: []string{testTopic}}
			for _, f := range Check(ctx, testConfig(cluster.ListenAddrs()...), topics, nil) {
				warns = warns || f.State == findings.Warn && f.What == "group "+testGroup+steeringSuffix
			}
			if warns != tt.warns {
				t.Errorf("check warns: %v", warns)
			}
		})
	}
}
