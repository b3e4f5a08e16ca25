package lane

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// running counts the goroutines in a function of this package.
func running(function string) int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "lane."+function+"(")
}

// A lane at rest has neither a sender nor a reader, and both are there again for the next record, which waits for
// nothing.
func TestRestingLane(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.start(nil)
		for round := range 3 {
			w.produceRows("a", 5)
			synctest.Wait()
			if running("send") != 1 || running("(*reading).run") != 1 {
				t.Fatalf("round %d: %d senders and %d readers at work", round, running("send"),
					running("(*reading).run"))
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if s := p.lane.Status(); s.Position != w.log.end() {
				t.Errorf("round %d: a second later the position is %d of %d", round, s.Position, w.log.end())
			}
			if running("send") != 1 || running("(*reading).run") != 1 {
				t.Errorf("round %d: gone too soon", round)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if running("send") != 0 || running("(*reading).run") != 0 || running("(*call).receive") != 1 {
				t.Errorf("round %d: %d senders and %d readers at rest", round, running("send"),
					running("(*reading).run"))
			}
		}
		p.end()
		w.verify()
		if p.member.readers != 0 {
			t.Error("the source's reader is not closed")
		}
		checkBudget(t, p)
	})
}

// A drain closes the source's reader at once: what is fetched already is of no use while the window settles.
func TestDrainClosesTheReader(t *testing.T) {
	for name, rest := range map[string]time.Duration{"at work": time.Millisecond, "at rest": time.Minute} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				p := w.start(func(p *process) { p.member.slow = time.Second })
				w.produceRows("a", 1)
				w.settle()
				w.model.mu.Lock()
				w.model.latency = 5 * time.Second
				w.model.mu.Unlock()
				w.produceRows("b", 1)
				time.Sleep(rest)
				p.stop()
				synctest.Wait()
				p.member.mu.Lock()
				readers := p.member.readers
				p.member.mu.Unlock()
				if readers != 0 {
					t.Errorf("%d readers of a lane that drains", readers)
				}
				p.end()
				w.verify()
			})
		})
	}
}

// An owner rests only where nothing but what it waits for can happen.
func TestWhatKeepsAnOwnerFromRest(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(c *call)
		rests   bool
	}{
		"nothing":                  {func(*call) {}, true},
		"the reader is at work":    {func(c *call) { c.newRecords = nil }, false},
		"the sender is at work":    {func(c *call) { c.sending = true }, false},
		"a batch lingers":          {func(c *call) { c.armed = time.Now() }, false},
		"a batch is not settled":   {func(c *call) { c.sends(t, "a") }, false},
		"a message is to be sent":  {func(c *call) { c.control.push(durable(1)) }, false},
		"a barrier is not durable": {func(c *call) { c.ledger.raised(1, Pair{1, "c"}) }, false},
		"a commit is under way": {func(c *call) {
			c.ledger.raised(1, Pair{1, "c"})
			c.ledger.await()
		}, false},
		"dead letters are produced": {func(c *call) { c.lettering = true }, false},
		"a refusal is to be confirmed": {
			func(c *call) { c.letters = append(c.letters, letterJob{batch: new(batch)}) }, false,
		},
	} {
		c := quietCall(t)
		c.newRecords = make(chan struct{})
		test.prepare(c)
		if got := c.resting(); got != test.rests {
			t.Errorf("%s: rests %v", name, got)
		}
	}
}

// A lane at rest waits in little room, and gets all that may happen then. A batch that lingers for longer than the
// reader and the sender stay, and a commit that takes longer, are awaited as ever.
func TestOwnerAtRest(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.start(func(p *process) { p.lane.Config.Linger, p.member.slow = 10*time.Second, 7*time.Second })
		w.model.mu.Lock()
		w.model.latency = time.Second
		w.model.mu.Unlock()
		owner := func() string {
			synctest.Wait()
			switch rests, waits := running("(*call).rest"), running("(*call).wait"); {
			case rests == 1 && waits == 0:
				return "rests"
			case rests == 0 && waits == 1:
				return "waits"
			}
			return "neither"
		}
		w.produceRows("a", 1)
		w.settle()
		time.Sleep(time.Minute)
		if got := owner(); got != "rests" {
			t.Errorf("a minute later the owner %s", got)
		}
		w.produceRows("a", 1)
		w.produceRows("b", 1) // another table: its barrier takes a commit
		time.Sleep(5 * time.Second)
		if got := owner(); got != "waits" {
			t.Errorf("with something under way the owner %s", got)
		}
		w.settle()
		time.Sleep(time.Minute)
		if got := owner(); got != "rests" {
			t.Errorf("a minute after that the owner %s", got)
		}
		p.end()
		w.verify()
	})
}

// A sender is started for something to send, and for nothing else.
func TestNoSenderForNothing(t *testing.T) {
	c := quietCall(t)
	stopped := make(chan struct{})
	close(stopped) // so that the wait is over at once
	if over, err := c.wait(stopped); over || err != nil || c.sending {
		t.Errorf("over %v, %v; a sender runs: %v", over, err, c.sending)
	}
}
