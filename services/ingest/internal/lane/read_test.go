package lane

import (
	"context"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Where many lanes wait for a spent budget, each of them gets what makes a batch: a share of the budget, or a single
// record if that is larger.
func TestPayWaitsForWhatMakesABatch(t *testing.T) {
	records := make([]record.Record, 256)
	for i := range records {
		records[i].Value = make([]byte, 100)
	}
	one := cost(NewBudget(1<<30).Account("orders"), &records[0])
	for name, test := range map[string]struct {
		share int64
		want  int
	}{
		"ten records":                  {10 * one, 10},
		"nearly eleven":                {11*one - 1, 10},
		"more than there are":          {1000 * one, 256},
		"a record above the share":     {one / 2, 1},
		"a record beyond the budget's": {1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBudget(test.share * waitShare).Account("orders")
				b.add(b.Size())
				out := make(chan chunk, 1)
				got := make(chan int, 1)
				go func() {
					n, paid, ok := pay(t.Context(), b, records, out)
					if want := int64(n) * b.Cost(one); !ok || paid != want {
						t.Errorf("paid %d (%t), want %d", paid, ok, want)
					}
					got <- n
				}()
				synctest.Wait()
				if len(got) != 0 || len(out) != 1 || !(<-out).starved {
					t.Fatal("it must say that it waits, and wait")
				}
				b.Release(b.Size())
				if n := <-got; n != test.want {
					t.Errorf("%d records, want %d", n, test.want)
				}
			})
		})
	}
}

// yielding is a reader that yields so many records at a time, at most what it is asked for, and notes that.
type yielding struct {
	sizes     []int
	requested []int
}

func (g *yielding) Next(_ context.Context, dst []record.Record, _ time.Time) ([]record.Record, error) {
	g.requested = append(g.requested, cap(dst))
	if len(g.sizes) == 0 {
		return dst, io.EOF
	}
	n := min(g.sizes[0], cap(dst))
	g.sizes = g.sizes[1:]
	for range n {
		dst = append(dst, record.Record{Value: make([]byte, 100)})
	}
	return dst, nil
}

func (*yielding) Ready() <-chan struct{} { return nil }
func (*yielding) Backlog() int64         { return 0 }
func (*yielding) Close()                 {}

// A reader whose source has more than it asked for asks for more the next time, and for less when little comes; what it
// asks with comes back with the last of its records.
func TestReaderAsksForWhatComes(t *testing.T) {
	for _, busy := range []bool{false, true} { // whatever comes back in between
		other := map[bool]int{true: idleRecords, false: busyRecords}[busy]
		for range 20 {
			putStore(newStore(other))
		}
		for range 20 {
			if s := getStore(busy); cap(*s) == other {
				t.Fatalf("busy %v: a store of %d", busy, other)
			}
		}
	}
	g := &yielding{sizes: []int{1000, 1000, 5, 5}}
	l := &Lane{Partition: &spot{}, Contracts: &choosy{}, Budget: NewBudget(1 << 30)}
	out := make(chan chunk, 10)
	(&reading{lane: l, out: out, reader: g}).run(t.Context())
	want := []int{idleRecords, busyRecords, busyRecords, idleRecords, idleRecords}
	if diff := cmp.Diff(want, g.requested); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	for _, want := range []int{idleRecords, busyRecords, 5, 5} {
		p := <-out
		if len(p.records) != want || p.store == nil {
			t.Errorf("%d records, with a store %v", len(p.records), p.store != nil)
			continue
		}
		putStore(p.store)
	}
	// In parts, the store comes with the last one.
	one := cost(l.account(), &record.Record{Value: make([]byte, 100)})
	l.Budget = NewBudget(2 * one)
	ctx, cancel := context.WithCancel(t.Context())
	parts := make(chan chunk)
	go func() { (&reading{lane: l, out: parts, reader: &yielding{sizes: []int{3}}}).run(ctx) }()
	var stores []bool
	for n := 0; n < 3; {
		p := <-parts
		n += len(p.records)
		if !p.starved {
			stores = append(stores, p.store != nil)
		}
		l.account().Release(int64(len(p.records)) * one)
	}
	cancel()
	// Two parts, or three: what the owner gives back in between may be enough for two records.
	if last := len(stores) - 1; last < 1 || slices.Index(stores, true) != last {
		t.Errorf("in parts, with a store: %v", stores)
	}
}
