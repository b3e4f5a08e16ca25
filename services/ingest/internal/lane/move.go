package lane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// moveWithin is how long a lane that is to move waits for what it has sent. Past it the lane stays: its writer, or
	// BigQuery, is busy with it.
	moveWithin = 5 * time.Second
	// drainWithin is how long a writer that drains is taken to wait when it does not say.
	drainWithin = 5 * time.Second
	// drainPart is the part of that time after which a lane leaves though there is nowhere to go: the rest is for
	// settling what it has sent.
	drainPart = 0.6
)

// departure is a lane's way to another writer, by an order of the placer or because its writer drains. The lane sends
// on for as long as that is of use, and nothing that it has read is given up before the half-close. All fields belong
// to the owner of the call.
type departure struct {
	// order is the move under way, until by; its Stayed is nil when there is none. While there is one, no batch is
	// sent.
	order Order
	by    time.Time
	// drains is why the writer wants the lane to go; empty while it does not. The lane goes once there is another
	// writer, and at leaveBy without one.
	drains  string
	leaveBy time.Time
}

// moving says that the lane sends nothing because it is about to go.
func (d *departure) moving() bool { return d.order.Stayed != nil }

// lookAround does what there is to do about the lane's place. The error ends the call.
func (c *call) lookAround() error {
	if c.ctx.Err() != nil {
		return given(c.ctx)
	}
	if pause, _ := c.lane.orders.paused(time.Now()); pause != nil {
		c.drain(pause.String())
	}
	if why := c.lane.orders.reopens(); why != "" {
		c.drain(why)
	}
	if c.place == nil || c.draining {
		return nil
	}
	d := &c.depart
	order, elsewhere := c.place.Look(d.drains != "")
	if order.Stayed != nil {
		c.ordered(order)
	}
	now := time.Now()
	switch {
	case d.drains != "" && elsewhere:
		c.drain(d.drains)
	case d.drains != "" && !now.Before(d.leaveBy):
		c.drain(d.drains + ", and no other writer is there yet")
	case d.moving() && !now.Before(d.by):
		c.log().Info("lane does not move: what it has sent is not settled", "reason", d.order.Reason, "within",
			moveWithin, "window", c.window.count)
		c.stay()
	}
	return nil
}

// wakeIn has the owner look around after a while.
func (c *call) wakeIn(d time.Duration) {
	woken := c.woken
	time.AfterFunc(d, func() {
		select {
		case woken <- struct{}{}:
		default: // it is awake
		}
	})
}

// ordered begins a move.
func (c *call) ordered(o Order) {
	if c.depart.moving() || c.depart.drains != "" {
		o.Stayed()
		return
	}
	c.depart.order, c.depart.by = o, time.Now().Add(moveWithin)
	c.wakeIn(moveWithin)
}

// stay gives the move up, if there is one.
func (c *call) stay() {
	if c.depart.moving() {
		c.depart.order.Stayed()
		c.depart.order = Order{}
	}
}

// leaveIfQuiet goes once nothing is on its way any more.
func (c *call) leaveIfQuiet() {
	if c.depart.moving() && c.quiet() {
		reason := c.depart.order.Reason
		c.depart.order = Order{}
		c.drain("move: " + reason)
	}
}

// writerDrains takes the writer's wish that the lane goes. The lane goes on until another writer is there, or until too
// little of the time is left; a writer that gives no time is taken to give a little, and one that gives no reason has
// one all the same.
func (c *call) writerDrains(reason string, within time.Duration) error {
	if c.draining || c.depart.drains != "" {
		return nil
	}
	reason = cmp.Or(reason, "the writer drains")
	if c.place == nil {
		c.drain(reason)
		return nil
	}
	if within <= 0 {
		within = drainWithin
	}
	c.stay()
	wait := time.Duration(drainPart * float64(within))
	c.depart.drains, c.depart.leaveBy = reason, time.Now().Add(wait)
	c.wakeIn(wait)
	return c.lookAround()
}

// why is the error of a call that has ended with err: that it was given up, also where what was under way showed it
// first.
func (c *call) why(err error) error {
	if c.ctx.Err() != nil && (errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled) {
		return given(c.ctx)
	}
	return err
}

// given is the error of a call whose context has ended.
func given(ctx context.Context) error {
	return fmt.Errorf("the call was given up: %w", context.Cause(ctx))
}
