package lane

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Whatever keeps a lane has a cause of its own, and nothing of its time is without one.
func TestTimeOfALane(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		began := time.Now()
		granted := make(chan struct{})
		p := w.start(func(p *process) { p.member.denied = granted })
		w.produceRows("a", 2)
		w.settle()
		time.Sleep(10 * time.Second) // nothing to read
		w.log.produce("a", "bad")
		time.Sleep(20 * time.Second) // its dead letter may not be written
		if s := p.lane.Status(); s.Cause != "letters" {
			t.Errorf("while a dead letter waits: %+v", s)
		}
		close(granted)
		w.settle()
		p.lane.board.waitsFor(forBigQuery, "quota", time.Time{})
		time.Sleep(5 * time.Second)
		p.lane.board.waitsFor(forBigQuery, "schema", time.Time{})
		time.Sleep(4 * time.Second)
		p.lane.board.waitsFor(forBigQuery, "", time.Time{})
		p.lane.board.waitsFor(forSchema, "schema id 7", time.Time{})
		time.Sleep(3 * time.Second)
		p.lane.board.waitsFor(forSchema, "", time.Time{})
		p.lane.board.enter(Refused)
		time.Sleep(2 * time.Second)
		p.lane.board.enter(Open)
		spent := time.Since(began)

		got := p.lane.Metrics.times(time.Now())[p.lane.Partition.Topic()]
		var sum time.Duration
		for _, d := range got {
			sum += d
		}
		if sum != spent {
			t.Errorf("causes add to %v of %v", sum, spent)
		}
		for cause, want := range map[causes.Cause]time.Duration{
			causes.Letters: 20 * time.Second, causes.Quota: 5 * time.Second, causes.Schema: 4 * time.Second,
			causes.Registry: 3 * time.Second, causes.Refused: 2 * time.Second,
		} {
			if got[cause].Round(time.Second) != want {
				t.Errorf("%v: %v, want %v", cause, got[cause], want)
			}
		}
		if got[causes.Idle] < 9*time.Second {
			t.Errorf("idle: %v", got[causes.Idle])
		}

		// What a lane spent stays when it has ended.
		p.end()
		after := p.lane.Metrics.times(time.Now())[p.lane.Partition.Topic()]
		if after[causes.Letters] != got[causes.Letters] {
			t.Errorf("after its end: %v, was %v", after, got)
		}
	})
}

// From the moment at which another member owns the partition a lane's time goes to that, while it settles what it has
// sent, whatever that waits for.
func TestTimeOfAFencedLane(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.start(nil)
		w.produceRows("a", 2)
		w.settle()
		w.model.mu.Lock()
		w.model.latency = 10 * time.Second
		w.model.mu.Unlock()
		w.produceRows("a", 1)
		time.Sleep(time.Second)
		if s := p.lane.Status(); s.WindowBatches != 1 || s.Cause == "fenced" {
			t.Errorf("before it is fenced: %+v", s)
		}
		w.log.join(func(string) bool { return true })
		time.Sleep(2 * time.Second)
		p.lane.board.waitsFor(forBigQuery, "quota", time.Time{})
		time.Sleep(2 * time.Second)
		if s := p.lane.Status(); s.State != Draining || s.Cause != "fenced" {
			t.Errorf("while it settles what it has sent: %+v", s)
		}
		<-p.done
		got := p.lane.Metrics.times(time.Now())[p.lane.Partition.Topic()]
		if spent := got[causes.Fenced].Round(time.Second); spent < 7*time.Second || spent > 9*time.Second {
			t.Errorf("fenced for %v, want the 8 s or so until its batch is settled: %v", spent, got)
		}
		if got[causes.Quota] != 0 {
			t.Errorf("%v", got)
		}
	})
}

// The counter has each cause of each topic.
func TestTimeIsExported(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		registry := prometheus.NewRegistry()
		w.start(func(p *process) { p.lane.Metrics = NewMetrics(registry, p.lane.Budget) })
		w.settle()
		time.Sleep(time.Minute)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		sum, series := 0.0, 0
		for _, f := range families {
			if f.GetName() == "waybill_ingest_lane_seconds_total" {
				for _, m := range f.GetMetric() {
					sum += m.GetCounter().GetValue()
					series++
				}
			}
		}
		if series != int(causes.Count) || math.Abs(sum-60) > 5 {
			t.Errorf("%d series add to %v s", series, sum)
		}
	})
}

// What the owner waits for is what holds it up first.
func TestWhatAnOwnerAwaits(t *testing.T) {
	records := chunk{records: make([]record.Record, 1)}
	for name, test := range map[string]struct {
		set  func(c *call)
		want causes.Cause
	}{
		"nothing to read": {func(*call) {}, causes.Idle},
		"more in Kafka":   {func(c *call) { c.backlog = 3 }, causes.Fetch},
		"no budget":       {func(c *call) { c.starved, c.backlog = true, 3 }, causes.Budget},
		"a full window":   {func(c *call) { c.part = records; c.window.push(&batch{}) }, causes.Append},
		"a commit": {
			func(c *call) { c.part = records; c.window.push(&batch{}); c.ledger.inFlight = true }, causes.Barrier,
		},
		"a commit beside the work": {func(c *call) { c.backlog, c.ledger.inFlight = 3, true }, causes.Fetch},
		"a commit, and batches": {func(c *call) {
			c.window.push(&batch{})
			c.backlog, c.ledger.inFlight = 3, true
		}, causes.Fetch},
		"a window without room": {func(c *call) { c.full = true; c.window.push(&batch{}) }, causes.Append},
		"a commit at the end": {func(c *call) {
			c.window.push(&batch{})
			c.draining, c.ledger.inFlight = true, true
		}, causes.Barrier},
		"dead letters":           {func(c *call) { c.part, c.held = records, &batch{} }, causes.Letters},
		"the end of a call":      {func(c *call) { c.draining = true; c.window.push(&batch{}) }, causes.Append},
		"the writer's last word": {func(c *call) { c.draining = true }, causes.Opening},
		"records, and it rests":  {func(c *call) { c.backlog, c.newRecords = 3, make(chan struct{}) }, causes.Idle},
		"a response to a refusal": {
			func(c *call) { c.window.push(&batch{refusals: 1}); c.ledger.inFlight = true }, causes.Barrier,
		},
		"letters beside the work": {
			func(c *call) { c.lettering = true; c.window.push(&batch{}); c.backlog = 1 }, causes.Fetch,
		},
		"letters and nothing else": {func(c *call) { c.lettering, c.backlog = true, 1 }, causes.Letters},
	} {
		c := &call{}
		test.set(c)
		if got := c.awaits(); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// A lane that opens waits for the group's coordinator twice, and says so: there is a writer.
func TestOpeningWaitsForTheCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, conn := &spot{position: 3, newest: 9}, opens()
		l, _ := laneAt(s, conn)
		var seen []string
		look := func() {
			now := l.board.snapshot()
			seen = append(seen, now.Cause+": "+now.WaitingFor)
		}
		s.recalling, s.committing = look, look
		c, err := l.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.cancel()
		want := []string{"barrier: the committed position", "barrier: an offset commit"}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Error(diff)
		}
		if now := l.board.snapshot(); now.Cause != "idle" || now.WaitingFor != "" {
			t.Errorf("open: %+v", now)
		}
	})
}

// A lane that is not open opens, whatever it waits for, but for the group's coordinator.
func TestTimeOfALaneThatIsNotOpen(t *testing.T) {
	for _, state := range []State{Opening, Waiting} {
		l, _ := laneAt(&spot{}, nil)
		l.board.enter(state)
		l.waitsForLetters("a test")
		if got := l.board.snapshot().Cause; got != causes.Opening.String() {
			t.Errorf("%s: %s", state, got)
		}
		done := l.waitsForCommit("an offset commit")
		if got := l.board.snapshot().Cause; got != causes.Barrier.String() {
			t.Errorf("%s, and waits for a commit: %s", state, got)
		}
		done()
		if got := l.board.snapshot().Cause; got != causes.Opening.String() {
			t.Errorf("%s, after the commit: %s", state, got)
		}
	}
}
