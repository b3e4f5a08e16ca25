package replay

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is a partition of a test: offsets that hold records.
type log struct {
	lane.Partition
	offsets   []int64
	end       int64
	committed int64
	letters   int
}

func (l *log) Committed(context.Context) (lane.Pair, error) {
	return lane.Pair{Position: l.committed, Checkpoint: "x"}, nil
}
func (l *log) Behind(position int64) int64 { return l.end - position }

func (l *log) DeadLetter(_ context.Context, letters []lane.DeadLetter, _ func(string)) error {
	l.letters += len(letters)
	return nil
}

func (l *log) Read(_ context.Context, from int64) (lane.Reader, error) {
	return &cursor{log: l, given: from}, nil
}

// cursor reads it, two records at a time, once all are there.
type cursor struct {
	lane.Reader
	log           *log
	given, passed int64
	closed        bool
}

func (c *cursor) Next(
	ctx context.Context, dst []record.Record, deadline time.Time,
) ([]record.Record, error) {
	n := 0
	for _, o := range c.log.offsets {
		if o >= c.given && n < 2 && len(dst) < cap(dst) {
			dst = append(dst, record.Record{Offset: o, Value: make([]byte, 100)})
			n++
		}
	}
	if n > 0 {
		c.given = dst[len(dst)-1].Offset + 1
		c.passed = c.given
		return dst, nil
	}
	time.Sleep(time.Until(deadline))
	c.passed = c.log.end
	return dst, ctx.Err()
}

func (c *cursor) Passed() (given, passed int64) { return c.given, c.passed }
func (c *cursor) Backlog() int64                { return c.log.end - c.given }
func (c *cursor) Ready() <-chan struct{}        { return nil }
func (c *cursor) Close()                        { c.closed = true }

// offsets reads a partition for a second.
func offsets(t *testing.T, p *Partition, from int64) (all []int64, r lane.Reader) {
	t.Helper()
	r, err := p.Read(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Second); time.Now().Before(until); {
		got, err := r.Next(t.Context(), make([]record.Record, 0, 4), until)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			all = append(all, got[i].Offset)
		}
	}
	return all, r
}

// A range gives its records and no others; it is settled once the position is behind the last of them and the reader
// has passed its end, whether there are records behind it, none, or it ends with offsets that hold none.
func TestRange(t *testing.T) {
	for name, tt := range map[string]struct {
		of      Range
		offsets []int64
		end     int64
		want    []int64
		settled int64 // the first position at which it is settled
	}{
		"all":             {Range{0, 4}, []int64{0, 1, 2, 3}, 4, []int64{0, 1, 2, 3}, 4},
		"some":            {Range{1, 3}, []int64{0, 1, 2, 3}, 4, []int64{1, 2}, 3},
		"holes at an end": {Range{0, 8}, []int64{0, 1, 2}, 8, []int64{0, 1, 2}, 3},
		"a hole across":   {Range{0, 5}, []int64{0, 1, 2, 7}, 8, []int64{0, 1, 2}, 3},
		"nothing":         {Range{2, 5}, []int64{0, 1, 7}, 8, nil, 2},
		"not yet there":   {Range{0, 8}, []int64{0, 1}, 5, []int64{0, 1}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := NewPartition(&log{offsets: tt.offsets, end: tt.end, committed: -1}, tt.of, NewPace(0), nil)
				if at, err := p.Committed(t.Context()); err != nil || at != (lane.Pair{Position: tt.of.From}) {
					t.Errorf("begins at %v, %v", at, err)
				}
				got, r := offsets(t, p, tt.of.From)
				if len(got) != len(tt.want) || len(got) > 0 && got[len(got)-1] != tt.want[len(tt.want)-1] {
					t.Errorf("read %v, want %v", got, tt.want)
				}
				for position := tt.of.From; position <= tt.of.To; position++ {
					if p.Settled(position) != (position >= tt.settled) {
						t.Errorf("settled at %d: %v", position, p.Settled(position))
					}
				}
				if p.Settled(tt.settled) && p.Behind(tt.settled) != 0 {
					t.Errorf("behind: %d", p.Behind(tt.settled))
				}
				r.Close()
			})
		})
	}
}

// What is committed counts, also behind the range, where nothing is read.
func TestRangeGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPartition(&log{offsets: []int64{0, 1, 2, 3}, end: 4, committed: 2}, Range{0, 3}, NewPace(0), nil)
		if at, _ := p.Committed(t.Context()); at.Position != 2 || at.Checkpoint != "x" {
			t.Errorf("%+v", at)
		}
		if got, _ := offsets(t, p, 2); len(got) != 1 || got[0] != 2 {
			t.Errorf("%v", got)
		}
		got, r := offsets(t, p, 3)
		if len(got) != 0 || r.Backlog() != 0 || !p.Settled(3) {
			t.Errorf("%v, backlog %d", got, r.Backlog())
		}
		select {
		case <-r.Ready():
			t.Error("there is something at the end")
		default:
		}
		r.Close()
	})
}

// A pace bounds what partitions read together.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := int64((&record.Record{Value: make([]byte, 100)}).Size())
		pace := NewPace(10 * one) // ten records a second
		var many []int64
		for o := range int64(100) {
			many = append(many, o)
		}
		l := &log{offsets: many, end: 100, committed: -1}
		began := time.Now()
		for _, half := range []Range{{0, 50}, {50, 100}} {
			p := NewPartition(l, half, pace, nil)
			r, _ := p.Read(t.Context(), half.From)
			for last := int64(-1); last != half.To-1; {
				got, err := r.Next(t.Context(), make([]record.Record, 0, 4), time.Now().Add(time.Millisecond))
				if err != nil {
					t.Fatal(err)
				}
				if len(got) > 0 {
					last = got[len(got)-1].Offset
				}
			}
		}
		if took := time.Since(began); took < 9*time.Second || took > 11*time.Second || pace.Bytes() != 100*one {
			t.Errorf("%d bytes in %v", pace.Bytes(), took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		pace.pay(1 << 20)
		if err := pace.wait(ctx); err == nil {
			t.Error("who gives up waits on")
		}
	})
}

// Dead letters are reported, or written.
func TestLetters(t *testing.T) {
	l, reported := &log{}, 0
	letters := make([]lane.DeadLetter, 3)
	err := NewPartition(l, Range{}, NewPace(0), nil).DeadLetter(t.Context(), letters, nil)
	if err != nil || l.letters != 3 {
		t.Errorf("%d written, %v", l.letters, err)
	}
	p := NewPartition(l, Range{}, NewPace(0), func(all []lane.DeadLetter) { reported += len(all) })
	if err := p.DeadLetter(t.Context(), letters, nil); err != nil || l.letters != 3 || reported != 3 {
		t.Errorf("%d written, %d reported, %v", l.letters, reported, err)
	}
}

func TestEntries(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	w := &Entry{Range: Range{5, 9}, Tables: map[string]string{"a": "b"}, Begun: at, Kept: at.Add(time.Hour)}
	text, err := w.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(text)
	if err != nil || got.Range != w.Range || got.Tables["a"] != "b" || !got.Begun.Equal(at) || !got.Done.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	w.Tables["c"] = strings.Repeat("x", most)
	if _, err := w.Encode(); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("too long: %v", err)
	}
	for text, want := range map[string]string{"": "does not begin", prefix + "{": "unexpected"} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
