package source

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// run is the life of a claim: its lane, until the claim ends and the lane has drained. When it returns, nothing of the
// claim is committed any more. Thousands of lanes rest below it and serve, so what these do before and after is done
// elsewhere: it would be on their stacks.
func (c *claim) run() {
	stop := c.begin()
	c.serve()
	c.finish(stop)
}

// begin begins the claim's life, and returns what ends the wait for its drain.
func (c *claim) begin() (stop func()) {
	m := c.membership
	timeout := time.Duration(m.source.config.Kafka.DrainTimeout)
	stop = c.drain(timeout, func() {
		m.source.metrics.overdue.Inc()
		c.log.Error("the lane did not drain in time; what it had not committed is replayed by the next owner",
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
		c.log.Debug("last commit", "error", err)
	}
	stop()
	c.kill(lane.ErrFenced)
	c.release()
	m.committer.retire(c.tp, fmt.Errorf("the claim has ended: %w", lane.ErrFenced))
	c.end(nil)
}

// serve runs the handler until the claim has ended. A handler that returns or panics before is a fault that must not
// take the others down.
func (c *claim) serve() {
	c.handle()
	if c.owned.Err() == nil {
		c.unserved()
	}
}

// handle runs the handler, and says so if it panics.
func (c *claim) handle() {
	defer c.recovered()
	c.membership.handler(c.owned, c)
}

// recovered ends a panic of the handler. It is to be deferred.
func (c *claim) recovered() {
	if r := recover(); r != nil {
		c.log.Error("the lane panicked; its partition rests until the next rebalance", "panic", r, "stack",
			string(debug.Stack()))
	}
}

// unserved waits for the end of a claim whose lane has ended.
func (c *claim) unserved() {
	m := c.membership
	c.log.Error("the lane ended while its claim is ours; its partition rests until the claim ends")
	m.source.unserved.Add(1)
	defer m.source.unserved.Add(-1)
	<-c.owned.Done()
}
