package lane

import (
	"context"
	"fmt"
	"time"
)

// run owns the call until it ends: nil after Closed is committed. stop is the claim's context; its end drains the call.
// Thousands of owners wait in rest, so these frames are kept small.
func (c *call) run(stop context.Context) error {
	defer c.end()
	c.begin()
	stopped := stop.Done()
	for {
		if err := c.advance(); err != nil {
			return c.why(err)
		}
		if stopped != nil && stop.Err() != nil {
			stopped = nil
			c.leaveClaim(stop)
			continue
		}
		c.does(c.awaits())
		var over bool
		var err error
		if c.resting() {
			over, err = c.rest(stopped)
		} else {
			over, err = c.wait(stopped)
		}
		if over || err != nil {
			return c.why(err)
		}
	}
}

// begin starts the goroutines of the call.
func (c *call) begin() {
	c.responses, c.messages, c.chunks = make(chan received), make(chan any), make(chan chunk)
	c.committed, c.lettered = make(chan error, 1), make(chan error, 1)
	// panicked has room for one of each goroutine: none waits to say it
	c.panicked, c.senderIdle = make(chan error, 3), make(chan struct{})
	c.readCtx, c.stopReading = context.WithCancel(c.ctx)
	c.timer = time.NewTimer(time.Hour)
	c.source = reading{lane: c.lane, from: c.from, out: c.chunks}
	if c.builder.replay.pending == 0 {
		c.source.skips = c.builder.skips
	}
	c.goroutines.Add(1)
	go c.receive()
	if c.gone {
		c.drain("records at the position are gone")
	} else {
		c.read()
	}
}

// end ends the goroutines and gives back what the call holds, also after a panic.
func (c *call) end() {
	c.stay()
	c.lane.board.update(func(*Status) { c.lane.board.remembered.broke() })
	c.cancel()
	c.stopReading()
	c.timer.Stop()
	c.goroutines.Wait()
	c.release()
}

// start runs a goroutine of the call, which end awaits.
func (c *call) start(what string, f func()) {
	c.goroutines.Go(func() {
		defer func() {
			if err := caught(what, recover()); err != nil {
				c.panicked <- err
			}
		}()
		f()
	})
}

// read starts the reader, which ends when nothing has come for a while.
func (c *call) read() { c.start("read", func() { c.source.run(c.readCtx) }) }

// send starts the sender, likewise.
func (c *call) send() {
	c.sending = true
	c.start("send", func() { send(c.ctx, c.stream, c.messages, c.senderIdle) })
}

// resting says that only what rest waits for can happen: the reader has ended until there are records, the sender for
// want of messages, no batch is being filled, and everything is settled and answered.
func (c *call) resting() bool {
	return c.newRecords != nil && !c.sending && c.armed.IsZero() && c.quiet()
}

// rest does what wait does, in less room: stacks of owners at rest shrink with it, and they are most of what thousands
// of idle lanes take.
func (c *call) rest(stopped <-chan struct{}) (over bool, err error) {
	select {
	case <-stopped: // run looks
	case in := <-c.responses:
		return c.respond(in)
	case <-c.newRecords:
		c.newRecords = nil
		c.read()
	case err = <-c.panicked:
	case <-c.woken:
		err = c.lookAround()
	}
	return false, err
}

// wait waits for one thing to happen and does what follows from it. over says that Closed is committed.
func (c *call) wait(stopped <-chan struct{}) (over bool, err error) {
	out, message := c.outgoing()
	if out != nil && !c.sending {
		c.send()
	}
	select {
	case <-stopped: // run looks
	case in := <-c.responses:
		return c.respond(in)
	case part := <-c.incoming():
		err = c.receiveChunk(part)
	case out <- message:
		c.sent()
	case <-c.senderIdle:
		c.sending = false
	case <-c.newRecords:
		c.newRecords = nil
		c.read()
	case err = <-c.committed:
		err = c.barrierCommitted(err)
	case err = <-c.lettered:
		err = c.lettersProduced(err)
	case err = <-c.panicked:
	case <-c.woken:
		err = c.lookAround()
	case <-c.timer.C:
		c.armed = time.Time{}
	case <-c.drainBy:
		err = c.overdue()
	}
	return false, err
}

// respond takes a response of the writer, and commits what the last one says.
func (c *call) respond(in received) (over bool, err error) {
	closed, err := c.handle(in)
	if err != nil || !closed {
		return false, err
	}
	return true, c.finish()
}

func (c *call) overdue() error {
	return fmt.Errorf("not settled within the drain timeout of %v: %d batches are open", c.lane.Config.DrainTimeout,
		c.window.count)
}
