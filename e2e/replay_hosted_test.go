package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/e2e/stack"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/kafka"
)

// requested are the two services that a process is steered and looked at by.
type requested struct {
	*world
	steer adminv1.SteeringServiceClient
	look  adminv1.AdminServiceClient
}

// admin connects to a process.
func (w *world) admin(to *stack.Service) requested {
	w.t.Helper()
	conn, err := grpc.NewClient(to.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return requested{w, adminv1.NewSteeringServiceClient(conn), adminv1.NewAdminServiceClient(conn)}
}

// replayed waits until what the fleet says of a replay is as wanted.
func (p requested) replayed(name, what string, is func(*adminv1.Replay) bool) *adminv1.Replay {
	p.t.Helper()
	var found *adminv1.Replay
	p.until("replay "+name+" "+what, func() error {
		r, err := p.look.ListReplays(p.ctx, &adminv1.ListReplaysRequest{})
		if err != nil {
			return err
		}
		for _, one := range r.GetReplays() {
			if found = one; one.GetName() == name && is(one) {
				return nil
			}
		}
		return fmt.Errorf("the replays are %v", r.GetReplays())
	})
	return found
}

// A replay that an ingest is asked for goes on without its caller, and the fleet tells how far it is. Stopped by way of
// another ingest, it goes on there; when that is killed it is interrupted, and goes on at the first: every offset of
// its range is in the shadow table once, and live traffic goes on. What cannot be is refused with what is wrong, and
// changes nothing.
func TestReplayThatAnIngestRuns(t *testing.T) {
	t.Parallel()
	w := peered(t)
	w.produce(stack.DeliveryTopic, 3000, events.Config{Size: 1000, TruncatedEvery: 100, UnknownTypeEvery: -1})
	w.settled()
	first, second := w.admin(w.Ingests[0]), w.admin(w.Ingests[1])
	query := func(of requested, rate int64, act *adminv1.Act) (*adminv1.ReplayResponse, error) {
		return of.steer.Replay(w.ctx, &adminv1.ReplayRequest{
			Act: act, Name: "fix", Topic: stack.DeliveryTopic, Into: map[string]string{"": "shadow"},
			BytesPerSecond: rate,
		})
	}
	r, err := query(first, 0, &adminv1.Act{ValidateOnly: true})
	if err != nil || r.GetResult().GetChanged() || len(r.GetReplay().GetRanges()) != 4 {
		t.Fatalf("validated: %v, %v", r, err)
	}
	ends := map[int64]int64{}
	for _, of := range r.GetReplay().GetRanges() {
		ends[int64(of.GetPartition())] = of.GetTo()
	}
	if r, err = query(first, 20<<10, &adminv1.Act{Reason: "a test"}); err != nil || !r.GetResult().GetChanged() {
		t.Fatalf("%v, %v", r, err)
	}
	second.replayed("fix", "gets on", func(r *adminv1.Replay) bool {
		return r.GetState() == "running" && r.GetSettled() > 50 && r.GetReason() == "a test"
	})
	if _, err = query(second, 0, nil); status.Code(err) != codes.FailedPrecondition ||
		!strings.Contains(err.Error(), "is under way already") {
		t.Errorf("the same one elsewhere: %v", err)
	}
	said, err := second.steer.StopReplay(w.ctx, &adminv1.StopReplayRequest{Name: "fix"})
	if err != nil || said.GetReplay().GetState() != "stopped" || said.GetReplay().GetSettled() >= 3000 {
		t.Fatalf("stopped: %v, %v", said, err)
	}
	w.produce(stack.DeliveryTopic, 200, events.Config{TruncatedEvery: 100, UnknownTypeEvery: -1})
	if r, err = query(second, 20<<10, nil); err != nil || len(r.GetReplay().GetRemarks()) != 0 {
		t.Fatalf("it goes on: %v, %v", r, err)
	}
	was := said.GetReplay().GetSettled()
	first.replayed("fix", "gets on at the second", func(r *adminv1.Replay) bool {
		return r.GetState() == "running" && r.GetProcess() != said.GetReplay().GetProcess() && r.GetSettled() > was+50
	})
	w.Ingests[1].Kill()
	interrupted := first.replayed("fix", "is interrupted", func(r *adminv1.Replay) bool {
		return r.GetState() == "interrupted" || r.GetState() == "stopped" // as the first one knows it
	})
	if interrupted.GetSettled() >= 3000 {
		t.Errorf("nothing is left: %v", interrupted)
	}
	w.restart(w.Ingests[1])
	if _, err = query(first, 100<<20, nil); err != nil {
		t.Fatal(err)
	}
	done := first.replayed("fix", "is done", func(r *adminv1.Replay) bool { return r.GetState() == "done" })
	if done.GetSettled() != done.GetTotal() {
		t.Errorf("done: %v", done)
	}
	w.settled()
	if n := w.once("shadow", "delivery_events", func(p, o int64) bool { return o < ends[p] }); n < 2900 {
		t.Errorf("%d rows are replayed, of 3000 records", n)
	}
	code, out := w.at(w.Ingests[1], "replays")
	if code != 0 || !strings.Contains(out, "100% of 3,000") {
		t.Errorf("ingest replays: status %d, %s", code, out)
	}

	if w.bigQuery("POST", "datasets/"+stack.Dataset+"/tables", fmt.Sprintf(
		`{"tableReference":{"projectId":%q,"datasetId":%q,"tableId":"narrow"},"schema":{"fields":[
		{"name":"event_id","type":"INTEGER"},{"name":"kafka_offset","type":"STRING"}]}}`, stack.Project,
		stack.Dataset)) != 200 {
		t.Fatal("no table is made")
	}
	for name, tt := range map[string]struct {
		request *adminv1.ReplayRequest
		code    codes.Code
		want    []string
	}{
		"a table that does not fit": {
			&adminv1.ReplayRequest{Name: "x", Topic: stack.DeliveryTopic, Into: map[string]string{"": "narrow"}},
			codes.FailedPrecondition,
			[]string{
				"column event_id: type, the table has INTEGER, the rows have STRING",
				"column kafka_offset: type, the table has STRING, the rows have INTEGER", "column event_time: missing",
			},
		},
		"a topic that is not there": {
			&adminv1.ReplayRequest{Name: "x", Topic: "delivery_events_topic", Suffix: "_x"},
			codes.NotFound,
			[]string{`topic: there is no topic with a contract "delivery_events_topic"; the nearest`},
		},
		"a table of a contract": {
			&adminv1.ReplayRequest{
				Name: "x", Topic: stack.DeliveryTopic, Into: map[string]string{"": "delivery_events"},
			},
			codes.FailedPrecondition,
			[]string{"into: ", "which contract delivery.v6 feeds"},
		},
		"no name": {
			&adminv1.ReplayRequest{Name: "a/b", Topic: stack.DeliveryTopic, Suffix: "_x"},
			codes.FailedPrecondition,
			[]string{`name: "a/b" is no name`},
		},
	} {
		_, err := first.steer.Replay(w.ctx, tt.request)
		for _, want := range tt.want {
			if status.Code(err) != tt.code || !strings.Contains(strings.Join(strings.Fields(err.Error()), " "), want) {
				t.Errorf("%s: %v; want %v, %q", name, err, tt.code, want)
			}
		}
	}
	if code, out := w.at(w.Ingests[1], "replays", "--stop", "fox"); code != 1 ||
		!strings.Contains(out, `the nearest is "fix"`) {
		t.Errorf("a replay that is not there: status %d, %s", code, out)
	}
	w.verified()
}

// A replay of dead letters that is stopped while its first transaction is under way has produced what is in that, and
// the next one the others: each record is in the topic once more, and none twice.
func TestDeadLettersAreStoppedHalfway(t *testing.T) {
	t.Parallel()
	const letters = 1200 // a transaction has 500 at most
	w := newWorld(t, stack.Config{DeliveryPartitions: 1, StockPartitions: 1})
	w.produce(stack.DeliveryTopic, letters, events.Config{Size: 200, TruncatedEvery: 1, UnknownTypeEvery: -1})
	w.settled()
	last := int64(letters - 1)
	p := w.admin(w.Ingests[0])
	begin := func(id string) {
		t.Helper()
		stream, err := p.steer.ReplayDeadLetters(w.ctx, &adminv1.ReplayDeadLettersRequest{
			Act: &adminv1.Act{RequestId: id}, Topics: []string{stack.DeliveryTopic}, WithoutCheck: true,
			LastOffset: &last, Detached: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := stream.Recv(); err != nil || !r.GetResult().GetChanged() {
			t.Fatalf("%v, %v", r, err)
		}
	}
	w.fault(stack.Kafka, map[string]any{"key": "EndTxn", "error": "CONCURRENT_TRANSACTIONS", "count": -1})
	begin("first")
	w.until("its first transaction is to end", func() error {
		var faults []kafka.Fault
		if err := w.Faults(w.ctx, stack.Kafka, &faults); err != nil {
			return err
		}
		if len(faults) != 1 || faults[0].Hits == 0 {
			return fmt.Errorf("%+v", faults)
		}
		return nil
	})
	var stopping sync.WaitGroup
	defer stopping.Wait()
	stopping.Go(func() {
		request := &adminv1.StopReplayRequest{Name: "first", Act: &adminv1.Act{Reason: "enough"}}
		if said, err := p.steer.StopReplay(w.ctx, request); err != nil || !said.GetResult().GetChanged() {
			t.Errorf("%v, %v", said, err)
		}
	})
	w.until("it is told to stop", func() error {
		r, err := p.look.ListEvents(w.ctx, &adminv1.ListEventsRequest{Filter: "operator: stop replay"})
		if err == nil && len(r.GetEvents()) == 0 {
			err = errors.New("no event says so")
		}
		return err
	})
	if err := w.ClearFaults(w.ctx, stack.Kafka, ""); err != nil {
		t.Fatal(err)
	}
	half := p.replayed("first", "is stopped", func(r *adminv1.Replay) bool { return r.GetState() == "stopped" })
	if half.GetRows() != 500 || !strings.Contains(half.GetError(), "enough") {
		t.Errorf("stopped: %v", half)
	}
	begin("second")
	rest := p.replayed("second", "is done", func(r *adminv1.Replay) bool { return r.GetState() == "done" })
	if rest.GetRows() != letters-500 {
		t.Errorf("the second has produced %d of %d records: %v", rest.GetRows(), letters, rest)
	}
	if n := w.records(stack.DeliveryTopic, 2*letters); n != 2*letters {
		t.Errorf("%d records are in the topic, want each of %d twice", n, letters)
	}
}

// records counts the committed records of a topic, once there are so many.
func (w *world) records(topic string, least int) (n int) {
	w.t.Helper()
	client := w.client(kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	w.until(fmt.Sprintf("%d records are in %s", least, topic), func() error {
		for n < least {
			fetched := client.PollFetches(w.ctx)
			if err := fetched.Err0(); err != nil {
				return err
			}
			n += fetched.NumRecords()
		}
		return nil
	})
	// There is no more.
	more, cancel := context.WithTimeout(w.ctx, time.Second)
	defer cancel()
	return n + client.PollFetches(more).NumRecords()
}
