package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
)

// putLetter is a dead letter to be: the record and what the headers say.
type putLetter struct {
	offset    int64
	partition int32
	value     []byte
	itemType  string
	own       map[string]string
}

// letters writes dead letters as Kafka holds them.
func put(t *testing.T, c *kfake.Cluster, letters ...putLetter) {
	t.Helper()
	p, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, l := range letters {
		r := &kgo.Record{Topic: deliveryTopic + ".dead-letter", Value: l.value}
		r.Key = fmt.Appendf(nil, "%s/%d/%d", deliveryTopic, l.partition, l.offset)
		add := func(key, value string) {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
		}
		add("item_type_name", l.itemType)
		add("waybill-version", "2/v1")
		for key, value := range map[string]string{
			"waybill-reason": "undecodable", "waybill-error": "e", "waybill-contract": "delivery.v6",
			"waybill-topic":     deliveryTopic,
			"waybill-partition": fmt.Sprint(l.partition), "waybill-offset": fmt.Sprint(l.offset),
			"waybill-time": "2026-01-02T03:04:05.000006Z", "waybill-timestamp": fmt.Sprint(time.Now().UnixMilli()),
		} {
			if other, ok := l.own[key]; ok {
				value = other
			}
			add(key, value)
		}
		for _, key := range []string{"waybill-value-left-out", "waybill-key-left-out", "waybill-headers-left-out"} {
			if size, ok := l.own[key]; ok {
				add(key, size)
			}
		}
		if err := p.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func lettersOf(t *testing.T, c *kfake.Cluster, change func(*Config)) *DeadLetters {
	t.Helper()
	config := testConfig(c, "127.0.0.1:1")
	if change != nil {
		change(&config)
	}
	d, err := OpenDeadLetters(t.Context(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// held counts the committed records of the delivery topic by where they were first.
func held(t *testing.T, c *kfake.Cluster, n int) map[string]int {
	t.Helper()
	k, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics(deliveryTopic),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	found := map[string]int{}
	for got := 0; got < n; {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		for _, r := range k.PollFetches(ctx).Records() {
			got++
			i := slices.IndexFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == "waybill-replay-of" })
			found[string(r.Headers[i].Value)]++
		}
		cancel()
	}
	return found
}

// Each obstacle has its cause and remedy, takes its letter alone out, and what can be replayed is.
func TestReplayObstacles(t *testing.T) {
	types, payloads := deliveries(t)
	c := newCluster(t, kfake.SeedTopics(2, deliveryTopic), kfake.SeedTopics(1, deliveryTopic+".dead-letter"))
	good := func(offset int64, own map[string]string) putLetter {
		return putLetter{offset: offset, value: payloads[0], itemType: types[0], own: own}
	}
	cut := good(2, nil)
	cut.value = cut.value[:7]
	unknown := good(3, nil)
	unknown.itemType = "somebody.else"
	empty := good(5, map[string]string{"waybill-value-left-out": "12345678"})
	empty.value = nil
	nameless := good(9, map[string]string{"waybill-headers-left-out": "2/99000", "waybill-key-left-out": "12"})
	tombstone := good(7, nil)
	tombstone.value = nil
	put(t, c, good(1, nil), cut, unknown, good(4, map[string]string{"waybill-timestamp": "1"}), empty,
		good(6, map[string]string{"waybill-partition": "2"}), tombstone, good(8, nil), good(1, nil), nameless)
	d := lettersOf(t, c, nil)
	want := map[string]int{
		"would fail again": 2, "older than the topic's retention": 1,
		"the dead-letter topic did not take all of the record": 2,
		"the topic has no such partition":                      1, "ignored by the contract now": 1,
	}
	check := func(r deadletter.Replayed, err error, produced, already int) {
		t.Helper()
		got := map[string]int{}
		for _, s := range r.Skipped {
			got[s.Cause] = s.Count
			if s.Remedy == "" || s.Detail == "" || s.First.Topic != deliveryTopic {
				t.Errorf("%+v", s)
			}
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) || r.Produced != produced || r.Already != already ||
			r.Selected != 9 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	dry, err := d.Replay(t.Context(), deadletter.Selection{}, deadletter.ReplayOptions{DryRun: true, Check: true})
	check(dry, err, 2, 0)
	first, err := d.Replay(t.Context(), deadletter.Selection{}, deadletter.ReplayOptions{Check: true})
	check(first, err, 2, 0)
	second, err := d.Replay(t.Context(), deadletter.Selection{}, deadletter.ReplayOptions{Check: true})
	check(second, err, 0, 2)
	if got := held(t, c, 2); got[deliveryTopic+"/0/1"] != 1 || got[deliveryTopic+"/0/8"] != 1 {
		t.Errorf("records: %v", got)
	}
	// Without the check, and with the time of now, all but three go.
	r, err := d.Replay(t.Context(), deadletter.Selection{}, deadletter.ReplayOptions{Now: true})
	if err != nil || r.Produced != 4 || r.Already != 2 || r.NotReplayed() != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	held(t, c, 6)
}

// A replay goes on after faults that pass, and repeats nothing.
func TestReplayRetries(t *testing.T) {
	types, payloads := deliveries(t)
	c := newCluster(t, kfake.SeedTopics(1, deliveryTopic, deliveryTopic+".dead-letter"))
	var letters []putLetter
	for i := range int64(1200) {
		letters = append(letters, putLetter{offset: i, value: payloads[0][:100], itemType: types[0]})
	}
	put(t, c, letters...)
	d := lettersOf(t, c, nil)
	retries := 0
	var refused *kfake.FaultHandle
	r, err := d.Replay(t.Context(), deadletter.Selection{}, deadletter.ReplayOptions{
		Retry: func(error) { retries++ },
		Progress: func(deadletter.Replayed) {
			if refused == nil {
				// The second transaction is refused first for a moment, then for good.
				c.Fault(kfake.Fault{
					Keys: []kmsg.Key{kmsg.Produce}, Topic: deliveryTopic, Err: kerr.NotEnoughReplicas,
					Count: 3,
				})
				refused = c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.InvalidTxnState, Count: 1})
			}
		},
	})
	if err != nil || r.Produced != 1200 || r.Already != 0 || r.Selected != 1200 {
		t.Fatalf("%+v, %v", r, err)
	}
	if retries == 0 || refused.Hits() == 0 {
		t.Errorf("%d retries, %d faults", retries, refused.Hits())
	}
	for place, n := range held(t, c, 1200) {
		if n != 1 {
			t.Errorf("%s is there %d times", place, n)
		}
	}
	if r, err = d.Replay(t.Context(), deadletter.Selection{}, deadletter.ReplayOptions{}); err != nil ||
		r.Produced != 0 ||
		r.Already != 1200 {
		t.Errorf("again: %+v, %v", r, err)
	}
}

func TestReplayLimit(t *testing.T) {
	types, payloads := deliveries(t)
	c := newCluster(t, kfake.SeedTopics(1, deliveryTopic, deliveryTopic+".dead-letter"))
	for i := range int64(5) {
		put(t, c, putLetter{offset: i, value: payloads[0], itemType: types[0]})
	}
	d := lettersOf(t, c, nil)
	for _, want := range []deadletter.Replayed{
		{Produced: 2, More: true}, {Produced: 2, Already: 2, More: true}, {Produced: 1, Already: 4}, {Already: 5},
	} {
		r, err := d.Replay(t.Context(), deadletter.Selection{}, deadletter.ReplayOptions{Limit: 2, Check: true})
		if err != nil || r.Produced != want.Produced || r.Already != want.Already || r.More != want.More {
			t.Errorf("%+v, %v, want %+v", r, err, want)
		}
	}
}

// A group that reads what is not committed would take a record twice.
func TestReplayRefusesReadUncommitted(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, deliveryTopic, deliveryTopic+".dead-letter"))
	d := lettersOf(t, c, func(c *Config) { c.Kafka.Isolation = "read_uncommitted" })
	if _, err := d.Replay(t.Context(), deadletter.Selection{}, deadletter.ReplayOptions{}); err == nil ||
		!strings.Contains(err.Error(), "kafka.isolation") {
		t.Errorf("got %v", err)
	}
	if _, err := d.Replay(t.Context(), deadletter.Selection{}, deadletter.ReplayOptions{DryRun: true}); err != nil {
		t.Errorf("a dry run: %v", err)
	}
}

func TestSelection(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, deliveryTopic), kfake.SeedTopics(1, deliveryTopic+".dead-letter"))
	put(t, c,
		putLetter{offset: 1, itemType: "a.B", own: map[string]string{"waybill-time": "2026-01-01T00:00:00.000000Z"}},
		putLetter{
			offset: 2, itemType: "a.C", own: map[string]string{
				"waybill-reason":   "refused",
				"waybill-contract": "other",
			},
		},
		putLetter{
			offset: 3, partition: 1, itemType: "b.B",
			own: map[string]string{"waybill-time": "2026-02-01T00:00:00.000000Z"},
		},
	)
	d := lettersOf(t, c, nil)
	day := func(m time.Month, day int) time.Time { return time.Date(2026, m, day, 0, 0, 0, 0, time.UTC) }
	for name, tt := range map[string]struct {
		s    deadletter.Selection
		want string
	}{
		"all": {deadletter.Selection{}, "1 2 3"},
		"places": {deadletter.Selection{Places: []deadletter.Place{
			{Topic: deliveryTopic, Partition: 1, Offset: 3}, {Topic: deliveryTopic, Offset: 9},
		}}, "3"},
		"reason":    {deadletter.Selection{Reasons: []string{"refused", "x"}}, "2"},
		"contract":  {deadletter.Selection{Contracts: []string{"delivery.v6"}}, "1 3"},
		"type":      {deadletter.Selection{Types: []string{"a.*"}}, "1 2"},
		"types":     {deadletter.Selection{Types: []string{"a.C", "b.B"}}, "2 3"},
		"partition": {deadletter.Selection{Partitions: []int32{0}}, "1 2"},
		"offsets":   {deadletter.Selection{Offsets: &deadletter.Offsets{First: 2, Last: 3}}, "2 3"},
		"since":     {deadletter.Selection{Since: day(1, 2)}, "2 3"},
		"until":     {deadletter.Selection{Since: day(1, 1), Until: day(2, 1)}, "1 2"},
		"both":      {deadletter.Selection{Types: []string{"a.*"}, Reasons: []string{"undecodable"}}, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			var found []string
			_, err := d.Each(t.Context(), tt.s, func(l *deadletter.Letter, _ string) error {
				found = append(found, fmt.Sprint(l.Record.Offset))
				return nil
			})
			if slices.Sort(found); err != nil || strings.Join(found, " ") != tt.want {
				t.Errorf("%v, %v, want %s", found, err, tt.want)
			}
		})
	}
	n := 0
	if _, err := d.Each(t.Context(), deadletter.Selection{}, func(*deadletter.Letter, string) error {
		n++
		return deadletter.Enough()
	}); err != nil || n != 1 {
		t.Errorf("enough after one: %d, %v", n, err)
	}
	broken := errors.New("broken")
	if _, err := d.Each(t.Context(), deadletter.Selection{}, func(*deadletter.Letter, string) error {
		return broken
	}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
