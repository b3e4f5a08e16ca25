package source

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

var errRefused = fmt.Errorf("%w: %w", lane.ErrFenced, sarama.ErrIllegalGeneration)

// A refusal, or a doubt, that comes when another generation is there already says nothing of that one: what was on its
// way is sent again in it, and no other one is asked for.
func TestLateWordOnAGenerationThatIsOver(t *testing.T) {
	for name, word := range map[string]error{
		"refused":     errRefused,
		"no response": fmt.Errorf("%w: cut", errDoubtful),
	} {
		t.Run(name, func(t *testing.T) {
			c := &coordinator{reply: func(n int, _ topicPartition) error {
				if n == 0 {
					return word
				}
				return nil
			}}
			c.run(t, func(k *committer) {
				k.grace = time.Minute
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer cancel()
				reported := make(chan error, 1)
				go func() { reported <- k.now(ctx, tpA, lane.Pair{Position: 1}, unfenced(t)) }()
				synctest.Wait() // it is on its way
				k.advance(member{id: "m", generation: 3})
				if err := <-reported; err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour)
				if requested := c.requested(); len(requested) != 0 || len(c.requests()) != 2 {
					t.Errorf("sent %v, asked %v for another generation", c.requests(), requested)
				}
			})
		})
	}
}

// What bars a generation does so until there is another one, whatever is said of one before it.
func TestBar(t *testing.T) {
	k := newCommitter(nil, nil, time.Hour, time.Hour, nil, NewMetrics(nil))
	old, now := member{id: "m", generation: 2}, member{id: "m", generation: 3}
	k.advance(now)
	if k.bar(old, errRefused) || k.barred != nil {
		t.Error("a generation that is over bars the one that there is")
	}
	if k.bar(member{id: "n", generation: 3}, errRefused) || k.barred != nil {
		t.Error("another member bars us")
	}
	if !k.bar(now, errRefused) || !errors.Is(k.barred, errRefused) {
		t.Errorf("not barred: %v", k.barred)
	}
	if k.advance(member{id: "m", generation: 4}); k.barred != nil {
		t.Errorf("barred in the next one: %v", k.barred)
	}
}

// How long a refused generation may last is what the configuration says; without an end it lasts for ever.
func TestPatienceWithARefusedGeneration(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Minute} {
		c := &coordinator{reply: func(int, topicPartition) error { return errRefused }}
		c.run(t, func(k *committer) {
			k.grace = grace
			k.later(tpA, lane.Pair{Position: 1}, unfenced(t))
			time.Sleep(24 * time.Hour)
			if requested := len(c.requested()); requested != min(1, int(grace)) {
				t.Errorf("grace %v: asked %d times for another generation", grace, requested)
			}
			k.advance(member{id: "m", generation: 9})
		})
	}
}

// Patience ends with the generation that it was had with: neither the next one nor one in doubt, for which another is
// asked already, is given up for it.
func TestPatienceEndsWithItsGeneration(t *testing.T) {
	doubt := fmt.Errorf("%w: cut", errDoubtful)
	for name, test := range map[string]struct {
		barred error
		asks   bool
	}{"goes on": {nil, false}, "in doubt": {doubt, false}, "refused": {errRefused, true}} {
		requested := 0
		k := newCommitter(nil, func(error) { requested++ }, time.Hour, time.Hour, nil, NewMetrics(nil))
		k.confirmed.Store(true)
		k.barred = test.barred
		if k.impatient(); (requested == 1) != test.asks || k.confirmed.Load() == test.asks {
			t.Errorf("%s: asked %d times, confirmed %v", name, requested, k.confirmed.Load())
		}
	}
}

// That the claims end with their generation is the last word on what waits where that generation is refused; where it
// is not, what waits is committed.
func TestConclude(t *testing.T) {
	for _, barred := range []error{nil, errRefused} {
		k := newCommitter(nil, nil, time.Hour, time.Hour, nil, NewMetrics(nil))
		var reported []error
		k.later(tpA, lane.Pair{Position: 1}, func(err error) { reported = append(reported, err) })
		k.barred = barred
		k.conclude()
		if barred == nil && (len(reported) != 0 || len(k.pending) != 1) {
			t.Errorf("what waits was given up: %v", reported)
		}
		if barred != nil && (len(reported) != 1 || len(k.pending) != 0 || !errors.Is(reported[0], lane.ErrFenced)) {
			t.Errorf("reported %v, %d wait", reported, len(k.pending))
		}
	}
}

// A lane is told of the first reason for which its claim is over.
func TestTheFirstReasonRetires(t *testing.T) {
	k := newCommitter(nil, nil, time.Hour, time.Hour, nil, NewMetrics(nil))
	first := errors.New("first")
	k.retire(tpA, first)
	k.retire(tpA, errors.New("second"))
	if err := k.now(t.Context(), tpA, lane.Pair{Position: 1}, unfenced(t)); !errors.Is(err, first) {
		t.Errorf("reported %v", err)
	}
	k.admit(tpA)
	if err := k.closed(tpA); err != nil {
		t.Errorf("the next claim: %v", err)
	}
}

// Where no other generation is to come, the refusal of one pair is the last word on all of its request: those that
// would be sent again are told so, too.
func TestRefusalIsTheLastWordOnTheWholeRequest(t *testing.T) {
	for range 20 { // in whatever order they are looked at
		reported := map[topicPartition]chan error{tpA: make(chan error, 1), tpB: make(chan error, 1)}
		k := newCommitter(func(map[topicPartition]*handed) map[topicPartition]error {
			return map[topicPartition]error{tpA: errRefused, tpB: errors.New("coordinator is loading")}
		}, nil, time.Hour, time.Hour, new(logtest.Log).Logger(), NewMetrics(nil))
		for tp, confirmed := range reported {
			k.add(tp, &handed{
				Pair: lane.Pair{Position: 1}, confirmed: []chan<- error{confirmed},
				fenced: func(error) {},
			})
		}
		k.conclude()
		k.round()
		for tp, confirmed := range reported {
			if len(confirmed) != 1 {
				t.Fatalf("%v was told nothing", tp)
			}
			mustFenced(t, <-confirmed)
		}
	}
}
