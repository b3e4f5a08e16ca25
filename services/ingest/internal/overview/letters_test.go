package overview

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

func letter(offset int64, reason, itemType, field string, at int) lane.DeadLetter {
	return lane.DeadLetter{
		Record: &record.Record{
			Topic: "orders", Partition: 3, Offset: offset, Value: []byte(strings.Repeat("0123456789", 20)),
			Headers: []record.Header{
				{Key: []byte("type"), Value: []byte("an older one")},
				{Key: []byte("type"), Value: []byte(itemType)},
			},
		},
		Reason: reason, Contract: "orders.v1", Err: field + " is no number", Field: field, Byte: at,
	}
}

// Dead letters are counted by what they have in common, with the bytes around the fault of one of them.
func TestLettersByKind(t *testing.T) {
	l := &Letters{TypeHeaders: []string{"type"}}
	now := time.Unix(1_800_000_000, 0)
	l.Count(now, []lane.DeadLetter{
		letter(7, "undecodable", "order.Placed", "items[3].total", 100),
		letter(8, "undecodable", "order.Placed", "items[14].total", 90),
		letter(9, "refused", "order.Placed", "", -1),
	})
	l.Count(now.Add(30*time.Minute), []lane.DeadLetter{letter(99, "refused", "order.Placed", "", 1<<20)})
	counts := l.List(now.Add(61 * time.Minute))
	if len(counts) != 2 {
		t.Fatalf("%v", counts)
	}
	for _, c := range counts {
		s := c.GetSample()
		switch c.GetReason() {
		case "undecodable":
			if c.GetField() != "items[].total" || c.GetCount() != 2 || c.GetHour() != 0 ||
				c.GetType() != "order.Placed" ||
				s.GetOffset() != 7 || s.GetByte() != 100 || s.GetExcerptAt() != 68 || len(s.GetExcerpt()) != excerpt ||
				s.GetExcerpt()[0] != '8' {
				t.Errorf("%v", c)
			}
		case "refused":
			if c.GetCount() != 2 || c.GetHour() != 1 || s.Byte != nil || s.GetExcerptAt() != 0 || s.GetOffset() != 9 ||
				c.GetLast().AsTime().Sub(c.GetFirst().AsTime()) != 30*time.Minute {
				t.Errorf("%v", c)
			}
		}
	}
	if n := l.Hour(now.Add(10*time.Minute), []string{"orders"}); n == 0 {
		t.Error("none within the hour")
	}
}

// Types are foreign text: there are not more kinds than are good for a process.
func TestKindsOfLettersAreBounded(t *testing.T) {
	var l Letters
	l.TypeHeaders = []string{"type"}
	for i := range 10 * mostKinds {
		l.Count(time.Now(), []lane.DeadLetter{letter(int64(i), "unknown_type", fmt.Sprint("type ", i), "", -1)})
	}
	counts := l.List(time.Now())
	if len(counts) != mostKinds+1 {
		t.Errorf("%d kinds", len(counts))
	}
	var sum uint64
	for _, c := range counts {
		sum += c.GetCount()
	}
	if sum != 10*mostKinds {
		t.Errorf("%d letters of %d are counted", sum, 10*mostKinds)
	}
	var none *Letters
	if none.Hour(time.Now(), []string{"orders"}) != 0 {
		t.Error("nobody counts, and there are some")
	}
}
