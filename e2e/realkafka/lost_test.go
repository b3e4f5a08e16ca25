//go:build realkafka

package realkafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/waybill-data/waybill/e2e/stack"
)

// rows counts all rows of the events table, and at how many different places the records were that they are of.
func (w *world) rows() (rows, places int64) {
	w.t.Helper()
	out, err := exec.CommandContext(w.ctx, filepath.Join(bin, "sandbox"), "query", "--json", "--arrays", "--sandbox",
		filepath.Join(w.Config.Dir, "sandbox.json"),
		"SELECT COUNT(*) AS n, COUNT(DISTINCT kafka_partition * 1000000 + kafka_offset) AS m FROM "+
			"delivery_events").Output()
	var counts [2]int64
	if err == nil {
		err = json.Unmarshal(out, &counts)
	}
	if err != nil {
		w.t.Fatalf("count the rows: %v\n%s", err, out)
	}
	return counts[0], counts[1]
}

// pairOnly leaves the topic under test two replicas, of which either may lead alone, with all it has or not.
func (w *world) pairOnly() {
	w.t.Helper()
	one, yes := "1", "true"
	configs, err := w.admin.AlterTopicConfigs(w.ctx, []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "min.insync.replicas", Value: &one}, {
			Op: kadm.SetConfig, Name: "unclean.leader.election.enable", Value: &yes,
		},
	}, w.topic())
	if err == nil {
		err = configs[0].Err
	}
	var move kadm.AlterPartitionAssignmentsReq
	for p := range int32(partitions) {
		move.Assign(w.topic(), p, []int32{1, 2})
	}
	if err == nil {
		var moved kadm.AlterPartitionAssignmentsResponses
		if moved, err = w.admin.AlterPartitionAssignments(w.ctx, move); err == nil {
			err = moved.Error()
		}
	}
	if err != nil {
		w.t.Fatalf("leave two replicas: %v", err)
	}
	w.inSync(1, 2)
}

// inSync waits until these replicas of the topic under test are in sync, and no others.
func (w *world) inSync(brokers ...int32) {
	w.t.Helper()
	w.until(fmt.Sprintf("%v are in sync", brokers), func() error {
		m, err := w.admin.Metadata(w.ctx, w.topic())
		if err != nil {
			return err
		}
		for _, p := range m.Topics[w.topic()].Partitions {
			if slices.Sort(p.ISR); !slices.Equal(p.ISR, brokers) {
				err = fmt.Errorf("partition %d: %v", p.Partition, p.ISR)
			}
		}
		return err
	})
}

// refusedAll waits until all lanes are refused with a text.
func (w *world) refusedAll(ingest *stack.Service, text string) {
	w.t.Helper()
	w.until("all lanes are refused", func() error {
		lanes, err := ingest.Lanes(w.ctx)
		if err == nil && len(lanes) != partitions {
			err = errNoLanes
		}
		for _, l := range lanes {
			if l.State != "refused" || !strings.Contains(l.LastError, text) {
				err = fmt.Errorf("partition %d is %s: %s", l.Partition, l.State, l.LastError)
			}
		}
		return err
	})
}

// A replica that never had the last records becomes the leader: they are lost. Those that were read are not read
// again, those that take their offsets are not passed over: the lanes say what was cut off and where to go on, and go
// on there on request.
func TestUncleanElection(t *testing.T) {
	w := newWorld(t, stack.Config{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := kafka.Start(ctx); err != nil {
			t.Log(err) // the tests behind this one say it again
		}
	})
	w.pairOnly()
	const n = 600
	w.produce(w.topic(), n, plain)
	w.settled()
	cut := kadm.Offsets{}
	for partition, end := range w.ends[w.topic()] {
		cut.AddOffset(w.topic(), partition, end, -1)
	}
	if err := kafka.Brokers[1].Stop(time.Minute); err != nil {
		t.Log(err) // ended by a signal
	}
	w.inSync(1)
	w.produce(w.topic(), n, plain)
	w.settled()
	kafka.Brokers[0].Kill()
	if err := kafka.Brokers[1].Start(); err != nil {
		t.Fatal(err)
	}
	w.until("the replica that lags leads", func() error {
		w.admin.Close()
		w.connect()
		m, err := w.admin.Metadata(w.ctx, w.topic())
		if err != nil {
			return err
		}
		behind := kadm.TopicsSet{}
		for _, p := range m.Topics[w.topic()].Partitions {
			if p.Leader != 2 {
				behind.Add(w.topic(), p.Partition)
			}
		}
		if len(behind) == 0 {
			return nil
		}
		_, err = w.admin.ElectLeaders(w.ctx, kadm.ElectLiveReplica, behind)
		return errors.Join(err, fmt.Errorf("elections are due: %v", behind))
	})
	ingest := w.Ingests[0]
	w.refusedAll(ingest, "was cut back")
	// The offsets of what was lost are taken again, and more: neither the end nor the position shows anything now.
	w.produce(w.topic(), 2*n, plain)
	w.restart(ingest)
	w.refusedAll(ingest, "was cut back")
	w.refusedAll(ingest, "--to-offset")
	if rows, _ := w.rows(); rows != 2*n {
		t.Errorf("%d rows, %d were written before", rows, 2*n)
	}

	if err := ingest.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	w.until("the group takes the operator's offsets", func() error {
		return w.admin.CommitAllOffsets(w.ctx, w.Config.Group, cut)
	})
	w.restart(ingest)
	w.settled()
	// The places of the lost records have two: theirs, and that of the record which is there now.
	if rows, places := w.rows(); rows != 4*n || places != 3*n {
		t.Errorf("%d rows of %d places, want %d of %d: nothing twice, nothing passed over", rows, places, 4*n, 3*n)
	}
	if n := w.metric(ingest, "waybill_ingest_offset_resets_total"); n != 0 {
		t.Errorf("%v lanes went on elsewhere by themselves", n)
	}
}

// A topic is deleted and made again while it is read. What was committed is another topic's: the new one is read from
// its start, whatever offsets it has reached meanwhile.
func TestTopicMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{})
	const n = 600
	w.produce(w.topic(), n, plain)
	w.settled()
	again := func() {
		t.Helper()
		if _, err := w.admin.DeleteTopic(w.ctx, w.topic()); err != nil {
			t.Fatal(err)
		}
		w.until("the topic can be made again", func() error {
			_, err := w.admin.CreateTopic(w.ctx, partitions, Brokers, nil, w.topic())
			return err
		})
		w.until("the topic has leaders", func() error {
			w.admin.Close()
			w.connect()
			ends, err := w.admin.ListEndOffsets(w.ctx, w.topic())
			return errors.Join(err, ends.Error())
		})
	}
	ingest := w.Ingests[0]
	again()
	w.produce(w.topic(), 2*n, plain)
	counted := func(all, topic int64) {
		t.Helper()
		w.until(fmt.Sprintf("%d rows are there", all), func() error {
			rows, places := w.rows()
			if rows > all {
				t.Fatalf("%d rows, %d were produced", rows, all)
			}
			if rows != all || places != topic {
				return fmt.Errorf("%d rows of %d places", rows, places)
			}
			return nil
		})
		w.settled()
	}
	counted(3*n, 2*n)
	t.Logf("the lanes said: %d times", strings.Count(stack.Tail(ingest.Log, 1000), "made again"))

	// While ingest is away as well. A commit of the topic that was, which Kafka has forgotten with it, stays where
	// somebody put it back.
	commits, err := w.commits()
	if err != nil {
		t.Fatal(err)
	}
	if err := ingest.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	again()
	w.produce(w.topic(), 3*n, plain)
	w.until("the group takes what it had committed", func() error {
		return w.admin.CommitAllOffsets(w.ctx, w.Config.Group, commits.Offsets())
	})
	w.restart(ingest)
	w.logged(ingest, "the topic was deleted and made again; the lane starts with the new one")
	counted(6*n, 3*n)
	if n := w.metric(ingest, "waybill_ingest_offset_resets_total"); n != partitions {
		t.Errorf("%v lanes started anew, of %d", n, partitions)
	}
}
