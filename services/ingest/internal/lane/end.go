package lane

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/waybill-data/waybill/pkg/lanewire"
)

// leaveClaim drains the call of a claim that has ended.
func (c *call) leaveClaim(claim context.Context) {
	if errors.Is(context.Cause(claim), ErrFenced) {
		c.lane.board.fence()
		c.drain("another member owns the partition")
		return
	}
	c.drain("the claim ends")
}

// drain stops reading and batching; what is in the window is still to be settled. What is not in the window is read
// again later.
func (c *call) drain(reason string) {
	if c.draining {
		return
	}
	c.draining = true
	c.stay()
	c.depart = departure{}
	c.waitForWindow(false)
	c.stopReading()
	if c.newRecords != nil {
		c.newRecords = nil
		c.source.close()
	}
	log := c.log()
	c.dropRecords()
	c.abandonHeld()
	c.deadline = time.Now().Add(c.lane.Config.DrainTimeout)
	c.drainBy = time.After(c.lane.Config.DrainTimeout)
	c.lane.board.enter(Draining)
	log.Info("lane draining", "reason", reason, "window", c.window.count)
}

// abandonHeld gives up the batch that waits for dead letters. Whoever reads its records next produces them again.
func (c *call) abandonHeld() {
	for i, job := range c.letters {
		if job.batch != c.held {
			continue
		}
		if i == 0 && c.lettering {
			// Its records are in use until the production has returned: lettersProduced lets them go.
			c.abandonLetters()
			return
		}
		c.letters = slices.Delete(c.letters, i, i+1)
		c.let(c.held)
		c.held = nil
		return
	}
}

// finish commits the clean checkpoint of Closed.
func (c *call) finish() error {
	ctx, cancel := context.WithDeadline(c.ctx, c.deadline)
	defer cancel()
	if err := c.lane.Partition.Commit(ctx, c.ledger.newest); err != nil {
		return c.lane.commitFailed("commit the clean checkpoint", err)
	}
	switch {
	case c.unreadable != nil:
		return fatalf("%v", c.unreadable)
	case c.gone:
		return errGone
	}
	return nil
}

// release gives back what the call holds, however it ended. Its goroutines are gone, but for the two that end with ctx
// and are awaited here.
func (c *call) release() {
	c.waitForWindow(false)
	if c.ledger.inFlight {
		<-c.committed //nolint:errcheck // the call has its outcome; the next opening reads how the commit went
	}
	if c.lettering {
		<-c.lettered //nolint:errcheck // likewise: what was not confirmed is produced again
		c.abandonLetters()
	}
	for !c.batches.empty() {
		if a, ok := c.batches.pop().(*lanewire.Append); ok {
			a.Free()
		}
	}
	c.source.close()
	c.lane.given = c.traced()
	c.dropRecords()
	for c.window.count > 0 {
		c.let(c.window.pop())
	}
	if c.held != nil {
		c.let(c.held)
		c.held = nil
	}
	c.showWindow(func(*Status) {})
}

// dropRecords gives up the records that are in no window.
func (c *call) dropRecords() {
	for i := c.next; i < len(c.part.records); i++ {
		c.builder.budget.Release(cost(c.builder.budget, &c.part.records[i]))
	}
	c.dropChunk()
	if c.builder.batch != nil {
		c.let(c.builder.batch)
		c.builder.batch = nil
	}
}

func (c *call) dropChunk() {
	if c.part.store != nil {
		putStore(c.part.store)
	}
	c.part, c.next = chunk{}, 0
}

// let releases a batch.
func (c *call) let(b *batch) {
	b.transit.budget.Release(b.charge + b.rowCharge)
	b.transit.settle()
	b.recycle()
}
