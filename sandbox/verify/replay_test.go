package verify_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/sandbox/verify"
)

// again produces the record of a letter once more, as a replay does, and gives it a row.
func (l *lab) again(of *kgo.Record, change func(*kgo.Record)) *kgo.Record {
	l.t.Helper()
	record := &kgo.Record{
		Topic: topic, Key: of.Key, Value: of.Value, Partition: of.Partition,
		Headers: append(slices.Clone(of.Headers), kgo.RecordHeader{
			Key: "waybill-replay-of", Value: fmt.Appendf(nil, "%s/%d/%d", topic, of.Partition, of.Offset),
		}),
	}
	if change != nil {
		change(record)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(l.cluster.Seeds()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		l.t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(l.ctx, record).FirstErr(); err != nil {
		l.t.Fatal(err)
	}
	l.rows = append(l.rows, &row{
		Topic: topic, Partition: record.Partition, Offset: record.Offset,
		Stream: fmt.Sprintf("streams/s%d", record.Partition),
	})
	return record
}

// mark says of a letter that its record is at an offset again.
func (l *lab) mark(of *kgo.Record, at int64) {
	l.t.Helper()
	l.produce(&kgo.Record{
		Topic: topic + ".dead-letter", Key: fmt.Appendf(nil, "%s/%d/%d", topic, of.Partition, of.Offset),
		Value: []byte{}, Headers: []kgo.RecordHeader{
			{Key: "waybill-version", Value: []byte("2/v")}, {
				Key: "waybill-replayed", Value: fmt.Appendf(nil, "%s/%d/%d", topic, of.Partition, at),
			},
		},
	})
}

// A replayed record and its mark are as they should be, and each way in which they can be off is found.
func TestReplays(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(l *lab)
		want verify.Totals
	}{
		"right": {
			func(l *lab) { l.mark(l.letters[0], l.again(l.letters[0], nil).Offset) }, verify.Totals{Replayed: 1},
		},
		"a mark alone":   {func(l *lab) { l.mark(l.letters[0], 1<<40) }, verify.Totals{Phantom: 1}},
		"a record alone": {func(l *lab) { l.again(l.letters[0], nil) }, verify.Totals{Replayed: 1, Missing: 1}},
		"a mark for another offset": {
			func(l *lab) { l.mark(l.letters[0], l.again(l.letters[0], nil).Offset+1) },
			verify.Totals{Replayed: 1, Phantom: 1},
		},
		"twice": {func(l *lab) {
			l.mark(l.letters[0], l.again(l.letters[0], nil).Offset)
			l.mark(l.letters[0], l.again(l.letters[0], nil).Offset)
		}, verify.Totals{Replayed: 2, Duplicates: 2}},
		"another value": {func(l *lab) {
			l.mark(l.letters[0], l.again(l.letters[0], func(r *kgo.Record) { r.Value = []byte("x") }).Offset)
		}, verify.Totals{Replayed: 1, Stray: 1}},
		"of a record to come": {func(l *lab) {
			l.again(&kgo.Record{Partition: 1, Offset: 1 << 40, Headers: l.letters[0].Headers}, nil)
		}, verify.Totals{Stray: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t).fill()
			c.do(l)
			report := l.verify(func(c *verify.Config) { c.Sample = -1 })
			got := report.Totals
			got.Events, got.Rows, got.DeadLetters = 0, 0, 0
			if got != c.want {
				t.Errorf("totals %+v, want %+v\n%v", got, c.want, report.Offences)
			}
		})
	}
}
