package lane

import (
	"context"
	"fmt"
	"time"
)

const (
	// moveWithin is how long a lane that is to move waits for what it has sent. Past it the lane stays: its writer, or BigQuery, is busy with it.
	moveWithin = 5 * time.Second
	// drainWithin is how long a writer that drains is taken to wait when it does not say.
	drainWithin = 5 * time.Second
	// drainPart is the part of that time after which a lane leaves though there is nowhere to go: the rest is for settling what it has sent.
	drainPart = 0.6
)

// departure is a lane's way to another writer, by an order of the placer or because its writer drains. It sends on for as long as that is of use, and nothing
// that it has read is given up before the half-close. All fields belong to the owner of the call.
type departure struct {
	// orders come from the placer.
	orders <-chan Order
	// order is the move under way; its Stayed is nil when there is none. While there is one, no batch is sent.
	order Order
	// moveBy ends it.
	moveBy <-chan time.Time
	// drains is why the writer wants the lane to go; elsewhere is closed when there is another writer, and leaveBy ends the waiting for one.
	drains    string
	elsewhere <-chan struct{}
	leaveBy   <-chan time.Time
}

// moving says that the lane sends nothing because it is about to go.
func (d *departure) moving() bool { return d.order.Stayed != nil }

// ordered begins a move.
func (c *call) ordered(o Order) {
	if c.draining || c.depart.moving() {
		o.Stayed()
		return
	}
	c.depart.order, c.depart.moveBy = o, time.After(moveWithin)
}

// late gives a move up that takes too long.
func (c *call) late() {
	c.lane.Log.Info("lane does not move: what it has sent is not settled", "reason", c.depart.order.Reason, "within", moveWithin, "window", c.window.count)
	c.stay()
}

// stay gives the move up, if there is one.
func (c *call) stay() {
	if c.depart.moving() {
		c.depart.order.Stayed()
		c.depart.order, c.depart.moveBy = Order{}, nil
	}
}

// leaveIfQuiet goes once nothing is on its way any more.
func (c *call) leaveIfQuiet() {
	if c.depart.moving() && !c.draining && c.quiet() {
		reason := c.depart.order.Reason
		c.depart.order, c.depart.moveBy = Order{}, nil
		c.drain("move: " + reason)
	}
}

// writerDrains takes the writer's wish that the lane goes. The lane goes on until another writer is there, or until too little of the time is left.
func (c *call) writerDrains(reason string, within time.Duration) {
	if c.draining || c.depart.drains != "" {
		return
	}
	if c.place == nil {
		c.drain(reason)
		return
	}
	if within <= 0 {
		within = drainWithin
	}
	c.depart.drains = reason
	c.depart.elsewhere = c.place.Elsewhere()
	c.depart.leaveBy = time.After(time.Duration(drainPart * float64(within)))
	c.stay()
	c.depart.orders = nil
}

// given is the error of a call whose context has ended.
func given(ctx context.Context) error {
	return fmt.Errorf("the call was given up: %w", context.Cause(ctx))
}
