package contract_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// A contract that has seen other records lays a record down, or refuses it, as one that has seen none.
func TestWhatRepeatsIsLaidDownAlike(t *testing.T) {
	topic := load(t, order(func(c *contract.Config) { c.Types, c.TopicVersion, c.EventID = []string{"*"}, "v7", "" })).Topic("orders")
	rapid.Check(t, func(t *rapid.T) {
		old := topic.Fork()
		text := rapid.SampledFrom([][]byte{nil, {}, []byte("a"), []byte("trace"), []byte("shop.Order"), []byte("\xff"), bytes.Repeat([]byte("x"), 200)})
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
				headers = append(slices.Clip(headers), record.Header{Key: []byte("item_type_name"), Value: text.Draw(t, "type")})
			case 3:
				headers = append([]record.Header{}, headers...)
				if len(headers) > 0 {
					headers[len(headers)-1].Value = text.Draw(t, "last value")
				}
			}
			r := record.Record{
				Topic: rapid.SampledFrom([]string{"orders", "orders-2"}).Draw(t, "topic"), Partition: rapid.Int32Range(0, 2).Draw(t, "partition"),
				Offset: rapid.Int64Min(0).Draw(t, "offset"), Key: text.Draw(t, "key"), Value: []byte("\x0e\x06\x00\x02a"), Headers: headers,
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
