package contract_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// A contract that has seen other records lays a record down, or refuses it, as one that has seen none.
func TestWhatRepeatsIsLaidDownAlike(t *testing.T) {
	topic := load(t, order(func(c *contract.Config) {
		c.Types, c.TopicVersion, c.EventID = []string{"*"}, "v7", ""
	})).Topic(
		"orders")
	rapid.Check(t, func(t *rapid.T) {
		old := topic.Fork()
		text := rapid.SampledFrom([][]byte{
			nil, {}, []byte("a"), []byte("trace"), []byte("shop.Order"), []byte("\xff"), bytes.Repeat([]byte("x"), 200),
		})
		headers := []record.Header{}
		for i := range rapid.IntRange(1, 40).Draw(t, "records") {
			switch rapid.IntRange(0, 3).Draw(t, "change") {
			case 0: // the headers of the record before
			case 1:
				headers = nil
				for range rapid.IntRange(0, 3).Draw(t, "headers") {
					headers = append(headers, record.Header{Key: text.Draw(t, "key"), Value: text.Draw(t, "value")})
				}
			case 2:
				headers = append(slices.Clip(headers), record.Header{
					Key:   []byte("item_type_name"),
					Value: text.Draw(t, "type"),
				})
			case 3:
				headers = append([]record.Header{}, headers...)
				if len(headers) > 0 {
					headers[len(headers)-1].Value = text.Draw(t, "last value")
				}
			}
			r := record.Record{
				Topic:     rapid.SampledFrom([]string{"orders", "orders-2"}).Draw(t, "topic"),
				Partition: rapid.Int32Range(0, 2).Draw(t, "partition"), Offset: rapid.Int64Min(0).Draw(t, "offset"),
				Key: text.Draw(t, "key"), Value: []byte("\x0e\x06\x00\x02a"),
				Headers: headers,
			}
			row := func(topic *contract.Topic) string {
				out, err := topic.Match(&r).Contract.AppendRow(nil, &r, topic.Match(&r), now)
				return fmt.Sprintf("%x %v", out, err)
			}
			if got, want := row(old), row(topic.Fork()); got != want {
				t.Fatalf("record %d: got %s\nwant %s", i, got, want)
			}
		}
	})
}

// The types that a memo knows are bounded, and the rows of those that it forgot are the same.
func TestManyTypes(t *testing.T) {
	topic := load(t, order(func(c *contract.Config) { c.Types = []string{"*"} })).Topic("orders")
	old := topic.Fork()
	for i := range 400 {
		r := typed(fmt.Sprintf("shop.Order%d", i*7%200))
		r.Value = []byte("\x0e\x06\x00\x02a")
		if got, want := appendRow(t, old, r), appendRow(t, topic.Fork(), r); !bytes.Equal(got, want) {
			t.Fatalf("type %s: got %x, want %x", r.Headers[0].Value, got, want)
		}
	}
}

// A topic that has seen other records says of a record what one says that has seen none, and lays it down alike, also
// when other records were matched in between.
func TestWhatRepeatsIsMatchedAlike(t *testing.T) {
	topic := load(t,
		order(func(c *contract.Config) {
			c.Types, c.Ignore, c.Tombstones = []string{"shop.Order", "a.*"}, []string{"noise.*"}, "row"
		}),
		order(func(c *contract.Config) { c.Types, c.Table, c.Tombstones = []string{"shop.*", "b"}, "others", "row" }),
	).Topic("orders")
	type matched struct {
		record record.Record
		match  contract.Match
	}
	says := func(m contract.Match) string {
		name := ""
		if m.Contract != nil {
			name = m.Contract.Name()
		}
		return fmt.Sprintf("%v %d %s %q %v %q %v", m.Action, m.Route, name, m.Reason, m.Unmatched, m.ItemType(),
			m.ItemType() == nil)
	}
	rapid.Check(t, func(t *rapid.T) {
		old := topic.Fork()
		types := rapid.SampledFrom([][]byte{
			nil,
			{},
			[]byte("shop.Order"), []byte("shop.Other"), []byte("a.B"), []byte("b"), []byte("noise.X"), []byte("none"),
			[]byte("shop.\xff"),
		})
		key := rapid.SampledFrom([]string{"item_type_name", "item_type_name", "trace", "", "\xff"})
		var headers []kmsg.Header
		var open []matched
		var b *record.Batch
		var before *record.Record
		for i := range rapid.IntRange(1, 25).Draw(t, "records") {
			if rapid.IntRange(0, 2).Draw(t, "change") == 0 {
				headers = nil
				for range rapid.IntRange(0, 3).Draw(t, "headers") {
					headers = append(headers, kmsg.Header{Key: key.Draw(t, "key"), Value: types.Draw(t, "value")})
				}
			}
			k := kmsg.Record{OffsetDelta: int32(i), Value: []byte("\x0e\x06\x00\x02a"), Headers: headers}
			if rapid.IntRange(0, 9).Draw(t, "tombstone") == 0 {
				k.Value = nil
			}
			k.Length = int32(len(k.AppendTo(nil)) - 1)
			if b == nil || rapid.IntRange(0, 5).Draw(t, "batch") == 0 { // records of one batch share their headers
				b, before = record.NewBatch(record.Batch{Topic: "orders", Millis: -1}), nil
			}
			p := len(b.Raw)
			b.Raw = k.AppendTo(slices.Clone(b.Raw))
			var r record.Record
			if _, err := b.Read(p, &r, before); err != nil {
				t.Fatal(err)
			}
			before = &r
			got := *old.Match(&r)
			if want := *topic.Fork().Match(&r); says(got) != says(want) {
				t.Fatalf("record %d: %s, want %s", i, says(got), says(want))
			}
			if got.Action == contract.Row {
				open = append(open, matched{r, got})
			}
			for len(open) > 0 && rapid.IntRange(0, 3).Draw(t, "row") > 0 {
				at := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				one := open[at]
				open = slices.Delete(open, at, at+1)
				fresh := topic.Fork().Match(&one.record)
				row, err := one.match.Contract.AppendRow(nil, &one.record, &one.match, now)
				want, wantErr := fresh.Contract.AppendRow(nil, &one.record, fresh, now)
				if !bytes.Equal(row, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
					t.Fatalf("record %d: %x %v\nwant %x %v", one.record.Offset, row, err, want, wantErr)
				}
			}
		}
	})
}
