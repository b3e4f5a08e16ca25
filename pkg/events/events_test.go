package events

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// What is logged at info and above is remembered with the lane it is about, and goes to the log as before.
func TestRingRemembersTheLog(t *testing.T) {
	var out bytes.Buffer
	ring := New("ingest-1", 0)
	log := slog.New(ring.Handler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})))
	lane := log.With("group", "g", "topic", "orders", "partition", int32(3))
	lane.Info("lane open", "writer", "w-1", "position", int64(7))
	lane.Debug("a detail")
	log.Warn("no writer serves", "error", "bad\xff text")
	log.WithGroup("more").Info("in a group", "a", 1)

	if strings.Contains(out.String(), "lane open") || !strings.Contains(out.String(), "no writer serves") {
		t.Errorf("the log has %q", out.String())
	}
	all := ring.List(Filter{}, 10)
	if len(all) != 3 {
		t.Fatalf("%d events, want 3", len(all))
	}
	if e := all[0]; e.GetText() != "more.a=1" || e.GetNumber() != 2 {
		t.Errorf("the newest is %v", e)
	}
	if e := all[1]; e.GetText() != "error=bad\uFFFD text" || e.GetLevel() != "warn" || e.Partition != nil {
		t.Errorf("the warning is %v", e)
	}
	e := all[2]
	if e.GetKind() != "lane open" || e.GetTopic() != "orders" || e.GetPartition() != 3 ||
		e.GetText() != "writer=w-1 position=7" || e.GetProcess() != "ingest-1" {
		t.Errorf("the lane's is %v", e)
	}
	three, four := int32(3), int32(4)
	for _, c := range []struct {
		filter Filter
		want   int
	}{
		{Filter{Topic: "orders"}, 1},
		{Filter{Topic: "orders", Partition: &three}, 1},
		{Filter{Topic: "orders", Partition: &four}, 0},
		{Filter{Text: "WRITER"}, 2},
		{Filter{Text: "nothing"}, 0},
	} {
		if n := len(ring.List(c.filter, 10)); n != c.want {
			t.Errorf("%+v: %d events, want %d", c.filter, n, c.want)
		}
	}
}

// The ring is bounded in number and each event in size, and forgets the oldest.
func TestRingIsBounded(t *testing.T) {
	ring := New("p", 4)
	log := slog.New(ring.Handler(slog.DiscardHandler))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				log.Info("x", "long", strings.Repeat("é", mostText))
			}
		})
	}
	all.Wait()
	log.Info("last")
	got := ring.List(Filter{}, 100)
	if len(got) != 4 || got[0].GetKind() != "last" || got[3].GetNumber() != 37 {
		t.Fatalf("remembered %d events, from %v", len(got), got[0])
	}
	if n := len(got[1].GetText()); n > mostText+10 {
		t.Errorf("an event has %d bytes", n)
	}
	if n := len(ring.List(Filter{}, 2)); n != 2 {
		t.Errorf("asked for 2: %d", n)
	}
}
