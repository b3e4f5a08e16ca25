package lane

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A lane remembers its last batches, so many and no more, by the offsets of their records.
func TestLastBatchesAreRemembered(t *testing.T) {
	var b board
	b.now.Topic, b.now.Partition = "orders", 3
	const settled = 3*remembered + 7
	for n := range int64(settled) {
		w := b.written.add(10*n, 10*n+10)
		if len(w.Blocks) != 0 {
			t.Fatalf("batch %d has the blocks of another: %v", n, w.Blocks)
		}
		w.Blocks = append(w.Blocks, WrittenBlock{Table: "a", Offset: n, Rows: 10})
		if kept := min(int(n)+1, remembered); len(b.written.ring) != kept {
			t.Fatalf("%d are kept of %d", len(b.written.ring), n+1)
		}
	}
	for n := int64(-1); n <= settled; n++ {
		kept := n >= settled-remembered && n < settled
		for _, offset := range []int64{10 * n, 10*n + 9} {
			w, ok := b.wrote("orders", 3, offset)
			if ok != kept || ok && (w.Start != 10*n || w.End != 10*n+10 || w.Blocks[0].Offset != n) {
				t.Errorf("%d is in %+v, %v", offset, w, ok)
			}
		}
	}
	const last = 10*settled - 1
	w, _ := b.wrote("orders", 3, last)
	w.Blocks[0].Rows = -1
	if again, _ := b.wrote("orders", 3, last); again.Blocks[0].Rows != 10 {
		t.Error("who asks shares the blocks with the lane")
	}
	for _, other := range []struct {
		topic     string
		partition int32
	}{{"stock", 3}, {"orders", 4}} {
		if w, ok := b.wrote(other.topic, other.partition, last); ok {
			t.Errorf("%v: %+v", other, w)
		}
	}
}

// What is remembered of a batch is where its rows are: by the offset in a write stream, by none in the default stream,
// and nothing of a table of which it has no rows.
func TestWhereRowsWereWritten(t *testing.T) {
	l := bare(t, 0)
	l.tables = append(l.tables, table{name: "c", stream: "c/streams/1"})
	l.tables[0].settled, l.tables[1].settled, l.tables[1].repeats = 100, 50, true
	l.remember(&batch{start: 7, end: 20, blocks: []block{
		{table: 0, rows: 5, refused: 2}, {table: 2, dropped: 3}, {table: 1, rows: 1},
	}})
	l.status.now.Topic, l.status.now.Partition = "orders", 3
	other := bare(t, 0)
	other.status.now.Topic = "stock"
	l.service.lanes[l], l.service.lanes[other] = struct{}{}, struct{}{}
	got, ok := l.service.Written("orders", 3, 7)
	want := Written{Start: 7, End: 20, Blocks: []WrittenBlock{
		{Table: "a", Stream: "a/streams/1", Offset: 100, Rows: 3, Refused: 2}, {Table: "b", Offset: -1, Rows: 1},
	}}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("%v (-want +got):\n%s", ok, diff)
	}
	for _, offset := range []int64{6, 20} {
		if w, ok := l.service.Written("orders", 3, offset); ok {
			t.Errorf("%d is in %+v", offset, w)
		}
	}
	if w, ok := l.service.Written("stock", 3, 7); ok {
		t.Errorf("another partition: %+v", w)
	}
}
