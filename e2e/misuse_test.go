package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// Mistakes of operators, and what time does to checkpoints: each lane concerned stops before it writes anything, says
// what to do, and goes on when that is done; the other lanes are not disturbed. docs/operations.md has an entry for
// each.

// mistake is one case: a partition, what happens to it while the ingests are stopped, and what follows.
type mistake struct {
	name      string
	topic     string
	partition int32
	// spoil is given what the partition's last owner committed, and returns what is committed in its place.
	spoil func(m *misuse, at int64, k token) (int64, string)
	// refused is how the lane's error must go on after its place, and remedy another part of it. Empty: the lane
	// carries on by itself.
	refused, remedy string
	// entry is the heading of docs/operations.md that a refusal is explained under.
	entry string
	// logged is what the lane says of it in ingest's log; empty: anything.
	logged string
}

const (
	refusal  = "the writer refuses the lane: lane %s/%d: "
	anew     = "with empty metadata"
	unclean  = 5 // rows that a forged crash left unsettled
	ownTable = "projects/sandbox/datasets/waybill/tables/"
)

// Headings of docs/operations.md.
const (
	writtenEntry = "### `checkpoint was written for …`"
	corruptEntry = "### `open.checkpoint: checkpoint is corrupt`"
	goneEntry    = "### `write stream … is gone`"
	fewerEntry   = "### `write stream … holds N rows, but the checkpoint … counts M`"
	routingEntry = "### `the routing changed (fingerprint …`"
	removedEntry = "### `TOPIC/P holds offsets …, so records … are gone`"
)

// asIs leaves a partition alone.
func asIs(_ *misuse, at int64, k token) (int64, string) { return at, k.String() }

// forge commits the checkpoint that change makes, at its own position.
func forge(change func(*token)) func(*misuse, int64, token) (int64, string) {
	return func(_ *misuse, _ int64, k token) (int64, string) {
		change(&k)
		return int64(k.position), k.String()
	}
}

func crash(k *token) { *k = k.crashed(unclean) }

func TestMistakes(t *testing.T) {
	t.Parallel()
	d, s := stack.DeliveryTopic, stack.StockTopic
	m := newMisuse(t, stack.Config{DeliveryPartitions: 12, StockPartitions: 3})
	m.up()
	m.run([]mistake{
		{name: "nothing is wrong", topic: d, partition: 0, spoil: asIs},
		{
			name: "reset to the same offset", topic: d, partition: 1,
			spoil: func(_ *misuse, at int64, _ token) (int64, string) { return at, "" },
		},
		{name: "crashed", topic: d, partition: 2, spoil: forge(crash)},
		{
			name: "of another partition", topic: d, partition: 3, entry: writtenEntry,
			refused: `checkpoint was written for partition "2", but the lane opens partition "3"`, remedy: anew,
			spoil: func(_ *misuse, at int64, k token) (int64, string) { k.partition = 2; return at, k.String() },
		},
		{
			name: "of another topic", topic: d, partition: 4, entry: writtenEntry,
			refused: `checkpoint was written for topic "orders", but the lane opens topic "` + d + `"`, remedy: anew,
			spoil: forge(func(k *token) { k.topic = "orders" }),
		},
		{
			name: "of another cluster", topic: d, partition: 5, entry: writtenEntry,
			refused: `checkpoint was written for cluster "staging", but the lane opens cluster "waybill-sandbox"`,
			remedy:  anew,
			spoil:   forge(func(k *token) { k.cluster = "staging" }),
		},
		{
			name: "of another position", topic: d, partition: 6, entry: writtenEntry,
			refused: `checkpoint was written for position "`, remedy: anew,
			spoil: func(_ *misuse, at int64, k token) (int64, string) { return at - 1, k.String() },
		},
		{
			name: "of another table", topic: d, partition: 7, entry: goneEntry,
			refused: "write stream " + ownTable + "elsewhere/streams/", remedy: anew,
			spoil: forge(func(k *token) { crash(k); k.table = ownTable + "elsewhere" }),
		},
		{
			name: "altered", topic: d, partition: 8, entry: corruptEntry,
			refused: "open.checkpoint: checkpoint is corrupt",
			remedy:  anew, spoil: func(_ *misuse, at int64, k token) (int64, string) {
				b := []byte(k.String())
				b[len(b)/2] ^= 1
				return at, string(b)
			},
		},
		{
			name: "cut short", topic: d, partition: 9, entry: corruptEntry,
			refused: "open.checkpoint: checkpoint is cut short",
			remedy:  "offset.metadata.max.bytes", spoil: func(_ *misuse, at int64, k token) (int64, string) {
				s := k.String()
				return at, s[:len(s)/2&^3]
			},
		},
		{
			name: "metadata of another consumer", topic: d, partition: 10, entry: corruptEntry,
			refused: "open.checkpoint: checkpoint is corrupt", remedy: anew,
			spoil: func(_ *misuse, at int64, _ token) (int64, string) { return at, "committed by loader-3 at 12:00" },
		},
		{
			name: "fewer rows than settled", topic: d, partition: 11, entry: fewerEntry,
			refused: "write stream " + ownTable + "delivery_events/streams/",
			remedy:  "rows that were settled are missing",
			spoil:   forge(func(k *token) { k.flags &^= clean; k.rows += 3 }),
		},
		// The configuration below routes the topic otherwise: fatal only where rows are to be dropped.
		{name: "routing changed after a clean stop", topic: s, partition: 0, spoil: asIs},
		{
			name: "routing changed after a crash", topic: s, partition: 1, spoil: forge(crash), entry: routingEntry,
			refused: "the routing changed (fingerprint ", remedy: "run ingest with the old routing",
		},
	}, func() { m.reconfigure("builtin: stock.v1", "builtin: stock.v1\n    ignore: [nobody.sends.this]") })
	// Some dead letters, for their metrics.
	m.produce(d, 100, events.Config{Size: 4000, TruncatedEvery: 10, UnknownTypeEvery: -1})
	m.verified()
	m.documented()
}

func TestTimePasses(t *testing.T) {
	t.Parallel()
	d, s := stack.DeliveryTopic, stack.StockTopic
	m := newMisuse(t, stack.Config{DeliveryPartitions: 4, StockPartitions: 4})
	// Another consumer has carried the partition so far, and committed offsets without a checkpoint.
	const migrated, taken = 3, 7
	m.commit(s, migrated, taken, "")
	m.up()
	m.run([]mistake{
		{name: "expired while stopped", topic: d, partition: 0, spoil: asIs},
		{
			name: "expired after a crash", topic: d, partition: 1, spoil: forge(crash), entry: goneEntry,
			refused: "write stream " + ownTable + "delivery_events/streams/", remedy: "is gone (it expired",
		},
		{
			name: "retention after a clean stop", topic: d, partition: 2,
			spoil: func(m *misuse, at int64, k token) (int64, string) {
				m.truncate(d, 2, at)
				return at, k.String()
			},
		},
		{name: "removed while stopped", topic: s, partition: 0, spoil: asIs},
		{
			name: "removed after a crash", topic: s, partition: 1, spoil: forge(crash), entry: goneEntry,
			refused: "write stream " + ownTable + "physical_stock_events/streams/",
			remedy:  "physical_stock_events was deleted",
		},
		{name: "carried over from another consumer", topic: s, partition: migrated, spoil: asIs},
	}, func() {
		m.fault("bigquery", map[string]any{"kind": "clock_jump", "delay": "80h"})
		m.deleteTable("physical_stock_events")
	})
	rows := m.rows("delivery_events")
	for p := range int32(4) {
		m.exactly(rows, d, p, 0)
	}
	// The rows of the deleted table are gone with it; those that came later are there once.
	rows = m.rows("physical_stock_events")
	for _, p := range []int32{0, 1, migrated} {
		m.exactly(rows, s, p, m.stopped[s][p])
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	d := stack.DeliveryTopic
	m := newMisuse(t, stack.Config{DeliveryPartitions: 3, StockPartitions: 1})
	m.up()
	m.run([]mistake{
		{
			name: "rows were to be dropped", topic: d, partition: 0, entry: removedEntry, refused: d +
				"/0 holds offsets ",
			remedy: "counting over the gap would drop others",
			spoil: func(m *misuse, at int64, k token) (int64, string) {
				m.truncate(d, 0, at-unclean+2)
				crash(&k)
				return int64(k.position), k.String()
			},
		},
		{
			name: "nothing was to be dropped", topic: d, partition: 1,
			logged: "records at the position are gone; the lane goes on elsewhere",
			spoil: func(m *misuse, at int64, _ token) (int64, string) {
				m.truncate(d, 1, at)
				return at - 2, "" // before what is left: the lane goes on at the oldest record
			},
		},
		{name: "nothing happened", topic: d, partition: 2, spoil: asIs},
	}, nil)
	rows := m.rows("delivery_events")
	for p := range int32(3) {
		m.exactly(rows, d, p, 0)
	}
}

// misuse is a stack whose commits a test changes.
type misuse struct {
	*world
	admin *kadm.Client
	// stopped is what was committed, by topic and partition, when ingest stopped.
	stopped map[string]map[int32]int64
}

func newMisuse(t *testing.T, config stack.Config) *misuse {
	t.Helper()
	m := &misuse{world: prepared(t, config), stopped: map[string]map[int32]int64{}}
	m.upSandbox()
	var err error
	if m.log, err = m.Log(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.log.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(m.Endpoints.Kafka))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	m.admin = kadm.NewClient(client)
	m.load()
	return m
}

// load gives every partition records.
func (m *misuse) load() {
	m.t.Helper()
	m.produce(stack.DeliveryTopic, 60*int64(m.Config.DeliveryPartitions), events.Config{})
	m.produce(stack.StockTopic, 60*int64(m.Config.StockPartitions), events.Config{})
}

func (m *misuse) up() {
	m.t.Helper()
	if err := m.UpServices(m.ctx); err != nil {
		m.t.Fatal(err)
	}
}

// run settles everything, stops ingest, spoils the partitions, brings more records, and sees what becomes of them.
func (m *misuse) run(cases []mistake, meanwhile func()) {
	t := m.t
	t.Helper()
	m.settled()
	ingest := m.Ingests[0]
	m.stop(ingest)
	committed, err := m.admin.FetchOffsets(m.ctx, stack.Group)
	if err != nil {
		t.Fatal(err)
	}
	changed, original := kadm.Offsets{}, map[string]int64{}
	for _, c := range cases {
		o, ok := committed.Lookup(c.topic, c.partition)
		if !ok || o.At < 2*unclean {
			t.Fatalf("%s: %s/%d has committed %d: too few records to spoil", c.name, c.topic, c.partition, o.At)
		}
		at, metadata := c.spoil(m, o.At, parseToken(t, o.Metadata))
		original[c.name] = o.At
		changed.AddOffset(c.topic, c.partition, at, -1)
		offset := changed[c.topic][c.partition]
		offset.Metadata = metadata
		changed[c.topic][c.partition] = offset
		if m.stopped[c.topic] == nil {
			m.stopped[c.topic] = map[int32]int64{}
		}
		m.stopped[c.topic][c.partition] = o.At
	}
	if err := m.admin.CommitAllOffsets(m.ctx, stack.Group, changed); err != nil {
		t.Fatal(err)
	}
	before := m.counts()
	if meanwhile != nil {
		before = nil // tables may go
		meanwhile()
	}
	m.load()
	m.restart(ingest)

	// Everybody who can goes on; the others say why they do not.
	after := kadm.Offsets{}
	for _, c := range cases {
		if c.refused == "" {
			m.until(c.name+": the lane goes on", func() error { return m.caughtUp(c.topic, c.partition) })
			if !m.logHas(ingest, c.logged) {
				t.Errorf("%s: the log of ingest does not say %q", c.name, c.logged)
			}
			continue
		}
		m.until(c.name+": the lane is refused", func() error { return m.refusedAs(ingest, &c) })
		if !strings.Contains(m.manual(), "\n"+c.entry+"\n") {
			t.Errorf("%s: docs/operations.md has no %q", c.name, c.entry)
		}
		if !m.logHas(ingest, "lane is refused and needs an operator") {
			t.Errorf("%s: the log of ingest does not say so", c.name)
		}
		after.AddOffset(c.topic, c.partition, original[c.name], -1)
	}
	now := m.counts()
	for _, c := range cases {
		if key := place(c.topic, c.partition); c.refused != "" && before != nil && now[key] != before[key] {
			t.Errorf("%s: %d rows were written although the lane is refused", c.name, now[key]-before[key])
		}
	}

	// The advice: commit an offset with empty metadata. All rows up to where the lane had been are in the table, and
	// nothing beyond.
	m.stop(ingest)
	if len(after) > 0 {
		if err := m.admin.CommitAllOffsets(m.ctx, stack.Group, after); err != nil {
			t.Fatal(err)
		}
	}
	m.restart(ingest)
	m.settled()
	for _, l := range m.lanes(ingest) {
		if l.LastError != "" || l.State != "open" {
			t.Errorf("lane %s/%d is %s after the advice was followed: %s", l.Topic, l.Partition, l.State, l.LastError)
		}
	}
}

func (m *misuse) refusedAs(ingest *stack.Service, c *mistake) error {
	for _, l := range m.lanes(ingest) {
		if l.Topic != c.topic || l.Partition != c.partition {
			continue
		}
		text := strings.TrimPrefix(l.LastError, fmt.Sprintf(refusal, c.topic, c.partition))
		if l.State != "refused" || !strings.HasPrefix(text, c.refused) || !strings.Contains(text, c.remedy) {
			return fmt.Errorf("the lane is %s: %q, want refused: %q … %q", l.State, l.LastError, c.refused, c.remedy)
		}
		if n := m.metric(ingest, "waybill_ingest_lane_refused", "topic", c.topic, "partition",
			fmt.Sprint(c.partition)); n != 1 {
			return fmt.Errorf("waybill_ingest_lane_refused is %v", n)
		}
		return nil
	}
	return fmt.Errorf("no lane of %s/%d", c.topic, c.partition)
}
