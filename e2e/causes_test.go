package e2e

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/waybill-data/waybill/e2e/stack"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/kafka"
)

// scene is a cause that is provoked, and how it is lifted.
type scene struct {
	cause string
	// says is what the sentence about the table has.
	says string
	// provoke and lift are called in turn; nil: nothing is to be done.
	provoke, lift func()
}

// ports are those of addresses.
func ports(t *testing.T, addresses []string) []int {
	t.Helper()
	var all []int
	for _, address := range addresses {
		_, text, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		port, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, port)
	}
	return all
}

// seen is a world with a view of its lanes.
type seen struct {
	*world
	topic string
	admin adminv1.AdminServiceClient
}

// see asks the first ingest.
func see(w *world, topic string) *seen {
	w.t.Helper()
	conn, err := grpc.NewClient(w.Ingests[0].GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return &seen{world: w, topic: topic, admin: adminv1.NewAdminServiceClient(conn)}
}

// play provokes each cause and waits until a lane has it in ListLanes, its seconds are counted, and the sentence about
// the table names it. Then the cause is lifted, and the table has all that was produced.
func (s *seen) play(scenes ...scene) {
	s.t.Helper()
	for _, one := range scenes {
		before := s.metric(s.Ingests[0], "waybill_ingest_lane_seconds_total", "cause", one.cause, "topic", s.topic)
		if one.provoke != nil {
			one.provoke()
		}
		s.until("a lane of "+s.topic+" has the cause "+one.cause, func() error { return s.lane(one.cause) })
		if one.says != "" {
			s.until("the page says "+one.says, func() error { return s.sentence(one.says) })
		}
		s.until("seconds of "+one.cause+" are counted", func() error {
			now := s.metric(s.Ingests[0], "waybill_ingest_lane_seconds_total", "cause", one.cause, "topic", s.topic)
			if now <= before {
				return fmt.Errorf("%v, as before", now)
			}
			return nil
		})
		if one.lift != nil {
			one.lift()
			s.settled()
		}
	}
}

// lane says whether a lane of the topic has the cause: what each has, and that its shares add to one.
func (s *seen) lane(cause string) error {
	r, err := s.admin.ListLanes(s.ctx, &adminv1.ListLanesRequest{Topic: s.topic})
	if err != nil {
		return err
	}
	var has []string
	for _, l := range r.GetLanes() {
		minute, quarter := 0., 0.
		for _, share := range l.GetShares() {
			minute, quarter = minute+share.GetMinute(), quarter+share.GetQuarter()
		}
		if minute < 0.999 || minute > 1.001 || quarter < 0.999 || quarter > 1.001 {
			s.t.Errorf("shares of %s/%d add to %v and %v", l.GetTopic(), l.GetPartition(), minute, quarter)
		}
		if l.GetCause() == cause {
			return nil
		}
		has = append(has, fmt.Sprintf("%d %s %s (%s%s)", l.GetPartition(), l.GetState(), l.GetCause(),
			l.GetWaitingFor(),
			l.GetLastError()))
	}
	return fmt.Errorf("lanes: %s", strings.Join(has, ", "))
}

// sentence says whether the sentence of a table of the topic has these words.
func (s *seen) sentence(words string) error {
	r, err := s.admin.ListTables(s.ctx, &adminv1.ListTablesRequest{})
	if err != nil {
		return err
	}
	var said []string
	for _, t := range r.GetTables() {
		sentence := t.GetName() + " " + t.GetReason()
		if strings.Contains(sentence, words) {
			return nil
		}
		said = append(said, sentence)
	}
	return fmt.Errorf("it says: %s", strings.Join(said, "; "))
}

// lift lifts all faults of a part of the sandbox.
func (s *seen) lift(family string) func() {
	return func() {
		s.t.Helper()
		if err := s.ClearFaults(s.ctx, family, ""); err != nil {
			s.t.Fatal(err)
		}
	}
}

// impatient is a world of one lane, whose table is to be fresh within a second.
func impatient(t *testing.T) (*world, *seen) {
	t.Helper()
	w := newWorld(t, stack.Config{
		DeliveryPartitions: 1, StockPartitions: 1,
		Contracts: "  - builtin: delivery.v6\n    freshness: {goal: 1s, stale: 2s}\n",
	})
	w.produce(stack.DeliveryTopic, 100, events.Config{})
	w.settled()
	return w, see(w, stack.DeliveryTopic)
}

// What BigQuery, the group's coordinator, the dead-letter topic and the writers do to a lane is provoked, one after the
// other, and each is named where people and programs look.
func TestCausesAreNamed(t *testing.T) {
	t.Parallel()
	w, s := impatient(t)
	rows := func(n int64) func() { return func() { w.produce(stack.DeliveryTopic, n, events.Config{}) } }
	faulty := func(family string, fault map[string]any, then func()) func() {
		return func() { w.fault(family, fault); then() }
	}
	s.play(
		scene{cause: "idle"},
		scene{
			cause: "paused", says: "paused",
			provoke: func() {
				w.acts(&adminv1.PauseResponse{}, w.Ingests[0], "pause", "--topic", stack.DeliveryTopic, "--for", "1h")
				rows(50)()
			},
			lift: func() {
				w.acts(&adminv1.ResumeResponse{}, w.Ingests[0], "resume", "--topic", stack.DeliveryTopic)
			},
		},
		scene{
			cause: "quota", says: "BigQuery's quota, or an outage, since", lift: s.lift(stack.BigQuery),
			provoke: faulty(stack.BigQuery, map[string]any{"kind": "quota", "method": "append"}, rows(200)),
		},
		scene{ // the window is full, and each response takes its time
			cause: "append", says: "BigQuery's responses, since", lift: s.lift(stack.BigQuery),
			provoke: faulty(stack.BigQuery, map[string]any{"kind": "latency", "method": "append", "delay": "3s"},
				rows(4000)),
		},
		scene{
			cause: "letters", says: "the dead-letter topic, since", lift: s.lift(stack.Kafka),
			provoke: faulty(stack.Kafka, map[string]any{
				"key": "Produce", "error": "TOPIC_AUTHORIZATION_FAILED",
				"topic": stack.DeliveryTopic + stack.DeadLetters,
				"count": -1,
			}, func() { w.produce(stack.DeliveryTopic, 50, events.Config{TruncatedEvery: 5, UnknownTypeEvery: -1}) }),
		},
		scene{
			cause: "fetch", says: "Kafka gives no records, since", lift: s.lift(stack.Kafka),
			provoke: faulty(stack.Kafka, map[string]any{
				"key": "Fetch", "error": "TOPIC_AUTHORIZATION_FAILED", "topic": stack.DeliveryTopic, "count": -1,
			}, rows(50)),
		},
		scene{
			cause: "opening", says: "no writer yet, since", lift: func() { w.restart(w.Writers[0]) },
			provoke: func() {
				if err := w.Writers[0].Stop(time.Minute); err != nil {
					t.Fatal(err)
				}
				rows(50)()
			},
		},
	)
	w.verified()
}

// An offset commit that is awaited is a barrier: a lane that has opened appends nothing before its checkpoint is
// durable.
func TestCauseOfABarrier(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{
		DeliveryPartitions: 1, StockPartitions: 1,
		Contracts: "  - builtin: delivery.v6\n    freshness: {goal: 1s, stale: 2s}\n",
	})
	s := see(w, stack.DeliveryTopic)
	s.play(scene{
		cause: "barrier", says: "an offset commit, since", lift: s.lift(stack.Kafka),
		provoke: func() {
			w.fault(stack.Kafka, map[string]any{
				"key": "OffsetCommit", "error": "COORDINATOR_LOAD_IN_PROGRESS", "group": stack.Group, "count": -1,
			})
			w.produce(stack.DeliveryTopic, 1000, events.Config{})
		},
	})
	w.verified()
}

// Kafka itself goes away, so that the group has no members and no lane is left to have a cause: the page says so all
// the same. It comes back with what it had.
func TestCauseOfKafkaAway(t *testing.T) {
	t.Parallel()
	// Addresses that no outgoing connection takes while nobody is there.
	addresses, err := stack.Addresses(3)
	if err != nil {
		t.Fatal(err)
	}
	config := kafka.Config{Dir: t.TempDir(), Ports: ports(t, addresses), Topics: []kafka.Topic{
		{Name: stack.DeliveryTopic, Partitions: 1}, {Name: stack.StockTopic, Partitions: 1},
	}}
	cluster, err := kafka.Start(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	w := newWorld(t, stack.Config{
		Kafka: cluster.Seeds(), Contracts: "  - builtin: delivery.v6\n    freshness: {goal: 1s, stale: 2s}\n",
	})
	w.produce(stack.DeliveryTopic, 100, events.Config{})
	w.settled()
	s := see(w, stack.DeliveryTopic)
	cluster.Close()
	w.until("the page says that no broker responds", func() error {
		r, err := s.admin.ListTables(w.ctx, &adminv1.ListTablesRequest{})
		if err != nil {
			return err
		}
		if !strings.Contains(r.GetSummary(), "no broker responds") {
			return fmt.Errorf("it says: %s", r.GetSummary())
		}
		return nil
	})
	if cluster, err = kafka.Start(config); err != nil {
		t.Fatal(err)
	}
	w.produce(stack.DeliveryTopic, 100, events.Config{})
	w.settled()
	s.play(scene{cause: "idle"})
}

// parcelled is a world that has taken parcels of one version, by these contracts.
func parcelled(t *testing.T, contracts string) (*world, *parcelLoad, *seen) {
	t.Helper()
	w := prepared(t, stack.Config{Contracts: contracts})
	w.upSandbox()
	p := &parcelLoad{world: w, versions: map[uint64]int{}}
	p.sender(1, 100)()
	w.upServices()
	w.sent[events.ParcelTopic] = int64(p.next)
	w.settled()
	return w, p, see(w, events.ParcelTopic)
}

// The registry is away when records name a schema that is new.
func TestCauseOfRegistryAway(t *testing.T) {
	t.Parallel()
	w, p, s := parcelled(t, strings.Replace(parcels, "    evolution: additive\n",
		"    freshness: {goal: 1s, stale: 2s}\n", 1))
	s.play(scene{
		cause: "registry", says: "the schema registry, since", lift: s.lift(stack.Registry),
		provoke: func() {
			// Without a writer nothing is read, and so nothing is looked up before the registry is away.
			if err := w.Writers[0].Stop(time.Minute); err != nil {
				t.Fatal(err)
			}
			s.until("no writer is seen", func() error { return s.lane("opening") })
			p.sender(2, 100)()
			w.sent[events.ParcelTopic] = int64(p.next)
			w.fault(stack.Registry, map[string]any{"status": 503})
			if err := w.Writers[0].Start(); err != nil {
				t.Fatal(err)
			}
		},
	})
}

// BigQuery takes its time to know a column that the contract has gained.
func TestCauseOfSchemaNotKnownYet(t *testing.T) {
	t.Parallel()
	w, p, s := parcelled(t, parcels+"    freshness: {goal: 1s, stale: 2s}\n")
	s.play(scene{
		cause: "schema", says: "BigQuery does not know a column yet, since",
		provoke: func() {
			w.fault(stack.BigQuery, map[string]any{"kind": "schema_delay", "delay": "40s"})
			p.sender(2, 100)()
			w.sent[events.ParcelTopic] = int64(p.next)
		},
		lift: s.lift(stack.BigQuery),
	})
}

// A lane that needs an operator says so, and what it needs.
func TestCauseOfARefusedLane(t *testing.T) {
	t.Parallel()
	w, s := impatient(t)
	s.play(scene{
		cause: "refused", says: "waits for an operator: " + stack.DeliveryTopic + "/0 is refused, since",
		provoke: func() {
			if err := w.Ingests[0].Stop(time.Minute); err != nil {
				t.Fatal(err)
			}
			offsets := kadm.Offsets{}
			offsets.Add(kadm.Offset{
				Topic: stack.DeliveryTopic, At: 100, LeaderEpoch: -1, Metadata: "of another program",
			})
			if err := kadm.NewClient(w.client()).CommitAllOffsets(w.ctx, stack.Group, offsets); err != nil {
				t.Fatal(err)
			}
			if err := w.Ingests[0].Start(); err != nil {
				t.Fatal(err)
			}
		},
	})
}
