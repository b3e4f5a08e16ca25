package verify_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/verify"
)

func TestNothingIsOff(t *testing.T) {
	l := newLab(t).fill()
	report := l.verify()
	dead := len(l.letters)
	want := verify.Totals{
		Events: count, Rows: int64(count - dead), DeadLetters: int64(dead),
		Sampled: int64(count - dead),
	}
	if report.Totals != want || len(report.Offences) != 0 || dead == 0 {
		t.Fatalf("got %+v\nwant %+v\n%v", report.Totals, want, report.Offences)
	}
	var out strings.Builder
	if err := report.Print(&out); err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("\nverified: events %d, rows %d, missing 0, duplicates 0, dead letters %d\n",
		count, count-dead, dead)
	if !strings.HasSuffix(out.String(), line) {
		t.Errorf("printed\n%s", out.String())
	}
}

// Every kind of offence is found, where it is, and no other with it.
func TestOffences(t *testing.T) {
	for name, offence := range map[string]struct {
		kind  verify.Kind
		other verify.Totals // what the totals of offences must be
		do    func(l *lab) (partition int32, offset int64)
	}{
		"missing": {verify.Missing, verify.Totals{Missing: 1}, func(l *lab) (int32, int64) {
			gone := l.rows[50]
			l.rows = slices.Delete(l.rows, 50, 51)
			return gone.Partition, gone.Offset
		}},
		"duplicate in another stream": {verify.Duplicate, verify.Totals{Duplicates: 1}, func(l *lab) (int32, int64) {
			again := *l.rows[50]
			again.Stream = "streams/other"
			l.rows = append(l.rows, &again)
			return again.Partition, again.Offset
		}},
		"both": {verify.Both, verify.Totals{Both: 1}, func(l *lab) (int32, int64) {
			both := l.rows[50]
			i := slices.IndexFunc(l.records, func(r *kgo.Record) bool {
				return r.Partition == both.Partition && r.Offset == both.Offset
			})
			l.letter(l.records[i], nil)
			return both.Partition, both.Offset
		}},
		"phantom row": {verify.Phantom, verify.Totals{Phantom: 1}, func(l *lab) (int32, int64) {
			l.rows = append(l.rows, &row{Topic: topic, Partition: 1, Offset: 1 << 50, Stream: "streams/s1"})
			return 1, 1 << 50
		}},
		"phantom partition": {verify.Phantom, verify.Totals{Phantom: 1}, func(l *lab) (int32, int64) {
			l.rows = append(l.rows, &row{Topic: topic, Partition: 99, Offset: 0, Stream: "streams/s99"})
			return 99, 0
		}},
		"impossible row": {verify.Phantom, verify.Totals{Phantom: 1}, func(l *lab) (int32, int64) {
			l.rows = append(l.rows, &row{Topic: topic, Partition: 1, Offset: -1, Stream: "streams/s1"})
			return 1, -1
		}},
		"phantom dead letter": {verify.Phantom, verify.Totals{Phantom: 1}, func(l *lab) (int32, int64) {
			l.letter(&kgo.Record{Partition: 2, Offset: 5000}, nil)
			return 2, 5000
		}},
		"out of order": {verify.OutOfOrder, verify.Totals{OutOfOrder: 1}, func(l *lab) (int32, int64) {
			first := slices.IndexFunc(l.rows, func(r *row) bool { return r.Partition == 1 })
			second := first + 1 + slices.IndexFunc(l.rows[first+1:], func(r *row) bool { return r.Partition == 1 })
			l.rows[first], l.rows[second] = l.rows[second], l.rows[first]
			return 1, l.rows[second].Offset
		}},
		"dead letter without origin": {verify.Stray, verify.Totals{Stray: 1}, func(l *lab) (int32, int64) {
			l.letter(l.letters[0], map[string]string{"waybill-offset": ""})
			return 0, int64(len(l.letters) - 1)
		}},
		"dead letter without reason": {verify.Stray, verify.Totals{Stray: 1}, func(l *lab) (int32, int64) {
			l.letter(l.letters[0], map[string]string{"waybill-reason": ""})
			return 0, int64(len(l.letters) - 1)
		}},
		"dead letter under a wrong key": {verify.Stray, verify.Totals{Stray: 1}, func(l *lab) (int32, int64) {
			l.letter(l.letters[0], map[string]string{"key": "x"})
			return l.letters[0].Partition, l.letters[0].Offset
		}},
		"dead letter with another value": {verify.Stray, verify.Totals{Stray: 1}, func(l *lab) (int32, int64) {
			l.letter(l.letters[0], map[string]string{"value": "x"})
			return l.letters[0].Partition, l.letters[0].Offset
		}},
		"dead letter with another key of its record": {
			verify.Stray,
			verify.Totals{Stray: 1},
			func(l *lab) (int32, int64) {
				l.letter(l.letters[0], map[string]string{"waybill-key": "x"})
				return l.letters[0].Partition, l.letters[0].Offset
			},
		},
		"dead letter with another header": {verify.Stray, verify.Totals{Stray: 1}, func(l *lab) (int32, int64) {
			l.letter(l.letters[0], map[string]string{"header": "x"})
			return l.letters[0].Partition, l.letters[0].Offset
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t).fill()
			partition, offset := offence.do(l)
			report := l.verify()
			got := report.Totals
			if report.OK() {
				t.Error("the report is fine")
			}
			got.Events, got.Rows, got.DeadLetters, got.Sampled = 0, 0, 0, 0
			if got != offence.other {
				t.Errorf("totals %+v, want %+v", got, offence.other)
			}
			if len(report.Offences) != 1 || report.Offences[0].Kind != offence.kind ||
				report.Offences[0].Partition != partition || report.Offences[0].Offset != offset {
				t.Errorf("want %s at %d/%d, got %v", offence.kind, partition, offset, report.Offences)
			}
			if line := report.Line(); strings.HasPrefix(line, "verified") {
				t.Error(line)
			}
		})
	}
}

// A wrong value of a row is found wherever it is; null is not zero, and zero not null.
func TestContent(t *testing.T) {
	l := newLab(t).fill()
	if report := l.verify(); !report.OK() {
		t.Fatal(report.Offences)
	}
	delivery := func(r *row) map[string]any { return r.content["delivery"].(map[string]any) }
	// present finds a row whose delivery has the field, or has it not.
	find := func(field string, present bool) *row {
		i := slices.IndexFunc(l.rows, func(r *row) bool { _, ok := delivery(r)[field]; return ok == present })
		if i < 0 {
			t.Fatalf("no row with %s present=%v", field, present)
		}
		return l.rows[i]
	}
	change := func(of map[string]any, field string, value any) func() {
		before, had := of[field]
		if value == nil {
			delete(of, field)
		} else {
			of[field] = value
		}
		return func() {
			delete(of, field)
			if had {
				of[field] = before
			}
		}
	}
	first := l.rows[0]
	item := delivery(first)["items"].([]any)[0].(map[string]any)
	address := delivery(first)["billing_address"].(map[string]any)
	for name, broken := range map[string]struct {
		do   func() (undo func())
		says string
	}{
		"null as zero": {func() func() {
			return change(delivery(find("estimated_total_weight", false)), "estimated_total_weight", 0.0)
		}, "has null, the row 0"},
		"null as empty": {
			func() func() { return change(delivery(find("waybill", false)), "waybill", "") }, `has null, the row ""`,
		},
		"null as false": {func() func() {
			return change(delivery(find("estimated_shipping_prices_failed", false)), "estimated_shipping_prices_failed",
				false)
		}, "has null, the row false"},
		"null as record": {func() func() {
			return change(delivery(find("carrier_shipping_cost", false)), "carrier_shipping_cost", map[string]any{})
		}, "has null, the row map[]"},
		"zero as null": {
			func() func() { return change(item["stock_status"].(map[string]any), "not_received", nil) },
			"has false, the row null",
		},
		"record as null":  {func() func() { return change(delivery(first), "order", nil) }, "delivery.order"},
		"string":          {func() func() { return change(address, "city", "Portö") }, "delivery.billing_address.city"},
		"integer":         {func() func() { return change(item, "qnt", 77) }, "delivery.items[0].qnt"},
		"integer as text": {func() func() { return change(item, "qnt", "x") }, "delivery.items[0].qnt"},
		"float": {
			func() func() { return change(item, "price_total", 1e-9) },
			"delivery.items[0].price_total",
		},
		"narrow float": {
			func() func() { return change(delivery(first), "total_taxable_weight", 1e-9) }, "total_taxable_weight",
		},
		"array longer": {func() func() {
			return change(delivery(first), "items", append(slices.Clone(delivery(first)["items"].([]any)), item))
		}, "delivery.items:"},
		"array gone": {func() func() { return change(delivery(first), "items", nil) }, "delivery.items:"},
		"map entry": {func() func() {
			return change(address, "changed_fields", []any{map[string]any{"key": "a", "value": "b"}, 1, 2, 3})
		}, "changed_fields"},
		"unknown column": {
			func() func() { return change(address, "planet", "earth") },
			"delivery.billing_address.planet",
		},
		"event time": {
			func() func() { return change(first.content, "event_time", "2026-11-01T00:00:00.000001Z") }, "event_time",
		},
		"ingest time":   {func() func() { return change(first.content, "ingest_time", nil) }, "ingest_time"},
		"event id":      {func() func() { return change(first.content, "event_id", "x") }, "event_id"},
		"topic version": {func() func() { return change(first.content, "topic_version", nil) }, "topic_version"},
		"event type":    {func() func() { return change(first.content, "event_type", "x") }, "event_type"},
		"key":           {func() func() { return change(first.content, "kafka_key", "eA==") }, "kafka_key"},
		"headers":       {func() func() { return change(first.content, "kafka_headers", []any{}) }, "kafka_headers"},
		"kafka time": {
			func() func() { return change(first.content, "kafka_timestamp", "2026-11-01T00:00:00Z") },
			"kafka_timestamp",
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer broken.do()()
			report := l.verify()
			if report.Different != 1 || len(report.Offences) != 1 ||
				!strings.Contains(report.Offences[0].Detail, broken.says) {
				t.Errorf("different %d, %v; want one that says %q", report.Different, report.Offences, broken.says)
			}
		})
	}
}

// A content that is wrong outside the sample is not looked at: the sample is as large as asked, and depends on the
// seed.
func TestSample(t *testing.T) {
	l := newLab(t).fill()
	report := l.verify(func(c *verify.Config) { c.Sample = 40 })
	if report.Sampled < 30 || report.Sampled > 40 {
		t.Errorf("%d sampled, want 40 less those that are dead letters", report.Sampled)
	}
	if report := l.verify(func(c *verify.Config) { c.Sample = -1 }); report.Sampled != 0 {
		t.Errorf("%d sampled, want none", report.Sampled)
	}
}

func TestIgnored(t *testing.T) {
	l := newLab(t)
	record := func(value []byte, itemType string) {
		l.produce(&kgo.Record{
			Topic: topic, Value: value, Headers: []kgo.RecordHeader{{Key: events.TypeHeader, Value: []byte(itemType)}},
		})
	}
	record([]byte("x"), "a.Boring")
	record(nil, "a.Interesting")
	if report := l.verify(); report.Missing != 2 {
		t.Errorf("%+v", report.Totals)
	}
	report := l.verify(func(c *verify.Config) {
		c.Topics[0].Ignored = []string{"a.Boring"}
		c.Topics[0].IgnoreTombstones = true
	})
	if !report.OK() || report.Ignored != 2 {
		t.Errorf("%+v", report.Totals)
	}
}

// A record without value and key, that has been a dead letter before, is recognised in its dead letter.
func TestDeadLetterOfALetter(t *testing.T) {
	l := newLab(t)
	record := &kgo.Record{Topic: topic, Headers: []kgo.RecordHeader{
		{Key: "waybill-offset", Value: []byte("77")},
		{Key: "x", Value: nil},
		{Key: events.TypeHeader, Value: []byte("a.B")},
	}}
	l.produce(record)
	l.letter(record, nil)
	if report := l.verify(); !report.OK() || report.DeadLetters != 1 {
		t.Errorf("%+v %v", report.Totals, report.Offences)
	}
}

// Aborted records and markers are no records, also at the very end of a partition.
func TestTransactions(t *testing.T) {
	l := newLab(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(l.cluster.Seeds()...), kgo.TransactionalID("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if err := client.ProduceSync(l.ctx, &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.EndTransaction(l.ctx, commit); err != nil {
			t.Fatal(err)
		}
	}
	if report := l.verify(); report.Events != 10 || report.Missing != 10 {
		t.Errorf("%+v", report.Totals)
	}
}

// Rows of records that retention has removed are neither compared nor blamed.
func TestRetention(t *testing.T) {
	l := newLab(t).fill()
	if err := l.cluster.Fake().DeleteRecords(topic, 0, 3); err != nil {
		t.Fatal(err)
	}
	expired := int64(0)
	for _, r := range l.records {
		if r.Partition == 0 && r.Offset < 3 {
			expired++
		}
	}
	report := l.verify()
	if !report.OK() || report.Expired != expired || report.Events != count-expired {
		t.Errorf("%+v, want %d expired", report.Totals, expired)
	}
}

func TestCannotCompare(t *testing.T) {
	l := newLab(t)
	config := l.config()
	config.Topics = slices.Clone(config.Topics)
	config.Topics[0].Name = "nowhere"
	if _, err := verify.Run(l.ctx, config); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a topic that does not exist: %v", err)
	}
	config = l.config()
	config.Admin = "http://127.0.0.1:1"
	if _, err := verify.Run(l.ctx, config); err == nil || !strings.Contains(err.Error(), "admin port") {
		t.Errorf("no sandbox: %v", err)
	}
}

// The first few offences of a kind are named, and all are counted.
func TestOffencesAreBounded(t *testing.T) {
	l := newLab(t).fill()
	l.rows = nil
	report := l.verify()
	if report.Missing != int64(count-len(l.letters)) || len(report.Offences) != 5 {
		t.Errorf("%d missing, %d named", report.Missing, len(report.Offences))
	}
	keys := map[int64]bool{}
	for _, o := range report.Offences {
		keys[int64(o.Partition)<<32|o.Offset] = true
	}
	if len(slices.Collect(maps.Keys(keys))) != 5 {
		t.Errorf("named twice: %v", report.Offences)
	}
}
