package lane

import (
	"testing"
	"time"
)

// Durable is said after the commit, not before: while a commit takes a second, no row is in a stream that no committed
// checkpoint names.
func TestDurableFollowsTheCommit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.produceRows("a", 3)
		p := w.start(func(p *process) { p.member.slow, p.member.tick = time.Second, time.Hour })
		time.Sleep(10 * time.Second)
		if n := len(w.store.rows("a")); n != 3 {
			t.Errorf("%d of 3 rows are written", n)
		}
		for _, broken := range w.store.broken {
			t.Error(broken)
		}
		p.end()
	})
}
