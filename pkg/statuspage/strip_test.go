package statuspage

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// The strip is the last 24 hours, whatever came before or has not come yet.
func TestStripOfADay(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	at := func(hours int) *timestamppb.Timestamp {
		return timestamppb.New(now.Add(time.Duration(hours) * time.Hour))
	}
	got := stripAt(now, []*adminv1.StateInterval{
		{From: at(-30), Until: at(-25), State: adminv1.State_STATE_FRESH},
		{From: at(-25), Until: at(-18), State: adminv1.State_STATE_STALE, Cause: "quota"},
		{From: at(-6), Until: at(1), State: adminv1.State_STATE_FRESH},
	})
	if len(got) != 2 || got[0].Left != "0.00" || got[0].Width != "25.00" || got[0].State != "stale" ||
		got[1].Left != "75.00" || got[1].Width != "25.00" {
		t.Errorf("%+v", got)
	}
}

// The bytes of a sample are escaped, and the one at fault is marked.
func TestMarkedByte(t *testing.T) {
	at := int32(11)
	got := marked(&adminv1.LetterSample{Excerpt: []byte("01234567<b>\x00"), ExcerptAt: 1, Byte: &at})
	if len(got) != 2 || got[1].At != "     9" || got[1].Text != "&lt;b<mark>&gt;</mark>." ||
		got[1].Hex != "3c 62 <mark>3e</mark> 00 " {
		t.Errorf("%+v", got)
	}
	at = 13
	got = marked(&adminv1.LetterSample{Excerpt: []byte("01234567<b>\x00"), ExcerptAt: 1, Byte: &at})
	if len(got) != 2 || got[1].Hex != "3c 62 3e 00 <mark>end</mark> " || strings.Contains(string(got[0].Hex), "mark") {
		t.Errorf("a fault at the end: %+v", got)
	}
	if marked(&adminv1.LetterSample{}) != nil {
		t.Error("something of nothing")
	}
}
