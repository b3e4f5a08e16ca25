package lane

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// produceMix writes records of every kind: rows of two tables, ignored, undecodable, unknown and refused ones, a hole,
// and rows that want contracts that have grown.
func produceMix(w *world) {
	w.produceRows("a", 3)
	w.log.produce("ignore", "x")
	w.log.produce("b", "first")
	w.log.produce("a", "bad")
	w.produceRows("a", 2)
	w.log.hole()
	w.log.produce("b", "refuse")
	w.log.produce("a", "refuse")
	w.log.produce("nobody", "x")
	w.produceRows("b", 2)
	w.log.produce("a", "v1 grown")
	w.log.produce("b", "v1 grown")
	w.produceRows("a", 1)
	w.log.produce("b", "v2 grown")
}

// small makes batches of few rows, so that a short log has many of them.
func small(p *process) { p.lane.Config.BatchRows = 3 }

// crashRun kills a process at a step and lets another owner take over. It returns false when the run ended before that
// step.
func crashRun(t *testing.T, dieAt int, configure func(w *world), second time.Duration) (died bool) {
	bubble(t, func(t *testing.T, w *world) {
		configure(w)
		w.dieAt = dieAt
		dead := make(chan struct{})
		var first *process
		w.onDeath = func() {
			if !w.writerDies {
				first.kill()
			}
			close(dead)
		}
		produceMix(w)
		ready := make(chan struct{})
		first = w.start(func(p *process) {
			small(p)
			// The lane may not take its first step before first is set.
			step := p.member.step
			p.member.step = func(what string) bool { <-ready; return step(what) }
		})
		close(ready)
		settled := time.After(10 * time.Second)
		select {
		case <-dead:
			died = true
		case <-settled:
		}
		time.Sleep(second)
		if !w.writerDies {
			w.start(small)
		}
		w.settle()
		// What was in doubt shows when more follows.
		w.produceRows("a", 4)
		w.produceRows("b", 2)
		w.settle()
		w.verify()
	})
	return died
}

func everyStep(t *testing.T, configure func(w *world), second time.Duration) {
	for step := 1; ; step++ {
		died := false
		ok := t.Run(fmt.Sprint("step ", step), func(t *testing.T) { died = crashRun(t, step, configure, second) })
		if !ok {
			t.FailNow()
		}
		if !died {
			if step < 40 {
				t.Fatalf("only %d steps: the run is too short to prove much", step)
			}
			return
		}
	}
}

func TestIngestDiesAtEveryStep(t *testing.T) {
	everyStep(t, func(*world) {}, 0)
}

// The next owner comes while the old writer still appends what it has.
func TestIngestDiesAtEveryStepAndTheWriterGoesOn(t *testing.T) {
	everyStep(t, func(w *world) { w.model.zombie, w.model.latency = true, 300*time.Millisecond }, time.Millisecond)
}

func TestWriterDiesAtEveryStep(t *testing.T) {
	everyStep(t, func(w *world) { w.writerDies = true }, 0)
}

// A zombie is fenced and does no harm: the group has moved on while it still runs.
func TestZombieIngest(t *testing.T) {
	for after := range 25 {
		after := time.Duration(after) * 17 * time.Millisecond
		t.Run(after.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				produceMix(w)
				first := w.start(small)
				time.Sleep(after)
				w.start(small)
				w.produceRows("a", 20)
				w.settle()
				<-first.done
				w.verify()
			})
		})
	}
}

// TestAnySchedule lets processes come and go, die and be fenced, writers break and drain, lanes move, commits be slow,
// at random.
func TestAnySchedule(t *testing.T) {
	seed := 0
	rapid.Check(t, func(rt *rapid.T) {
		seed++
		kinds := rapid.SliceOfN(rapid.SampledFrom([]string{
			"a", "a", "a", "b", "b", "ignore", "bad", "refuse", "nobody", "hole", "pause", "v1", "v2", "v3",
		}), 1, 60).Draw(rt, "records")
		deaths := rapid.SliceOfN(rapid.IntRange(1, 40), 0, 6).Draw(rt, "steps to each death")
		who := rapid.SliceOfN(rapid.SampledFrom([]string{
			"ingest", "writer", "fence", "stop", "drain", "move", "again", "skip",
		}),
			len(deaths), len(deaths)).Draw(rt, "who")
		rows := rapid.IntRange(1, 6).Draw(rt, "rows a batch")
		window := rapid.IntRange(1, 5).Draw(rt, "window")
		latency := time.Duration(rapid.IntRange(0, 200).Draw(rt, "append ms")) * time.Millisecond
		slow := time.Duration(rapid.SampledFrom([]int{0, 0, 5, 700}).Draw(rt, "commit ms")) * time.Millisecond
		tick := time.Duration(rapid.SampledFrom([]int{20, 1000}).Draw(rt, "tick ms")) * time.Millisecond
		zombie := rapid.Bool().Draw(rt, "zombie writer")
		var placer *testPlacer
		if rapid.Bool().Draw(rt, "placer") {
			placer = &testPlacer{alone: rapid.Bool().Draw(rt, "alone")}
		}
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.model.latency, w.model.zombie = latency, zombie
				schedule(w, kinds, deaths, who, placer, func(p *process) {
					if placer != nil {
						p.lane.Placer = placer
					}
					p.lane.Config.BatchRows, p.lane.Config.WindowBatches = rows, window
					p.member.slow, p.member.tick = slow, tick
				})
			})
		})
		if !ok {
			rt.Fatal("see the schedule above")
		}
	})
}

func schedule(w *world, kinds []string, deaths []int, who []string, placer *testPlacer, adjust func(*process)) {
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		for _, k := range kinds {
			switch k {
			case "bad", "refuse":
				w.log.produce("a", k)
			case "v1", "v2", "v3":
				w.log.produce("a", k+" grown")
			case "hole":
				w.log.hole()
			case "pause":
				time.Sleep(100 * time.Millisecond)
			default:
				w.log.produce(k, "row")
			}
		}
	}()
	p := w.start(adjust)
	for i, steps := range deaths {
		at := make(chan struct{})
		w.mu.Lock()
		w.dieAt = w.steps + steps
		w.writerDies = who[i] == "writer"
		victim, how := p, who[i]
		w.onDeath = func() {
			if how == "ingest" {
				victim.kill()
			}
			close(at)
		}
		w.mu.Unlock()
		select {
		case <-at:
		case <-time.After(time.Minute):
			// Nothing more happens: nobody dies of it.
			w.mu.Lock()
			w.dieAt = 0
			w.mu.Unlock()
			continue
		}
		switch how {
		case "ingest", "fence":
			p = w.start(adjust)
		case "stop":
			p.end()
			p = w.start(adjust)
		case "drain":
			w.model.drainNow()
		case "again":
			p.lane.Again("a test")
		case "skip":
			w.skips(p, max(0, p.lane.Status().Position)+int64(i))
		case "move":
			if placer != nil {
				placer.move()
			}
		}
	}
	<-produced
	w.log.produce("a", "last")
	w.log.produce("b", "last")
	w.settle()
	w.verify()
}
