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
				t.Fatalf("round %d: %d senders and %d readers at work", round, running("send"), running("(*reading).run"))
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
			if running("send") != 0 || running("(*reading).run") != 0 || running("receive") != 1 {
				t.Errorf("round %d: %d senders and %d readers at rest", round, running("send"), running("(*reading).run"))
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
