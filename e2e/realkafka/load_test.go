//go:build realkafka

package realkafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/waybill-data/waybill/sandbox/produce"
)

// load produces all the time, rate events a second, until the function that it returns is called; that one returns how
// many there were.
func (w *world) load(topic string, rate float64) func() int64 {
	ctx, cancel := context.WithCancel(w.ctx)
	type outcome struct {
		events int64
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		sum, err := produce.Run(ctx, produce.Config{
			Seeds: kafka.Seeds, Topic: topic, Partitions: partitions, Rate: rate, Codec: "lz4", Generator: plain,
		})
		done <- outcome{sum.Events, err}
	}()
	stopped := false
	stop := func() outcome {
		stopped = true
		cancel()
		return <-done
	}
	w.t.Cleanup(func() {
		if !stopped {
			stop()
		}
	})
	return func() int64 {
		w.t.Helper()
		o := stop()
		if o.err != nil {
			w.t.Fatal(fmt.Errorf("load: %w", o.err))
		}
		return o.events
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
