package pauses

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func paused(scope string, at time.Time) Word {
	return Word{Paused: true, Scope: scope, At: at, Until: at.Add(time.Hour), By: "alice", Reason: "a \"why\"", Request: "r"}
}

func TestWordsComeBackAsTheyWere(t *testing.T) {
	for _, w := range []Word{paused(ScopeLane, noon), {Scope: ScopeTable + "orders", At: noon, By: "b", Request: "x"}} {
		got, err := Parse(w.Encode())
		if err != nil || got != w {
			t.Errorf("%q: %+v, %v", w.Encode(), got, err)
		}
	}
	// The longest that the API lets in fits into what brokers take, 4096 bytes unless that was changed.
	long := Word{
		Paused: true, Scope: ScopeTable + strings.Repeat("t", 1024), At: time.Now(), Until: time.Now(),
		By: strings.Repeat("\"", 400), Reason: strings.Repeat("\\", 500), Request: strings.Repeat("x", 64),
	}
	if n := len(long.Encode()); n > 4096 {
		t.Errorf("a word has %d bytes", n)
	}
	for text, want := range map[string]string{
		"": "does not begin", "other 1": "does not begin", prefix + "{": "unexpected", prefix + `{"at": 1}`: "Time",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Each partition has a word of its own; one that has none, since it is new, takes the newest one of its topic.
func TestTheWordOfALane(t *testing.T) {
	resumed := Word{Scope: ScopeTopic, At: noon.Add(2 * time.Minute), Request: "s"}
	words := NewWords(map[Lane]Word{
		{"a", 0}: paused(ScopeTopic, noon), {"a", 1}: {Scope: ScopeLane, At: noon.Add(time.Minute)},
		{"b", 0}: paused(ScopeLane, noon),
		{"c", 0}: paused(ScopeTable+"t", noon), {"c", 1}: resumed,
	})
	for lane, want := range map[Lane]bool{
		{"a", 0}: true, {"a", 1}: false, {"a", 2}: true, {"b", 0}: true, {"b", 1}: false, {"c", 0}: true, {"c", 2}: false,
		{"d", 0}: false,
	} {
		if _, got := words.Of(lane, noon.Add(5*time.Minute)); got != want {
			t.Errorf("%v: paused %v", lane, got)
		}
		if _, late := words.Of(lane, noon.Add(time.Hour)); late {
			t.Errorf("%v is paused after the end", lane)
		}
	}
	if diff := cmp.Diff([]Lane{{"a", 0}, {"b", 0}, {"c", 0}}, words.Paused(noon)); diff != "" {
		t.Error(diff)
	}
	if got := words.Requested("s"); len(got) != 1 || got[Lane{"c", 1}] != resumed {
		t.Errorf("%v", got)
	}
	var none *Words
	if _, got := none.Of(Lane{"a", 0}, noon); got || none.Paused(noon) != nil || len(none.Requested("r")) != 0 {
		t.Error("nothing is paused before anything is known")
	}
}

// kept is what a follower reads in a test.
type kept struct {
	words map[Lane]string
	err   error
	reads int
}

func (k *kept) read(context.Context) (map[Lane]string, error) {
	k.reads++
	time.Sleep(10 * time.Millisecond)
	return k.words, k.err
}

func TestFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logtest.Log{}
		k := &kept{words: map[Lane]string{{"a", 0}: paused(ScopeLane, time.Now()).Encode(), {"a", 1}: "of somebody else"}}
		var applied *Words
		f := &Follower{Read: k.read, Apply: func(w *Words) { applied = w }, Log: log.Logger()}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); f.Run(ctx) }()
		words, err := f.Fresh(ctx)
		if _, ok := words.Of(Lane{"a", 0}, time.Now()); err != nil || !ok || applied != words || f.Words() != words {
			t.Fatalf("%v, %v", words, err)
		}
		if said := log.Take(); !strings.Contains(said, "a/1") {
			t.Errorf("log: %s", said)
		}
		// Whoever asks while a read is under way gets the next one: what it returns was kept after the call.
		reads := k.reads
		first := make(chan *Words)
		go func() { w, _ := f.Fresh(ctx); first <- w }()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		second, _ := f.Fresh(ctx)
		if a := <-first; a == second || k.reads != reads+2 {
			t.Errorf("%d reads for two that ask", k.reads-reads)
		}
		// While nothing can be read, what is known holds.
		k.err = errors.New("away")
		short, cancel := context.WithTimeout(ctx, time.Second)
		if _, err := f.Fresh(short); err == nil || !strings.Contains(err.Error(), "away") {
			t.Errorf("%v", err)
		}
		cancel()
		if f.Words() != second || !strings.Contains(log.Take(), "away") {
			t.Error("what is known is gone, or nothing was said")
		}
		// A refusal does not pass by itself: nobody waits for it.
		k.err = fmt.Errorf("%w: no right", ErrRefused)
		if _, err := f.Fresh(ctx); !errors.Is(err, ErrRefused) {
			t.Errorf("%v", err)
		}
		k.err, k.words = nil, nil
		time.Sleep(2 * Every)
		if _, ok := f.Words().Of(Lane{"a", 0}, time.Now()); ok {
			t.Error("a pause that is gone holds")
		}
		stop()
		<-done
	})
}
