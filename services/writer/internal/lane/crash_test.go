package lane

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"
)

// topic writes records as text: a letter is a row of the first table, a capital one of the second; u and U cannot be
// decoded, x and X are refused by BigQuery, a dot is of an ignored type.
func topic(text string) *kafka {
	k := &kafka{tables: []string{"events", "stock"}}
	for _, c := range text {
		r := record{kind: 'r'}
		switch {
		case c == '.':
			r.route = -1
		case c >= 'A' && c <= 'Z':
			r.route = 1
			c += 'a' - 'A'
		}
		if c == 'u' || c == 'x' {
			r.kind = byte(c)
		}
		k.records = append(k.records, r)
	}
	return k
}

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// carryOn opens the lane again until the topic is carried to its end.
func carryOn(t failer, g func() *ingest) {
	t.Helper()
	for range 20 {
		err := g().run(context.Background())
		if err == nil {
			return
		}
		if code := status.Code(err); !errors.Is(err, errCrash) && code != codes.Aborted && code != codes.Unavailable {
			t.Fatalf("lane: %v", err)
		}
		time.Sleep(time.Second)
	}
	t.Fatalf("the lane never came to its end")
}

const scenario = "aabAaab.uabAxaaAABaaXabaUaabxxaaBBaa.abA"

// Whoever dies after any message or commit, each row is in its table once.
func TestCrashAtEveryStep(t *testing.T) {
	for _, c := range []struct {
		name   string
		every  int
		zombie time.Duration
		listed int
		// latency of an append: what a dead owner has sent may arrive after its successor has fenced it.
		latency time.Duration
		// writer: the writer dies as well, and another one carries on.
		writer bool
	}{
		{name: "every batch committed", every: 1},
		{name: "no batch committed", every: 1000, listed: 1},
		{name: "the dead one is only paused", every: 3, zombie: 200 * time.Millisecond},
		{name: "the writer dies", every: 2, writer: true},
		{name: "appends on their way outlive their owner", every: 1, latency: 150 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			for steps := 0; ; steps++ {
				crashed := false
				synctest.Test(t, func(t *testing.T) {
					k, q := topic(scenario), newBigQuery(t)
					q.explains, q.listed = k.explains, c.listed
					q.latency = max(c.latency, q.latency)
					w := startWriter(t, &Service{Sink: q})
					defer w.stop()
					first := &ingest{
						kafka: k, client: w.client, batch: 4, window: 3, every: c.every, steps: steps,
						zombie: c.zombie,
					}
					if c.writer {
						first.die = w.stop
						w = startWriter(t, &Service{Sink: q})
						defer w.stop()
					}
					err := first.run(t.Context())
					if crashed = errors.Is(err, errCrash); err != nil && !crashed {
						t.Fatalf("after %d steps: %v", steps, err)
					}
					// The next owner crashes as well, in the middle of its replay.
					second := &ingest{kafka: k, client: w.client, batch: 3, window: 3, every: 2, steps: steps % 13}
					if err := second.run(t.Context()); err != nil && !errors.Is(err, errCrash) &&
						status.Code(err) != codes.Aborted {
						t.Fatalf("after %d steps: %v", steps, err)
					}
					carryOn(t, func() *ingest {
						return &ingest{
							kafka: k, client: w.client, batch: 5, window: 2,
							every: 2, steps: -1,
						}
					})
					if err := k.audit(q); err != nil {
						t.Errorf("crash after %d steps: %v", steps, err)
					}
				})
				if !crashed || t.Failed() {
					if steps < 40 && !t.Failed() {
						t.Errorf("only %d steps", steps)
					}
					return
				}
			}
		})
	}
}

// Random topics, windows, commits, latencies and crashes, owners that overlap: each row once, and never a row that the
// committed checkpoint does not explain.
func TestLaw(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) { lives(t, r, func() []bool { return nil }) })
}

// The same with tables that are at least once, in some lives or in all: nothing is lost, and a table that never was
// stays exactly once.
func TestLawOfMixedDeliveries(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		kinds := []*rapid.Generator[bool]{rapid.Bool(), rapid.Just(true), rapid.Just(false)}
		tables := [2]*rapid.Generator[bool]{
			rapid.SampledFrom(kinds).Draw(r, "first table"), rapid.SampledFrom(kinds).Draw(r, "second table"),
		}
		lives(t, r, func() []bool {
			return []bool{tables[0].Draw(r, "first table repeats"), tables[1].Draw(r, "second table repeats")}
		})
	})
}

// lives plays a topic through some owners that crash and one that does not; repeats draws which tables are at least
// once in each.
func lives(t *testing.T, r *rapid.T, repeats func() []bool) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("aaaaaaabAABux.UX")), 1, 120, -1).Draw(r, "topic")
	listed := rapid.IntRange(0, 2).Draw(r, "listed")
	latency := time.Duration(rapid.SampledFrom([]int{0, 5, 20, 150}).Draw(r, "latency")) * time.Millisecond
	crashes := rapid.IntRange(0, 6).Draw(r, "crashes")
	limits := Limits{
		CheckpointBytes: rapid.SampledFrom([]int{150, 200, 3072}).Draw(r, "checkpoint bytes"),
		RestAfter:       rapid.SampledFrom([]time.Duration{time.Millisecond, time.Hour}).Draw(r, "rest"),
	}
	type life struct {
		steps, batch, window, every int
		zombie                      time.Duration
		repeats                     []bool
	}
	all := make([]life, crashes)
	for i := range all {
		all[i] = life{
			rapid.IntRange(0, 60).Draw(r, "steps"), rapid.IntRange(1, 9).Draw(r, "batch"),
			rapid.IntRange(1, 5).Draw(r, "window"), rapid.IntRange(1, 5).Draw(r, "every"),
			time.Duration(rapid.IntRange(0, 100).Draw(r, "zombie")) * time.Millisecond, repeats(),
		}
	}
	last := repeats()
	var failure error
	synctest.Test(t, func(t *testing.T) {
		// What dead owners have sent to a default stream, which nobody fences, arrives.
		const late = time.Minute
		defer time.Sleep(late)
		k, q := topic(text), newBigQuery(t)
		q.explains, q.listed, q.latency = k.explains, listed, latency
		w := startWriter(t, &Service{Sink: q, Limits: limits})
		defer w.stop()
		over := make(chan struct{})
		running := 0
		for _, l := range all {
			g := &ingest{
				kafka: k, client: w.client, batch: l.batch, window: l.window, every: l.every, steps: l.steps,
				zombie:  l.zombie,
				repeats: l.repeats,
			}
			running++
			go func() {
				_ = g.run(context.Background())
				over <- struct{}{}
			}()
			// The next owner comes while this one still runs, or after it.
			time.Sleep(time.Duration(l.steps) * 3 * time.Millisecond)
		}
		for range running {
			<-over
		}
		defer func() {
			if p := recover(); p != nil {
				failure = fmt.Errorf("%v", p)
			}
		}()
		carryOn(panics{}, func() *ingest {
			return &ingest{kafka: k, client: w.client, batch: 7, window: 4, every: 1, steps: -1, repeats: last}
		})
		time.Sleep(late)
		failure = k.audit(q)
	})
	if failure != nil {
		r.Fatal(failure)
	}
	if t.Failed() {
		r.Fatal("see above")
	}
}

type panics struct{}

func (panics) Helper()                           {}
func (panics) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
