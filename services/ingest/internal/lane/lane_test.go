package lane

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

func checkBudget(t *testing.T, p *process) {
	t.Helper()
	if used := p.lane.Budget.Used(); used != 0 {
		t.Errorf("budget: %d bytes are not given back", used)
	}
}

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
		checkBudget(t, p)
	})
}

// An idle lane sends at once; while a batch is under way the next one lingers.
func TestLinger(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.model.latency = 30 * time.Millisecond
		p := w.start(func(p *process) { p.lane.Config.Linger = 20 * time.Millisecond })
		w.log.produce("a", "warm up")
		w.settle()
		before := p.lane.Status().Rows
		w.log.produce("a", "at once")
		synctest.Wait()
		if s := p.lane.Status(); s.Rows != before+1 || s.WindowBatches != 1 {
			t.Fatalf("an idle lane waits: %+v", s)
		}
		w.log.produce("a", "waits")
		w.log.produce("a", "with this one")
		time.Sleep(19 * time.Millisecond)
		synctest.Wait()
		if s := p.lane.Status(); s.WindowBatches != 1 {
			t.Errorf("sent before the linger is over: %+v", s)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if s := p.lane.Status(); s.WindowBatches != 2 || s.Rows != before+3 {
			t.Errorf("not sent after the linger: %+v", s)
		}
		w.settle()
		w.verify()
	})
}

// Back-pressure: with a writer that settles nothing the window fills up to its bounds and reading stops.
func TestWindowIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.model.latency = time.Hour
		w.model.limits.WindowBytes = 4000
		w.produceRows("a", 5000)
		p := w.start(func(p *process) { p.lane.Config.BatchRows, p.lane.Config.WindowBatches = 20, 16 })
		time.Sleep(time.Minute)
		s := p.lane.Status()
		if s.WindowBytes > 4000 || s.WindowBytes < 3500 || s.WindowBatches > 16 {
			t.Errorf("window %d batches, %d bytes", s.WindowBatches, s.WindowBytes)
		}
		if used := p.lane.Budget.Used(); used > 256<<10 {
			t.Errorf("%d bytes are held by a lane that waits", used)
		}
		p.kill()
		<-p.done
		checkBudget(t, p)
	})
}

// A budget of less than a record still lets everything through, one by one.
func TestTinyBudget(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.produceRows("a", 40)
		w.log.produce("b", strings.Repeat("large ", 2000))
		w.produceRows("a", 10)
		p := w.start(func(p *process) { p.lane.Budget, p.lane.Config.Linger = NewBudget(1000), time.Hour })
		w.settle()
		p.end()
		w.verify()
		checkBudget(t, p)
	})
}

func TestRowLargerThanARequestIsADeadLetter(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.model.limits.BlockBytes = 1000
		w.produceRows("a", 2)
		offset := w.log.produce("a", strings.Repeat("x", 2000)+" refuse")
		w.produceRows("a", 200)
		w.start(nil)
		w.settle()
		w.verify()
		if reason := w.log.reasons[offset]; reason != reasonRefused {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestManyBadRecords(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for range 700 {
			w.log.produce("a", "bad")
		}
		w.produceRows("a", 2)
		p := w.start(nil)
		w.settle()
		w.verify()
		if n := p.lane.Status().DeadLetters; n != 700 {
			t.Errorf("%d dead letters", n)
		}
	})
}

// A stop hands the write streams over: the next owner adopts them, and nothing is dropped or finalized.
func TestCleanHandOver(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.produceRows("a", 50)
		w.produceRows("b", 50)
		p := w.start(nil)
		time.Sleep(5 * time.Millisecond)
		p.end()
		checkBudget(t, p)
		p = w.start(nil)
		w.settle()
		p.end()
		w.verify()
		if w.model.adopted == 0 || len(w.store.streams) != 2 {
			t.Errorf("%d adopted, %d streams", w.model.adopted, len(w.store.streams))
		}
	})
}

func TestWriterDrains(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.start(nil)
		for range 5 {
			produceMix(w)
			time.Sleep(40 * time.Millisecond)
			w.model.drainNow()
		}
		w.settle()
		time.Sleep(time.Second) // a call that settled nothing before its drain backs off
		synctest.Wait()
		w.verify()
		if len(w.store.streams) != 2 {
			t.Errorf("%d streams: a drained lane was not adopted", len(w.store.streams))
		}
		if s := p.lane.Status(); s.State != Open {
			t.Errorf("status %+v", s)
		}
	})
}

// A window that does not settle in time is left to the next owner.
func TestDrainTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.produceRows("a", 5)
		w.model.latency = time.Hour
		p := w.start(nil)
		time.Sleep(time.Second)
		began := time.Now()
		p.end()
		if took := time.Since(began); took != p.lane.Config.DrainTimeout {
			t.Errorf("stopping took %v", took)
		}
		w.model.mu.Lock()
		w.model.latency = 0
		w.model.mu.Unlock()
		w.start(nil)
		w.settle()
		w.verify()
	})
}

// A barrier's commit is slow: Settled of other batches and batches themselves go on meanwhile, and the law holds.
func TestSlowCommits(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.start(func(p *process) { small(p); p.member.slow = 3 * time.Second })
		for range 10 {
			produceMix(w)
			time.Sleep(time.Second)
		}
		w.settle()
		w.verify()
	})
}

// The response to a commit is lost: the lane breaks and opens again from what is committed.
func TestLostCommitResponse(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		produceMix(w)
		commits := 0
		w.start(func(p *process) {
			small(p)
			p.member.commitErr = func() error {
				if commits++; commits%2 == 0 && commits < 20 {
					return errors.New("connection reset")
				}
				return nil
			}
		})
		w.settle()
		w.verify()
	})
}

func TestStartWithoutAPosition(t *testing.T) {
	for reset, want := range map[Reset]int64{Earliest: 2, Latest: 5, None: -1} {
		t.Run(string(reset), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.produceRows("a", 5)
				w.log.truncate(2)
				p := w.start(func(p *process) { p.lane.Config.Reset = reset })
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if len(w.log.history) == 0 {
					if want != -1 {
						t.Fatal("no commit")
					}
					s := p.lane.Status()
					if s.State != Refused || !strings.Contains(s.LastError, "auto_offset_reset") {
						t.Errorf("status %+v", s)
					}
				} else if got := w.log.history[0].Position; got != want {
					t.Errorf("opened at %d, want %d", got, want)
				}
			})
		})
	}
}

// Retention overtakes the position: without rows to drop the lane goes on by policy, else it is refused.
func TestRecordsAreGone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.produceRows("a", 5)
		p := w.start(nil)
		w.settle()
		p.end()
		w.produceRows("a", 5)
		w.log.truncate(7)
		w.start(nil)
		w.settle()
		if rows := w.store.rows("a"); len(rows) != 8 || rows[5] != "7:row 2" {
			t.Errorf("rows %q", rows)
		}
	})
	bubble(t, func(t *testing.T, w *world) {
		w.leaveBehind()
		w.log.truncate(3)
		p := w.start(nil)
		time.Sleep(10 * time.Second)
		s := p.lane.Status()
		if s.State != Refused || !strings.Contains(s.LastError, "Two ways out") ||
			!strings.Contains(s.LastError, "5 of a") {
			t.Errorf("status %+v", s)
		}
		if rows := w.store.rows("a"); len(rows) != 5 {
			t.Errorf("rows %q", rows)
		}
	})
}

// The routing changes while rows are to be dropped: the writer refuses, the lane says so, stays up, and recovers when
// it is put right.
func TestRefusedLaneRecovers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.leaveBehind()
		contracts := &keyContracts{fingerprint: 8}
		p := w.start(func(p *process) { p.lane.Contracts = contracts })
		time.Sleep(time.Second)
		if s := p.lane.Status(); s.State != Refused || !strings.Contains(s.LastError, "routing changed") {
			t.Errorf("status %+v", s)
		}
		contracts.fingerprint = 7
		w.settle()
		if contracts.decoded != 0 {
			t.Errorf("%d records decoded that were to be dropped", contracts.decoded)
		}
		w.verify()
	})
}

// The smaller of both services' bounds holds.
func TestLimitsOfBoth(t *testing.T) {
	l := newLimits(DefaultConfig(), &lanev1.Limits{BlockBytes: 100, WindowBytes: 50, WindowBatches: 2})
	if l.rowBytes != 50 || l.blockBytes != 100 || l.batchBytes != 50 || l.windowBatches != 2 {
		t.Errorf("limits %+v", l)
	}
}
