package pauses

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func paused(scope string, at time.Time) Entry {
	return Entry{
		Paused: true, Scope: scope, At: at, Until: at.Add(time.Hour), By: "alice", Reason: "a \"why\"",
		Request: "r",
	}
}

func TestWordsComeBackAsTheyWere(t *testing.T) {
	for _, w := range []Entry{
		paused(ScopeLane, noon), {Scope: ScopeTable + "orders", At: noon, By: "b", Request: "x"},
	} {
		got, err := parse(w.Encode())
		if err != nil || got != w {
			t.Errorf("%q: %+v, %v", w.Encode(), got, err)
		}
	}
	// The longest that the API lets in fits into what brokers take, 4096 bytes unless that was changed.
	long := Entry{
		Paused: true, Scope: ScopeTable + strings.Repeat("t", 1024), At: time.Now(), Until: time.Now(),
		By: strings.Repeat("\"", 400), Reason: strings.Repeat("\\", 500), Request: strings.Repeat("x", 64),
	}
	if n := len(long.Encode()); n > 4096 {
		t.Errorf("an entry has %d bytes", n)
	}
	for text, want := range map[string]string{
		"": "does not begin", "other 1": "does not begin", prefix + "{": "unexpected", prefix + `{"at": 1}`: "Time",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Each partition has an entry of its own; one that has none, since it is new, takes the newest one of its topic.
func TestTheWordOfALane(t *testing.T) {
	resumed := Entry{Scope: ScopeTopic, At: noon.Add(2 * time.Minute), Request: "s"}
	entries := newEntries(map[Lane]Entry{
		{"a", 0}: paused(ScopeTopic, noon), {"a", 1}: {Scope: ScopeLane, At: noon.Add(time.Minute)},
		{"b", 0}: paused(ScopeLane, noon),
		{"c", 0}: paused(ScopeTable+"t", noon), {"c", 1}: resumed,
	})
	for lane, want := range map[Lane]bool{
		{"a", 0}: true, {"a", 1}: false, {"a", 2}: true, {"b", 0}: true, {"b", 1}: false, {"c", 0}: true,
		{"c", 2}: false,
		{"d", 0}: false,
	} {
		if _, got := entries.Of(lane, noon.Add(5*time.Minute)); got != want {
			t.Errorf("%v: paused %v", lane, got)
		}
		if _, late := entries.Of(lane, noon.Add(time.Hour)); late {
			t.Errorf("%v is paused after the end", lane)
		}
	}
	if diff := cmp.Diff([]Lane{{"a", 0}, {"b", 0}, {"c", 0}}, entries.Paused(noon)); diff != "" {
		t.Error(diff)
	}
	if got := entries.Requested("s"); len(got) != 1 || got[Lane{"c", 1}] != resumed {
		t.Errorf("%v", got)
	}
	var none *Entries
	if _, got := none.Of(Lane{"a", 0}, noon); got || none.Paused(noon) != nil || len(none.Requested("r")) != 0 {
		t.Error("nothing is paused before anything is known")
	}
}

// kept is what a follower reads in a test.
type kept struct {
	mu      sync.Mutex
	entries map[Lane]string
	err     error
	reads   int
}

func (k *kept) read(context.Context) (map[Lane]string, error) {
	k.mu.Lock()
	k.reads++
	k.mu.Unlock()
	time.Sleep(10 * time.Millisecond)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.entries, k.err
}

// becomes is what is read from now on.
func (k *kept) becomes(entries map[Lane]string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.entries, k.err = entries, err
}

func (k *kept) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reads
}

func TestFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logtest.Log{}
		entries := map[Lane]string{{"a", 0}: paused(ScopeLane, time.Now()).Encode(), {"a", 1}: "of somebody else"}
		k := &kept{entries: entries}
		var applied atomic.Pointer[Entries]
		f := &Follower{Read: k.read, Apply: func(w *Entries) { applied.Store(w) }, Log: log.Logger()}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); f.Run(ctx) }()
		// Of who asks while a read ends, another read may be left over.
		rest := func() { time.Sleep(every / 10); synctest.Wait() }
		first, err := f.Fresh(ctx)
		if _, ok := first.Of(Lane{"a", 0}, time.Now()); err != nil || !ok {
			t.Fatalf("%v, %v", first, err)
		}
		if rest(); applied.Load() != f.Entries() {
			t.Error("what is known is not what was applied")
		}
		if said := log.Take(); !strings.Contains(said, "a/1") {
			t.Errorf("log: %s", said)
		}
		// Whoever asks while a read is under way gets the next one: what it returns was kept after the call.
		reads := k.count()
		before := make(chan *Entries)
		go func() { w, _ := f.Fresh(ctx); before <- w }()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		second, _ := f.Fresh(ctx)
		a := <-before
		if rest(); a == second || k.count() < reads+2 || k.count() > reads+3 {
			t.Errorf("%d reads for two that ask", k.count()-reads)
		}
		known := f.Entries()
		// While nothing can be read, what is known holds.
		k.becomes(entries, errors.New("away"))
		short, cancel := context.WithTimeout(ctx, time.Second)
		if _, err := f.Fresh(short); err == nil || !strings.Contains(err.Error(), "away") {
			t.Errorf("%v", err)
		}
		cancel()
		if f.Entries() != known || !strings.Contains(log.Take(), "away") {
			t.Error("what is known is gone, or nothing was said")
		}
		// A refusal does not pass by itself: nobody waits for it.
		k.becomes(entries, fmt.Errorf("%w: no right", ErrRefused))
		if _, err := f.Fresh(ctx); !errors.Is(err, ErrRefused) {
			t.Errorf("%v", err)
		}
		k.becomes(nil, nil)
		time.Sleep(2 * every)
		synctest.Wait()
		if _, ok := f.Entries().Of(Lane{"a", 0}, time.Now()); ok {
			t.Error("a pause that is gone holds")
		}
		stop()
		<-done
	})
}
