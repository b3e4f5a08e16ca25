package lane

import (
	"testing"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/tap"
)

// counted counts dead letters.
type counted struct{ n int }

func (c *counted) Count(_ time.Time, letters []DeadLetter) { c.n += len(letters) }

// Who taps sees a record where it passes: as it comes, when its row is sent, refused, and when it is a dead letter. A
// batch without rows shows none.
func TestRecordsAreSeenAsTheyPass(t *testing.T) {
	taps, letters := new(tap.Taps), new(counted)
	c := quietCall(t)
	c.lane.Partition, c.lane.Taps, c.lane.Letters = &spot{}, taps, letters
	c.abandonLetters = func() {}
	seen := map[tap.Point]*tap.Tap{}
	for _, at := range []tap.Point{tap.Record, tap.Row, tap.Refused, tap.DeadLetter} {
		one, err := taps.Open(tap.Want{Point: at})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(one.Close)
		seen[at] = one
	}
	step := func(what string, want map[tap.Point]uint64, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for at, one := range seen {
			if n, _ := one.Counts(); n != want[at] {
				t.Errorf("%s: %d seen at point %d, want %d", what, n, at, want[at])
			}
		}
	}
	err := c.receiveChunk(chunk{records: []record.Record{{Topic: "orders"}, {Topic: "orders", Offset: 1}}})
	step("records come", map[tap.Point]uint64{tap.Record: 2}, err)
	c.part = chunk{}
	c.taken(t, "nobody")
	c.flush()
	step("a batch waits for its dead letter", map[tap.Point]uint64{tap.Record: 2}, nil)
	step("it is written", map[tap.Point]uint64{tap.Record: 2, tap.DeadLetter: 1}, c.lettersProduced(nil))
	c.taken(t, "a", "b", "ignore")
	c.flush()
	step("rows are sent", map[tap.Point]uint64{tap.Record: 2, tap.Row: 2, tap.DeadLetter: 1}, nil)
	_, err = c.handle(says(&lanev1.Refused{Sequence: 2, Rows: rows(1, 0)}))
	want := map[tap.Point]uint64{tap.Record: 2, tap.Row: 2, tap.Refused: 1, tap.DeadLetter: 1}
	step("one of them is refused", want, err)
	want[tap.DeadLetter] = 2
	step("its dead letter is written", want, c.lettersProduced(nil))
	if letters.n != 2 {
		t.Errorf("%d dead letters are counted", letters.n)
	}
	c.release()
}
