package lane

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// taken is an appender that notes which batches it was given.
type taken struct {
	*fakeAppender
	batches []uint64
}

func (a *taken) Append(id uint64, _ int, data mem.BufferSlice) {
	data.Free()
	a.batches = append(a.batches, id)
}

func (a *taken) Close() {}

// rows is a batch of one row for a table.
func rows(sequence uint64, table int, needs uint64) *batch {
	return &batch{
		sequence: sequence, start: int64(sequence) - 1, end: int64(sequence), open: 1, needs: needs,
		blocks: []block{{table: table, rows: 1, data: entry1("a")}},
	}
}

// What a lane does next, from every state that asks for something.
func TestAdvance(t *testing.T) {
	far := []int64{1 << 40} // fits into any checkpoint
	wide := make([]int64, 5000)
	for i := range wide {
		wide[i] = 1<<40 + 2*int64(i) // fits into none
	}
	some := wide[:500] // fits into a large one
	for name, test := range map[string]struct {
		launched int
		window   []*batch
		change   func(l *lane)
		code     codes.Code
		// what was appended to the first table, how many are launched, and whether a barrier was raised.
		appended int
		now      int
		raised   bool
	}{
		"nothing to do":           {},
		"rows that nothing holds": {window: []*batch{rows(1, 0, 0), rows(2, 0, 0)}, appended: 2, now: 2},
		"rows that need a checkpoint": {
			window: []*batch{rows(1, 0, 1)}, change: func(l *lane) { l.version = 1 }, raised: true,
		},
		"rows that need one that is on its way": {
			window: []*batch{rows(1, 0, 1)}, change: func(l *lane) { l.version, l.awaiting = 1, true },
		},
		"rows that need one that is durable": {
			window: []*batch{rows(1, 0, 1)}, change: func(l *lane) { l.version, l.durable = 1, 1 }, appended: 1, now: 1,
		},
		"a stream that needs one": {
			window: []*batch{rows(1, 0, 0)}, change: func(l *lane) { l.version, l.tables[0].version = 1, 1 },
			raised: true,
		},
		"a stream of another table that needs one": {
			window: []*batch{rows(1, 0, 0)}, change: func(l *lane) { l.version, l.tables[1].version = 1, 1 },
			appended: 1, now: 1,
		},
		"a block without rows of such a table": {
			window: []*batch{{
				sequence: 1, end: 1, open: 1, blocks: []block{
					{table: 1, done: true},
					{table: 0, rows: 1, data: entry1("a")},
				},
			}},
			change: func(l *lane) { l.version, l.tables[1].version = 1, 1 }, appended: 1, now: 1,
		},
		"a stream that is being made": {
			window: []*batch{rows(1, 0, 0), rows(2, 1, 0)}, change: func(l *lane) { l.tables[0].appender = nil },
		},
		"a state that is wanted durable": {change: func(l *lane) { l.version, l.wanted = 1, 1 }, raised: true},
		"one that is wanted and durable": {change: func(l *lane) { l.version, l.wanted, l.durable = 1, 1, 1 }},
		"positions behind rows that wait": {
			window: []*batch{rows(1, 0, 1), {sequence: 2, start: 1, end: 2}}, change: func(l *lane) { l.version = 1 },
			raised: true,
		},
		"a position alone": {
			window: []*batch{{sequence: 1, end: 1}}, change: func(l *lane) { l.version = 1 },
		},
		"half-closed, all is settled": {change: func(l *lane) { l.halfClosed, l.version, l.wanted = true, 1, 1 }},
		"half-closed before a barrier": {
			window: []*batch{rows(1, 0, 1)}, change: func(l *lane) { l.halfClosed, l.version = true, 1 },
			code: codes.Aborted,
		},
		"half-closed with rows refused": {
			launched: 1, window: []*batch{rows(1, 0, 0)},
			change: func(l *lane) { l.halfClosed, l.refusals = true, []refusal{{sequence: 1}} }, code: codes.Aborted,
			now: 1,
		},
		"half-closed with rows on their way": {
			launched: 1, window: []*batch{rows(1, 0, 0)}, change: func(l *lane) { l.halfClosed = true }, now: 1,
		},
		"half-closed and about to end": {
			change: func(l *lane) { l.halfClosed = true; l.endOnce(aborted("over")) }, code: codes.Aborted,
			raised: true,
		},
		"about to end": {
			window: []*batch{rows(1, 0, 0)}, change: func(l *lane) { l.endOnce(aborted("over")) }, raised: true,
		},
		"ended": {
			window: []*batch{rows(1, 0, 0)}, change: func(l *lane) { l.endOnce(aborted("over")); l.durable = l.endsAt },
			code: codes.Aborted,
		},
		"left out before it": {
			window: []*batch{rows(1, 0, 0)}, change: func(l *lane) { l.parked, l.waits = []parked{{1, far}}, 1 },
			raised: true,
		},
		"left out behind it": {
			window: []*batch{rows(1, 0, 0)}, change: func(l *lane) { l.parked, l.waits = []parked{{2, far}}, 1 },
			appended: 1, now: 1,
		},
		"much left out, nothing on its way": {
			window: []*batch{rows(1, 0, 0)}, change: func(l *lane) { l.parked, l.waits = []parked{{1, some}}, 500 },
			raised: true,
		},
		"much left out, something on its way": {
			launched: 1, window: []*batch{rows(1, 0, 0), rows(2, 0, 0)},
			change: func(l *lane) { l.parked, l.waits = []parked{{2, some}}, 500 }, now: 1,
		},
		"too much left out": {
			window: []*batch{rows(1, 0, 0)}, change: func(l *lane) { l.parked, l.waits = []parked{{1, wide}}, 5000 },
			code: codes.InvalidArgument,
		},
		"too much, and something on its way": {
			launched: 1, window: []*batch{rows(1, 0, 0), rows(2, 0, 0)},
			change: func(l *lane) { l.parked, l.waits = []parked{{2, wide}}, 5000 }, now: 1,
		},
		"before the opening is durable": {change: func(l *lane) { l.phase, l.version, l.wanted = awaitsDurable, 1, 1 }},
		"left out, and refused in its table": {
			launched: 1, window: []*batch{rows(1, 0, 0)},
			change: func(l *lane) { l.refusals = []refusal{{sequence: 1, acknowledged: true, parked: []int64{0}}} },
			now:    1,
			raised: true,
		},
		"left out, and that is durable by now": {launched: 1, window: []*batch{rows(1, 0, 0)}, change: func(l *lane) {
			l.refusals = []refusal{{sequence: 1, acknowledged: true, explained: true, version: 1}}
			l.version, l.wanted, l.durable = 1, 1, 1
		}, now: 1},
	} {
		l, h := bare(t, test.launched, test.window...), &recorder{}
		a := &taken{fakeAppender: newFakeAppender(t)}
		l.stream, l.tables[0].appender, l.counts = h, a, true
		l.service.Limits.CheckpointBytes = 300
		if test.change != nil {
			test.change(l)
		}
		version := l.version
		err := l.advance()
		raised := len(h.sent) > 0 && h.sent[len(h.sent)-1].GetCheckpoint() != nil
		if status.Code(err) != test.code || len(a.batches) != test.appended || raised != test.raised ||
			raised && (!l.awaiting || l.awaited != l.version) {
			t.Errorf("%s: %v, appended %v, barrier %v", name, err, a.batches, raised)
		}
		if l.launched != test.now && name != "a position alone" {
			t.Errorf("%s: %d are launched", name, l.launched)
		}
		if l.version < version {
			t.Errorf("%s: the version went back", name)
		}
	}
	l := bare(t, 0)
	l.stream, l.halfClosed = &recorder{err: errors.New("gone")}, true
	l.endOnce(aborted("over"))
	if err := l.advance(); err == nil || err.Error() != "gone" {
		t.Errorf("nobody learns of the end: %v", err)
	}
	l = bare(t, 1, &batch{sequence: 1, end: 1})
	l.stream = &recorder{err: errors.New("gone")}
	if err := l.advance(); err == nil || err.Error() != "gone" {
		t.Errorf("nobody learns what is settled: %v", err)
	}
	l = bare(t, 0)
	l.open.Topic, l.wanted, l.version = strings.Repeat("t", 5000), 1, 1
	if err := l.advance(); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a barrier without a checkpoint: %v", err)
	}
}

// A lane comes to rest when nothing is under way and a stream is worth it, and says so in the next checkpoint.
func TestIdleCheckpoint(t *testing.T) {
	for name, test := range map[string]struct {
		change func(l *lane)
		rests  bool
	}{
		"idle":                {nil, true},
		"draining":            {func(l *lane) { l.phase = draining }, false},
		"resting":             {func(l *lane) { l.resting = true }, true},
		"half-closed":         {func(l *lane) { l.halfClosed = true }, false},
		"something in flight": {func(l *lane) { l.window = []*batch{rows(1, 0, 0)} }, false},
		"rows refused":        {func(l *lane) { l.refusals = []refusal{{}} }, false},
		"about to end":        {func(l *lane) { l.ending = errors.New("over") }, false},
		"no stream":           {func(l *lane) { l.tables[0].stream = "" }, false},
	} {
		l := bare(t, 0)
		l.named, l.version = []int{0}, 3
		if test.change != nil {
			test.change(l)
		}
		was := l.resting
		l.checkpointIdle()
		changed := test.rests && !was
		if l.resting != test.rests || (l.wanted == 4) != changed || (l.version == 4) != changed ||
			l.tables[0].fresh != changed {
			t.Errorf("%s: rests %v, version %d, %d wanted, fresh %v", name, l.resting, l.version, l.wanted,
				l.tables[0].fresh)
		}
	}
}

// A checkpoint shows what the next owner must know, and nothing of streams that are gone or of tables that nothing is
// known of.
func TestSnapshot(t *testing.T) {
	l := bare(t, 0)
	l.named, l.position, l.open = []int{0, 1}, 7, &lanev1.Open{Cluster: "c", Topic: "t", Partition: 2, Routing: 9}
	l.left = append(l.left, after(union(nil, []int64{5, 8}), 0)...)
	l.tables[0].settled, l.tables[0].drop = 3, 2
	l.tables[1].stream = ""
	l.snapshot(true)
	s := &l.shown
	if !s.Clean || s.Cluster != "c" || s.Topic != "t" || s.Partition != 2 || s.Routing != 9 || s.Position != 7 ||
		len(s.LeftOut) != 1 || s.LeftOut[0].From != 8 {
		t.Errorf("%+v", s)
	}
	if len(s.Tables) != 1 || s.Tables[0].Rows != 3 || s.Tables[0].Drop != 2 || s.Tables[0].Tainted {
		t.Errorf("%+v", s.Tables)
	}
	l.tables[1].drop, l.tables[0].tainted = 1, true
	if l.snapshot(true); s.Clean || len(s.Tables) != 2 || s.Tables[1].Stream != "" || !s.Tables[0].Tainted {
		t.Errorf("%+v", s)
	}
}

// A lane that is about to end starts nothing for rows that it will not append.
func TestNothingIsPreparedAtTheEnd(t *testing.T) {
	for name, change := range map[string]func(*table){
		"a stream": func(*table) {}, "no stream": func(t *table) { t.stream = "" },
	} {
		l := bare(t, 0)
		change(&l.tables[0])
		l.tables[0].appender = nil
		l.endOnce(aborted("over"))
		l.prepare(0)
		if l.tables[0].appender != nil || l.tables[0].creating {
			t.Errorf("%s: something was started", name)
		}
	}
}

// Offsets are left out as far as a checkpoint may hold them: by its size, and by their number, which a run hides.
func TestLeaveOut(t *testing.T) {
	l := bare(t, 0)
	l.snapshot(false)
	size := l.encoder.Size(&l.shown)
	for !l.leaveOut([]int64{7}, size) {
		size++
	}
	l = bare(t, 0)
	if l.leaveOut([]int64{7}, size-1) || len(l.left) != 0 {
		t.Error("a checkpoint outgrew its limit")
	}
	if !l.leaveOut([]int64{7}, size) || len(l.left) != 1 {
		t.Error("what fits was not left out")
	}
	l = bare(t, 0)
	l.left = []checkpoint.Range{{From: 0, To: checkpoint.MaxLeftOut - 1}}
	for i, want := range []bool{true, false} {
		if got := l.leaveOut([]int64{checkpoint.MaxLeftOut - 1 + int64(i)}, checkpoint.MaxBytes); got != want {
			t.Errorf("offset %d past the most: %v", i, got)
		}
	}
	if _, err := l.encode(false); err != nil {
		t.Error(err)
	}
}

// A state that no checkpoint can show is a fault of the program, and ends the lane.
func TestEncodeOfWhatCannotBe(t *testing.T) {
	l := bare(t, 0)
	l.position = -1
	if _, err := l.encode(false); status.Code(err) != codes.FailedPrecondition ||
		!strings.Contains(err.Error(), "fault of the writer") {
		t.Errorf("got %v", err)
	}
}
