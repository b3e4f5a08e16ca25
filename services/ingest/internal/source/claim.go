package source

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// run is the life of a claim of a pool: its lane, until the claim ends and the lane has drained. When done is closed,
// nothing of the claim is committed any more. Thousands of lanes rest below it. A stack shrinks to 4 KiB if less than
// 1,248 bytes of it are used, which is just about what lanes take: so run is the goroutine's first function, and what
// it does before and after is done elsewhere.
func (c *claim) run(pool int) {
	stop := c.begin()
	c.handle()
	if c.owned.Err() == nil {
		c.unserved()
	}
	c.finish(stop)
	c.membership.ended(c, pool)
}

// begin begins the claim's life, and returns what ends the wait for its drain.
func (c *claim) begin() (stop func()) {
	m := c.membership
	timeout := time.Duration(m.source.config.Kafka.DrainTimeout)
	stop = c.drain(timeout, func() {
		m.source.metrics.overdue.Inc()
		c.log().Error("the lane did not drain in time; what it had not committed is replayed by the next owner",
			"drain_timeout", timeout)
	})
	m.source.metrics.claims.Inc()
	m.ends.add(c)
	return stop
}

// finish ends it.
func (c *claim) finish(stop func()) {
	m := c.membership
	m.ends.remove(c)
	m.source.metrics.claims.Dec()
	// What the lane handed to CommitLater and did not await.
	if err := m.committer.flush(c.alive, c.tp); err != nil {
		c.log().Debug("last commit", "error", err)
	}
	stop()
	c.kill(lane.ErrFenced)
	c.release()
	m.committer.retire(c.tp, fmt.Errorf("the claim has ended: %w", lane.ErrFenced))
	c.end(nil)
}

// handle runs the handler, and says so if it panics. A handler that returns or panics before the claim has ended is a
// fault that must not take the others down.
func (c *claim) handle() {
	defer c.recovered()
	c.membership.handler(c.owned, c)
}

// recovered ends a panic of the handler. It is to be deferred.
func (c *claim) recovered() {
	if r := recover(); r != nil {
		c.log().Error("the lane panicked; its partition rests until the next rebalance", "panic", r, "stack",
			string(debug.Stack()))
	}
}

// unserved waits for the end of a claim whose lane has ended.
func (c *claim) unserved() {
	m := c.membership
	c.log().Error("the lane ended while its claim is ours; its partition rests until the claim ends")
	m.source.unserved.Add(1)
	defer m.source.unserved.Add(-1)
	<-c.owned.Done()
}
