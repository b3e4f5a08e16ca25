package lane

import (
	"bytes"
	"testing"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// sized are contracts whose rows are as long as the record's value says, and all of route 0 but those with the key b.
type sized struct{ keyContracts }

func (*sized) AppendRow(dst []byte, r *record.Record, _ int64) ([]byte, error) {
	return append(dst, r.Value...), nil
}

// laying takes records with values of so many bytes and says which were taken.
func laying(t *testing.T, l limits, key string, sizes ...int) (b *builder, taken []bool) {
	t.Helper()
	b = &builder{
		contracts: &sized{}, budget: NewBudget(1 << 30).Account("orders"), limits: l, routes: 2,
		replay: replay{remaining: make([]uint64, 2)},
	}
	for i, n := range sizes {
		r := &record.Record{
			Offset: int64(i), TimestampMicros: 1000 + int64(i), Key: []byte(key), Value: bytes.Repeat([]byte("x"), n),
		}
		ok, err := b.take(r, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, ok)
	}
	return b, taken
}

// Rows are laid down to the last byte of each bound, and not beyond: of a row, of a block, of a batch; a batch takes at
// least one.
func TestBoundsOfABatch(t *testing.T) {
	wide := limits{rowBytes: 100, blockBytes: 100, batchBytes: 100, batchRows: 10}
	with := func(change func(*limits)) limits { l := wide; change(&l); return l }
	for name, test := range map[string]struct {
		limits   limits
		sizes    []int
		rows     int
		bad      int
		rejected int // how many of the last ones are not taken
	}{
		"the largest row":             {wide, []int{100}, 1, 0, 0},
		"a row too large":             {wide, []int{101, 1}, 1, 1, 0},
		"to the last byte":            {wide, []int{60, 40}, 2, 0, 0},
		"a byte more than the batch":  {with(func(l *limits) { l.blockBytes = 1000 }), []int{60, 41}, 1, 0, 1},
		"a byte more than the block":  {with(func(l *limits) { l.batchBytes = 1000 }), []int{60, 41}, 1, 0, 1},
		"the block, to the last byte": {with(func(l *limits) { l.batchBytes = 1000 }), []int{60, 40}, 2, 0, 0},
		"one row, above the batch":    {with(func(l *limits) { l.batchBytes = 50 }), []int{80}, 1, 0, 0},
		"rows":                        {with(func(l *limits) { l.batchRows = 2 }), []int{1, 1, 1}, 2, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b, taken := laying(t, test.limits, "a", test.sizes...)
			if b.batch.rows != test.rows || len(b.batch.bad) != test.bad {
				t.Errorf("%d rows and %d bad", b.batch.rows, len(b.batch.bad))
			}
			for i, ok := range taken {
				if want := i < len(test.sizes)-test.rejected; ok != want {
					t.Errorf("record %d taken: %v", i, ok)
				}
			}
			if b.batch.oldest != 1000+int64(test.bad) || b.batch.first != 1000 {
				t.Errorf("the oldest row is of %d, the first record of %d", b.batch.oldest, b.batch.first)
			}
		})
	}
}

// So many bad records are a batch, and the next one waits.
func TestBadRecordsFillABatch(t *testing.T) {
	b, taken := laying(t, limits{rowBytes: 100, blockBytes: 100, batchBytes: 100, batchRows: 10}, "nobody",
		make([]int, maxLeftOut+1)...)
	if len(b.batch.bad) != maxLeftOut || !taken[maxLeftOut-1] || taken[maxLeftOut] {
		t.Errorf("%d bad records, the last ones taken: %v", len(b.batch.bad), taken[maxLeftOut-1:])
	}
}

// The accounts of a take: what a row needs beyond what was paid is added, what a record without a row does not need is
// given back, and all comes back in the end.
func TestAccountsOfATake(t *testing.T) {
	b, _ := laying(t, limits{rowBytes: 1 << 20, blockBytes: 1 << 20, batchBytes: 1 << 20, batchRows: 10}, "ignore", 500)
	b.budget.add(10_000) // paid by the reader
	before := b.budget.budget.Used()
	given := -b.owed
	if given <= 0 {
		t.Fatalf("an ignored record gives back %d", given)
	}
	b.balance()
	if got := before - b.budget.budget.Used(); got != given || b.owed != 0 {
		t.Errorf("%d given back of %d", got, given)
	}
	b.owed = 700
	b.balance()
	if got := b.budget.budget.Used() - (before - given); got != 700 || b.owed != 0 {
		t.Errorf("%d taken of 700", got)
	}
}

// What Append names: the blocks that have rows, or rows dropped; and no others.
func TestBlocksOfAnAppend(t *testing.T) {
	for name, test := range map[string]struct {
		rows, dropped [3]uint32
		want          []uint32
	}{
		"nothing":           {},
		"rows":              {rows: [3]uint32{0, 2, 0}, want: []uint32{1}},
		"rows of all":       {rows: [3]uint32{1, 2, 3}, want: []uint32{0, 1, 2}},
		"dropped of all":    {dropped: [3]uint32{1, 2, 3}, want: []uint32{0, 1, 2}},
		"dropped":           {dropped: [3]uint32{0, 0, 3}, want: []uint32{2}},
		"rows, and dropped": {rows: [3]uint32{1, 0, 0}, dropped: [3]uint32{2, 0, 1}, want: []uint32{0, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBatch(3, NewBudget(1000).Account("orders"), time.Now(), -1)
			for i := range b.blocks {
				b.blocks[i].rows, b.blocks[i].dropped = test.rows[i], test.dropped[i]
			}
			a := b.message()
			if len(a.Blocks) != len(test.want) || cap(a.Blocks) != len(test.want) {
				t.Fatalf("%d blocks in room for %d, want %d", len(a.Blocks), cap(a.Blocks), len(test.want))
			}
			for i, route := range test.want {
				if k := a.Blocks[i]; k.Route != route || k.Rows != test.rows[route] ||
					k.Dropped != test.dropped[route] {
					t.Errorf("block %d: %+v", i, k)
				}
			}
		})
	}
}

// A batch only moves the position on when it has neither rows nor records to leave out.
func TestBatchThatOnlyMoves(t *testing.T) {
	bad := []badRecord{{}}
	for _, test := range []struct {
		b    batch
		want bool
	}{
		{batch{dropped: 3, skipped: 2}, true},
		{batch{rows: 1}, false},
		{batch{bad: bad}, false},
		{batch{rows: 1, bad: bad}, false},
	} {
		if got := test.b.moves(); got != test.want {
			t.Errorf("%d rows, %d bad: moves %v", test.b.rows, len(test.b.bad), got)
		}
	}
}

// The smaller of two bounds counts, and one that the writer does not give is none.
func TestLimitsAreTheSmaller(t *testing.T) {
	c := Config{BatchBytes: 100, BatchRows: 7, WindowBytes: 1000, WindowBatches: 5}
	l := newLimits(c, &lanev1.Limits{BlockBytes: 50, WindowBytes: 2000, WindowBatches: 9})
	if l.blockBytes != 50 || l.windowBytes != 1000 || l.windowBatches != 5 || l.rowBytes != 50 || l.batchBytes != 100 ||
		l.batchRows != 7 {
		t.Errorf("ours: %+v", l)
	}
	l = newLimits(c, &lanev1.Limits{BlockBytes: 5000, WindowBytes: 40, WindowBatches: 2})
	if l.blockBytes != 5000 || l.windowBytes != 40 || l.windowBatches != 2 || l.rowBytes != 40 || l.batchBytes != 40 {
		t.Errorf("theirs: %+v", l)
	}
	l = newLimits(c, &lanev1.Limits{})
	if l.blockBytes != 1<<30 || l.windowBytes != 1000 || l.windowBatches != 5 || l.rowBytes != 1<<30 {
		t.Errorf("none of theirs: %+v", l)
	}
}

// Segments grow with what is in the block, four times at once, between the smallest and the largest.
func TestSegmentsGrow(t *testing.T) {
	for bytes, want := range map[int]int{
		0: 4 << 10, 16<<10 - 1: 4 << 10, 16 << 10: 16 << 10, 64<<10 - 1: 16 << 10, 64 << 10: 64 << 10,
		256 << 10: 256 << 10, 1 << 30: 256 << 10,
	} {
		if got := grown(bytes); got != want {
			t.Errorf("after %d bytes: %d, want %d", bytes, got, want)
		}
	}
}

// A row goes into the current segment while there is room for one of about its size, and into a new one otherwise; an
// empty segment is given back.
func TestReserve(t *testing.T) {
	b := newBatch(1, NewBudget(1<<20).Account("orders"), time.Now(), -1)
	k := &b.blocks[0]
	first := k.reserve(100)
	if k.reserve(cap(*first)) != first {
		t.Error("an empty segment with room for the row is not used")
	}
	*first = append(*first, make([]byte, 96)...)
	if k.reserve(cap(*first)-96) != first || len(k.full) != 0 {
		t.Error("a segment with just enough room is not used")
	}
	second := k.reserve(cap(*first) - 95)
	if second == first || len(k.full) != 1 {
		t.Errorf("a row goes where there is no room for it; %d segments are full", len(k.full))
	}
	k.reserve(1 << 20)
	if len(k.full) != 1 {
		t.Error("a segment with nothing in it is kept")
	}
	b.recycle()
}
