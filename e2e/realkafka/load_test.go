//go:build realkafka

package realkafka

import (
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/waybill-data/waybill/sandbox/produce"
)

// load produces all the time, rate events a second, until the function that it returns is called; that one returns how
// many there were.
func (w *world) load(topic string, rate float64) func() int64 {
	load := w.Load(w.ctx, produce.Config{
		Topic: topic, Partitions: partitions, Rate: rate, Codec: "lz4", Generator: plain,
	})
	w.t.Cleanup(func() { _, _ = load.End() }) // whoever ended it before has looked
	return func() int64 {
		w.t.Helper()
		sum, err := load.End()
		if err != nil {
			w.t.Fatalf("load: %v", err)
		}
		return sum.Events
	}
}

// sum is how many offsets the group has committed.
func (w *world) sum() int64 {
	w.t.Helper()
	var sum int64
	w.until("the group responds", func() error {
		commits, err := w.commits()
		sum = 0
		commits.Each(func(o kadm.OffsetResponse) { sum += max(o.At, 0) })
		return err
	})
	return sum
}
