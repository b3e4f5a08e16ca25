package contract_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// orderRow is what a record of an order says beside itself.
type orderRow struct {
	eventID, itemType, customer string
	id, placed                  int64
	timed                       bool // the event has its time
}

// want lays down the row of an order, field by field with protobuf's own library.
func (w orderRow) want(r *record.Record, now int64) []byte {
	var row []byte
	text := func(to []byte, n protowire.Number, v string) []byte {
		return protowire.AppendString(protowire.AppendTag(to, n, protowire.BytesType), v)
	}
	number := func(to []byte, n protowire.Number, v int64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(to, n, protowire.VarintType), uint64(v))
	}
	row = text(row, 1, w.eventID)
	row = text(row, 2, w.itemType[strings.LastIndexByte(w.itemType, '.')+1:])
	row = text(row, 3, w.itemType)
	if w.timed && r.Value != nil {
		row = number(row, 4, w.placed*1000)
	}
	row = number(row, 5, now)
	row = text(row, 6, "v7")
	row = text(row, 7, r.Topic)
	row = number(row, 8, int64(r.Partition))
	row = number(row, 9, r.Offset)
	if r.TimestampMicros != -1 {
		row = number(row, 10, r.TimestampMicros)
	}
	if r.Key != nil {
		row = text(row, 11, string(r.Key))
	}
	for _, h := range r.Headers {
		header := text(nil, 1, string(h.Key))
		if h.Value != nil {
			header = text(header, 2, string(h.Value))
		}
		row = text(row, 12, string(header))
	}
	if r.Value != nil {
		payload := number(number(nil, 1, w.id), 2, w.placed*1000)
		payload = text(payload, 4, string(text(nil, 1, w.customer)))
		row = text(row, 16, string(payload))
	}
	return protowire.AppendBytes([]byte{0x0a}, row)
}

// Whatever the lengths of what is in front of the payload, and however much room there is: a row is as protobuf's own
// library lays it down, behind the rows that are there already.
func TestRowsInAnyRoom(t *testing.T) {
	fields := map[bool]*contract.Topic{}
	for _, taken := range []bool{true, false} {
		fields[taken] = load(t, order(func(c *contract.Config) {
			c.Types, c.TopicVersion, c.Tombstones = []string{"*"}, "v7", "row"
			if !taken {
				c.EventID, c.EventTime = "", contract.EventTime{}
			}
		})).Topic("orders")
	}
	rapid.Check(t, func(t *rapid.T) {
		taken := rapid.Bool().Draw(t, "id and time of the payload")
		topic := fields[taken].Fork()
		// Numbers of every length; times within BigQuery's range.
		number := func(name string) int64 {
			return rapid.Int64Min(0).Draw(t, name) >> rapid.IntRange(0, 62).Draw(t, name+" shift")
		}
		micros := func(name string) int64 {
			return min(number(name), 253_402_300_799_999_999) * rapid.SampledFrom([]int64{1, 1, 1, -1}).Draw(t, name+
				" sign") / 8
		}
		text := rapid.Map(rapid.IntRange(0, 300), func(n int) string { return strings.Repeat("x", n) })
		var rows, want []byte
		for i := range rapid.IntRange(1, 20).Draw(t, "records") {
			itemType := "shop." + rapid.SampledFrom([]string{"A", "Order", strings.Repeat("B", 200)}).Draw(t, "type")
			id, placed, name := number("id"), micros("placed")/1000, text.Draw(t, "name")
			value := binary.AppendVarint(binary.AppendVarint(nil, id), placed)
			value = append(binary.AppendVarint(append(value, 0), int64(len(name))), name...)
			r := record.Record{
				Topic: "orders", Partition: rapid.Int32Range(0, 200).Draw(t, "partition"), Offset: number("offset"),
				TimestampMicros: micros("timestamp"), Value: value, Headers: []record.Header{
					{Key: []byte("item_type_name"), Value: []byte(itemType)},
				},
			}
			if i > 0 && rapid.Bool().Draw(t, "next") {
				r.Offset = int64(9_990 + i)
			}
			if rapid.Bool().Draw(t, "keyed") {
				r.Key = []byte(text.Draw(t, "key"))
			}
			if rapid.IntRange(0, 4).Draw(t, "tombstone") == 0 {
				r.Value = nil
			}
			if rapid.IntRange(0, 4).Draw(t, "traced") == 0 {
				r.Headers = append(r.Headers, record.Header{Key: []byte("trace")},
					record.Header{Key: []byte("span"), Value: []byte(name)})
			}
			if rapid.Bool().Draw(t, "room") {
				rows = append(make([]byte, 0, len(rows)+rapid.IntRange(0, 2000).Draw(t, "bytes of room")), rows...)
			}
			now, before := number("now"), len(rows)
			m := topic.Match(&r)
			var err error
			if rows, err = m.Contract.AppendRow(rows, &r, m, now); err != nil {
				t.Fatal(err)
			}
			identity := fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset)
			if taken && r.Value != nil {
				identity = fmt.Sprint(id)
			}
			want = append(want, orderRow{identity, itemType, name, id, placed, taken}.want(&r, now)...)
			if !bytes.Equal(rows, want) {
				t.Fatalf("record %d: got %x\nwant %x", i, rows[before:], want[before:])
			}
			// One that is refused leaves the others alone.
			r.Value = []byte{1}
			if rows, err = m.Contract.AppendRow(rows, &r, m, now); err == nil || !bytes.Equal(rows, want) {
				t.Fatalf("record %d, cut: %v, got %x\nwant %x", i, err, rows, want)
			}
		}
	})
}
