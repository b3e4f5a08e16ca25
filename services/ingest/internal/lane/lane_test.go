package lane

import (
	"testing"
	"time"
)

func TestHappyPath(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.produceRows("a", 500)
		w.log.produce("ignore", "")
		w.log.hole()
		w.produceRows("b", 3)
		p := w.start(nil)
		w.settle()
		for range 100 {
			w.log.produce("a", "later")
			time.Sleep(30 * time.Millisecond)
		}
		w.settle()
		s := p.lane.Status()
		if s.State != Open || s.Rows != 603 || s.Position != w.log.end() || s.Lag != 0 || s.WindowBatches != 0 {
			t.Errorf("status %+v", s)
		}
		p.end()
		w.verify()
		if used := p.lane.Budget.Used(); used != 0 {
			t.Errorf("budget: %d bytes left", used)
		}
	})
}
