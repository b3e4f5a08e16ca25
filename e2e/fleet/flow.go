package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/produce"
	"github.com/waybill-data/waybill/sandbox/verify"
)

// flow is a stack whose lanes have records all the time, and are looked at.
type flow struct {
	stack  *stack.Stack
	watch  *watch
	load   *stack.Load
	report Report
	// unwatch ends the looking.
	unwatch func()
}

// CheckRate says whether so many events a second can be a load, as the flag --rate has it.
func CheckRate(rate float64) error {
	if rate < 100 || rate > 20_000 {
		return fmt.Errorf("--rate must be between 100 and 20000, got %v: with less, lanes are silent by themselves",
			rate)
	}
	return nil
}

// begin looks at so many lanes from now on, and produces so many events a second over all of them.
func (f *flow) begin(ctx context.Context, lanes int, rate float64) {
	f.watch = newWatch(f.stack, lanes)
	f.unwatch = f.watch.begin(ctx)
	f.load = f.stack.Load(ctx, produce.Config{
		Topic: stack.StockTopic, Rate: rate, Codec: "none", Generator: events.Config{Seed: 7},
	})
}

// compare ends the load, waits until everything that was produced is committed, and compares every offset.
func (f *flow) compare(ctx context.Context) error {
	made, err := f.load.End()
	if err != nil {
		return err
	}
	f.report.Produced = made.Events
	log, err := f.stack.Log()
	if err != nil {
		return err
	}
	defer log.Close()
	const what = "everything is committed, after the load ended"
	err = stack.Within(ctx, time.Minute, 100*time.Millisecond, what, func() error {
		return log.Settled(ctx, stack.StockTopic)
	}, f.stack.Sandbox)
	if err != nil {
		return err
	}
	f.report.Verified, err = f.stack.Verify(ctx, verify.Config{Topics: verify.Builtin(stack.Dataset)[1:]})
	return err
}

// end ends what is left of a flow, and the stack. It returns the error of the run, or how the stack stopped.
func (f *flow) end(err error) error {
	if f.load != nil {
		_, _ = f.load.End() // compare looks at it, and where it was not called there is an error already
		f.unwatch()
	}
	for _, s := range f.stack.Services() {
		_ = s.Signal(resume) // one that is stopped could not end
	}
	if down := f.stack.Down(grace); down != nil && err == nil {
		err = fmt.Errorf("a process did not stop in order: %w", down)
	}
	return err
}
