package tap

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func records(topic string, n int) []record.Record {
	out := make([]record.Record, n)
	for i := range out {
		out[i] = record.Record{Topic: topic, Offset: int64(i), Value: []byte(fmt.Sprint("value ", i))}
	}
	return out
}

func open(t *testing.T, taps *Taps, want Want) *Tap {
	t.Helper()
	one, err := taps.Open(want)
	if err != nil {
		t.Fatal(err)
	}
	return one
}

// Who looks gets copies of what it wants, and how many it did not get.
func TestATapDropsWhatItHasNoRoomFor(t *testing.T) {
	var taps Taps
	if taps.Watching() != nil || (*Taps)(nil).Watching() != nil {
		t.Fatal("somebody looks")
	}
	one := open(t, &taps, Want{Point: Record, Topics: []string{"orders"}})
	w := taps.Watching()
	w.Records(records("stock", 5))
	w.Rows("orders", &record.Places{})
	lane := records("orders", queued+36)
	w.Records(lane)
	lane[0].Value[0] = 'X' // the lane's memory is used again
	if seen, dropped := one.Counts(); seen != queued+36 || dropped != 36 {
		t.Errorf("%d seen and %d dropped, want %d and 36", seen, dropped, queued+36)
	}
	first := <-one.Items
	if string(first.Record.Value) != "value 0" || first.Record.Offset != 0 {
		t.Errorf("the first is %+v", first.Record)
	}
	one.Done(&first)
	w.Records(lane[:2])
	if seen, dropped := one.Counts(); seen != queued+38 || dropped != 37 {
		t.Errorf("with room for one: %d seen and %d dropped", seen, dropped)
	}
	one.Close()
	one.Close()
	if taps.Watching() != nil {
		t.Error("somebody still looks")
	}
}

// Large records take room by their bytes.
func TestATapIsBoundedInBytes(t *testing.T) {
	var taps Taps
	one := open(t, &taps, Want{Point: DeadLetter})
	defer one.Close()
	large := record.Record{Topic: "orders", Value: make([]byte, queuedBytes/4)}
	taps.Watching().Faulty(DeadLetter, "orders", 20, func(int) (*record.Record, Fault) {
		return &large, Fault{Reason: "undecodable", Byte: 7}
	})
	taps.Watching().Faulty(Refused, "orders", 3, func(int) (*record.Record, Fault) { return &large, Fault{} })
	if seen, dropped := one.Counts(); seen != 20 || dropped < 15 || dropped == 20 {
		t.Errorf("%d seen and %d dropped", seen, dropped)
	}
	for len(one.Items) > 0 {
		item := <-one.Items
		if item.Fault.Byte != 7 {
			t.Errorf("fault %+v", item.Fault)
		}
		one.Done(&item)
	}
	if left := one.bytes.Load(); left != 0 {
		t.Errorf("%d bytes are held by nothing", left)
	}
}

// A few people may look at once, lanes run meanwhile, and each record is counted once by each.
func TestSeveralTaps(t *testing.T) {
	var taps Taps
	var all []*Tap
	for range most {
		all = append(all, open(t, &taps, Want{Point: Record}))
	}
	if _, err := taps.Open(Want{}); !errors.Is(err, errTooMany) {
		t.Errorf("one more: %v", err)
	}
	var lanes sync.WaitGroup
	for range 8 {
		lanes.Go(func() {
			for range 50 {
				if w := taps.Watching(); w != nil {
					w.Records(records("orders", 10))
				}
			}
		})
	}
	all[0].Close()
	lanes.Wait()
	for i, one := range all[1:] {
		seen, dropped := one.Counts()
		if seen != 8*50*10 || dropped != seen-queued {
			t.Errorf("tap %d: %d seen, %d dropped", i+1, seen, dropped)
		}
		one.Close()
	}
}

// While nobody looks a batch costs a load, and allocates nothing.
func BenchmarkNobodyTaps(b *testing.B) {
	var taps Taps
	for b.Loop() {
		if w := taps.Watching(); w != nil {
			b.Fatal("somebody looks")
		}
	}
}
