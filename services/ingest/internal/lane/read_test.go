package lane

import (
	"testing"
	"testing/synctest"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Where many lanes wait for a spent budget, each of them gets what makes a batch: a share of the budget, or a single
// record if that is larger.
func TestPayWaitsForWhatMakesABatch(t *testing.T) {
	records := make([]record.Record, 256)
	for i := range records {
		records[i].Value = make([]byte, 100)
	}
	one := cost(NewBudget(1<<30), &records[0])
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
				b := NewBudget(test.share * waitShare)
				b.Add(b.Size())
				out := make(chan portion, 1)
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
