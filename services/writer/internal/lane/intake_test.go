package lane

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// Rows and offsets that wait take room. Responses take none, for they make room, nor does what is refused as it is.
func TestWeigh(t *testing.T) {
	leftOut := func(sequence uint64, n int) lanewire.Request {
		m := &lanev1.LeftOut{Offsets: make([]int64, n), Sequence: sequence}
		return lanewire.Request{Control: &lanev1.LaneRequest{Message: &lanev1.LaneRequest_LeftOut{LeftOut: m}}}
	}
	for name, test := range map[string]struct {
		r    lanewire.Request
		p    phase
		want int64
	}{
		"rows":                    {lanewire.Request{Append: *oneRow(1, 8)}, streaming, 10},
		"rows that fill a window": {lanewire.Request{Append: *oneRow(1, 88)}, draining, 90},
		"rows beyond a window":    {lanewire.Request{Append: *oneRow(1, 89)}, streaming, 0},
		"rows before the opening": {lanewire.Request{Append: *oneRow(1, 8)}, awaitsDurable, 0},
		"a position": {
			lanewire.Request{Append: lanewire.Append{Sequence: 1, EndPosition: 1}},
			streaming,
			0,
		},
		"a response":              {lanewire.Request{Control: durable(1)}, streaming, 0},
		"offsets left out":        {leftOut(0, 3), streaming, 3 * offsetBytes},
		"as many as there may be": {leftOut(0, maxLeftOut), streaming, maxLeftOut * offsetBytes},
		"more":                    {leftOut(0, maxLeftOut+1), streaming, 0},
		"offsets of refused rows": {leftOut(1, 3), streaming, 0},
		"offsets too early":       {leftOut(0, 3), awaitsDurable, 0},
		"an empty message":        {lanewire.Request{Control: &lanev1.LaneRequest{}}, streaming, 0},
	} {
		l := bare(t, 0)
		l.phase, l.bytes, l.service.Limits.WindowBytes = test.p, 10, 100
		if got := l.weigh(&test.r); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// However full the budget is and whoever waits for it, responds are taken, and lanes open.
func TestResponsesNeedNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(1000)
		w := startWriter(t, &Service{Sink: &odd{}, Budget: budget})
		defer w.stop()
		c, _ := openLane(t, w, exactlyOnce)
		synctest.Wait()
		row := oneRow(1, 10)
		budget.charge(1000-int64(row.Size()), nil) // full once the row is in: before the lane needs a response
		say(t, c, row)
		m, err := c.Recv()
		if m.GetCheckpoint() == nil {
			t.Fatal(m, err)
		}
		first := budget.charge(500, nil) // waits
		say(t, c, durable(m.GetCheckpoint().GetBarrier()))
		if m, err := c.Recv(); m.GetSettled() == nil {
			t.Fatal(m, err)
		}
		other, _ := openLane(t, w, exactlyOnce)
		// A message that nobody would take is not kept waiting either.
		say(t, other, oneRow(9, 1000))
		time.Sleep(time.Second)
		budget.leave(first)
		budget.release(900)
		if _, err := other.Recv(); status.Code(err) != codes.InvalidArgument {
			t.Error(err)
		}
	})
}

// So is the response to rows that were refused.
func TestResponsesToRefusedRowsNeedNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(1000)
		w := startWriter(t, &Service{Sink: &odd{append: func(id uint64, _ int, results func(Result)) {
			results(Result{ID: id, Refused: []RefusedRow{{Row: 0}}})
		}}, Budget: budget})
		defer w.stop()
		c, _ := openLane(t, w, atLeastOnce)
		synctest.Wait()
		row := oneRow(1, 10)
		budget.charge(1000-int64(row.Size()), nil)
		say(t, c, row)
		if m, err := c.Recv(); m.GetRefused() == nil {
			t.Fatal(m, err)
		}
		say(t, c, &lanev1.LaneRequest{Message: &lanev1.LaneRequest_LeftOut{LeftOut: &lanev1.LeftOut{
			Offsets: []int64{0}, Sequence: 1,
		}}})
		time.Sleep(time.Second)
		if s := w.Status()[0]; s.LeftOut != 1 {
			t.Errorf("the response was not taken: %+v", s)
		}
	})
}

// Nothing is taken before the lane is open.
func TestAnAppendBeforeOpened(t *testing.T) {
	token := encodeFor(t)
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &Service{Sink: &odd{finalize: func() { time.Sleep(time.Second) }}})
		defer w.stop()
		c, err := w.client.Lane(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		say(t, c, &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
			Group: "g", Topic: "t", Checkpoint: token,
			Routes: []*lanev1.Route{{Table: "t", Row: &lanev1.Route_Message{Message: "m"}}},
		}}})
		say(t, c, oneRow(1, 10))
		if m, err := c.Recv(); m.GetOpened() == nil {
			t.Fatal(m, err)
		}
		if m, err := c.Recv(); status.Code(err) != codes.InvalidArgument ||
			!strings.Contains(err.Error(), "append before durable") {
			t.Error(m, err)
		}
	})
}

// What an Append may say at each bound, and what it may not.
func TestTakeAppend(t *testing.T) {
	blocks := func(list ...lanewire.Block) []lanewire.Block { return list }
	one := func(route, dropped uint32, rows ...string) lanewire.Block {
		return lanewire.Block{Route: route, Rows: uint32(len(rows)), Dropped: dropped, Bytes: entry1(rows...)}
	}
	for name, test := range map[string]struct {
		sequence uint64
		end      int64
		blocks   []lanewire.Block
		change   func(l *lane)
		says     string
	}{
		"the next one":              {4, 11, nil, nil, ""},
		"one that was sent":         {3, 11, nil, nil, "append.sequence is 3, expected 4"},
		"one too far":               {5, 11, nil, nil, "append.sequence is 5, expected 4"},
		"an end that is not beyond": {4, 10, nil, nil, "end_position is 10, must exceed 10"},
		"an end that goes back":     {4, 9, nil, nil, "end_position is 9, must exceed 10"},
		"the last of the window":    {4, 11, nil, func(l *lane) { l.window = make([]*batch, 3) }, ""},
		"one more than the window": {
			4, 11, nil, func(l *lane) { l.window = make([]*batch, 4) }, "exceeds the window of 4 batches",
		},
		"a block for each table": {4, 13, blocks(one(0, 0, "a"), one(1, 0, "b")), nil, ""},
		"more blocks than tables": {
			4, 13, blocks(one(0, 0, "a"), one(1, 0, "b"), one(1, 0)), nil, "has 3 blocks for 2 routes",
		},
		"a table twice": {
			4, 13, blocks(one(1, 0, "a"), one(1, 0, "b")), nil, "blocks[1].route is 1, that of an earlier block",
		},
		"a route that is none": {
			4, 13, blocks(one(2, 0, "a")), nil, "blocks[0].route is 2, but open has 2 routes",
		},
		"bytes that fill the window": {4, 13, blocks(one(0, 0, "123456")), func(l *lane) { l.bytes = 92 }, ""},
		"bytes beyond the window": {
			4, 13, blocks(one(0, 0, "1234567")), func(l *lane) { l.bytes = 92 }, "exceeds the window of 100 bytes",
		},
		"the largest block": {4, 13, blocks(one(0, 0, "12345678")), nil, ""},
		"a block that is larger": {
			4, 13, blocks(one(0, 0, "123456789")), nil, "blocks[0] has 11 bytes of rows, at most 10",
		},
		"no rows by their framing": {
			4, 13, blocks(lanewire.Block{Rows: 1, Bytes: mem.BufferSlice{mem.SliceBuffer("x")}}), nil,
			"starts with 0x78",
		},
		"another number of rows": {
			4, 13, blocks(lanewire.Block{Rows: 2, Bytes: entry1("a")}), nil, "rows is 2, but it holds 1 rows",
		},
		"all that is to be dropped": {4, 13, blocks(one(0, 2, "a")), func(l *lane) { l.tables[0].toDrop = 2 }, ""},
		"a part of it, and no rows": {4, 13, blocks(one(0, 1)), func(l *lane) { l.tables[0].toDrop = 2 }, ""},
		"more than is to be dropped": {
			4, 14, blocks(one(0, 3)), func(l *lane) { l.tables[0].toDrop = 2 }, "dropped is 3, but only 2 rows",
		},
		"rows before all is dropped": {
			4, 13, blocks(one(0, 1, "a")), func(l *lane) { l.tables[0].toDrop = 2 }, "has rows while 1 rows",
		},
		"as many rows as records": {4, 13, blocks(one(0, 0, "a", "b"), one(1, 0, "c")), nil, ""},
		"more rows than records": {
			4, 12, blocks(one(0, 0, "a", "b"), one(1, 0, "c")), nil, "more rows than the records from 10 to 12",
		},
		"more rows than what is not out": {
			4, 13, blocks(one(0, 0, "a", "b"), one(1, 0, "c")), func(l *lane) { l.left = union(nil, []int64{12}) },
			"more rows than the records",
		},
		"dropped rows are of records, too": {
			4, 12, blocks(one(0, 2, "a")), func(l *lane) { l.tables[0].toDrop = 2 }, "more rows than the records",
		},
		"a position alone leaves it at rest": {4, 11, blocks(one(0, 0)), func(l *lane) { l.resting = true }, ""},
		"rows end its rest":                  {4, 11, blocks(one(0, 0, "a")), func(l *lane) { l.resting = true }, ""},
	} {
		l := bare(t, 0)
		l.sequence, l.end = 3, 10
		for i := range l.tables {
			l.tables[i].route = &lanev1.Route{Table: l.tables[i].name}
		}
		limits := &l.service.Limits
		limits.WindowBatches, limits.WindowBytes, limits.BlockBytes = 4, 100, 10
		if test.change != nil {
			test.change(l)
		}
		bytes, resting, batches := l.bytes, l.resting, len(l.window)
		a := lanewire.Append{Sequence: test.sequence, EndPosition: test.end, Blocks: test.blocks}
		size := int64(a.Size())
		err := l.takeAppend(&a)
		if test.says != "" {
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), test.says) ||
				len(l.window) != batches || l.bytes != bytes {
				t.Errorf("%s: %v, want %q", name, err, test.says)
			}
			continue
		}
		if err != nil || l.sequence != 4 || l.end != test.end || l.bytes != bytes+size || len(l.window) != batches+1 {
			t.Errorf("%s: %v, sequence %d, end %d, %d bytes", name, err, l.sequence, l.end, l.bytes)
			continue
		}
		b := l.window[batches]
		if rested := resting && b.open > 0; l.resting != (resting && !rested) || (l.version == 1) != rested ||
			b.needs != l.version {
			t.Errorf("%s: rests %v, version %d, needs %d", name, l.resting, l.version, b.needs)
		}
	}
}

// The response to a barrier makes durable what the barrier showed, and nothing that came after it.
func TestTakeDurable(t *testing.T) {
	l := bare(t, 0)
	l.version, l.awaiting, l.awaited, l.barrier, l.phase = 7, true, 5, 3, draining
	for _, barrier := range []uint64{2, 4} {
		if err := l.takeDurable(barrier); status.Code(err) != codes.InvalidArgument || l.durable != 0 {
			t.Errorf("barrier %d: %v", barrier, err)
		}
	}
	if err := l.takeDurable(3); err != nil || l.durable != 5 || l.awaiting || l.phase != draining {
		t.Errorf("%v: durable %d, %v", err, l.durable, l.phase)
	}
	if err := l.takeDurable(3); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a response to nothing: %v", err)
	}
	l.awaiting, l.phase = true, awaitsDurable
	if err := l.takeDurable(3); err != nil || l.phase != streaming {
		t.Errorf("%v: %v", err, l.phase)
	}
}

// What is left out behind something that has to wait waits as well, so that the list stays in order and nothing is
// forgotten.
func TestTakeLeftOut(t *testing.T) {
	offsets := func(from int64, n int) []int64 {
		var out []int64
		for i := range n {
			out = append(out, from+2*int64(i))
		}
		return out
	}
	l := bare(t, 0)
	l.counts, l.end, l.service.Limits.CheckpointBytes = true, 10, 300
	take := func(list []int64) error {
		m := &lanev1.LeftOut{Offsets: list}
		left := &lanev1.LaneRequest_LeftOut{LeftOut: m}
		size := l.weigh(&lanewire.Request{Control: &lanev1.LaneRequest{Message: left}})
		l.charged += size
		err := l.takeLeftOut(m)
		if err != nil {
			l.charged -= size // The lane would have ended.
		}
		return err
	}
	for _, step := range []struct {
		list                        []int64
		says                        string
		parked, waits, left, change int
	}{
		{nil, "is empty", 0, 0, 0, 0},
		{[]int64{9}, "ascend from 10", 0, 0, 0, 0},
		{[]int64{12, 12}, "ascend from 10", 0, 0, 0, 0},
		{[]int64{10}, "", 0, 0, 1, 1},
		{offsets(100, 1000), "", 1, 1000, 1, 1},
		{[]int64{5000}, "", 2, 1001, 1, 1},
	} {
		err := take(step.list)
		if (err == nil) != (step.says == "") || err != nil && !strings.Contains(err.Error(), step.says) {
			t.Errorf("%v: %v", step.list, err)
		}
		if len(l.parked) != step.parked || l.waits != step.waits || len(l.left) != step.left ||
			int(l.version) != step.change || int(l.floor) != step.change {
			t.Errorf("%v: %d parked, %d wait, %d left out, version %d", step.list, len(l.parked), l.waits, len(l.left),
				l.version)
		}
	}
	if l.charged != 1001*offsetBytes {
		t.Errorf("%d bytes are charged", l.charged)
	}
	// Where nothing is counted the list is a courtesy: it takes what fits, and nothing waits for it.
	l = bare(t, 0)
	l.service.Limits.CheckpointBytes = 300
	for _, list := range [][]int64{offsets(0, 1000), {5000}} {
		if err := take(list); err != nil {
			t.Error(err)
		}
	}
	if len(l.parked) != 0 || l.charged != 0 || l.version != 0 || len(l.left) != 1 {
		t.Errorf("%d parked, %d bytes charged, version %d, %d left out", len(l.parked), l.charged, l.version,
			len(l.left))
	}
}
