package lane

import (
	"context"
	"time"

	"google.golang.org/grpc"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// laneStream is one call of the lane protocol.
type laneStream = grpc.BidiStreamingClient[lanev1.LaneRequest, lanev1.LaneResponse]

// halfClose tells the sender to half-close the call.
type halfClose struct{}

// received is what the receiver hands to the owner.
type received struct {
	response *lanev1.LaneResponse
	err      error
}

// receive hands over what the writer says, until nothing that was sent awaits its Settled; what follows then is left to
// a goroutine like it. Thousands of receivers of idle lanes wait within gRPC, in frames that just fit a stack of 4 KiB;
// what decodes a message grows it to 8, and a stack that is used as far as this one does not shrink again. So that wait
// begins on a stack of its own, with no frames of ours around it. A lane at work keeps the stack that has grown.
func (c *call) receive() {
	defer c.received()
	for c.handOver(c.stream.Recv()) {
	}
}

// handOver hands a response to the owner, and says whether the same goroutine waits for the next one. It is none of
// receive's: its variables would be on the stack of the wait.
func (c *call) handOver(response *lanev1.LaneResponse, err error) (on bool) {
	awaited := c.awaited.Load()
	if response.GetSettled() != nil {
		awaited = c.awaited.Add(-1)
	}
	select {
	case c.responses <- received{response, err}:
	case <-c.ctx.Done():
		return false
	}
	if err != nil || awaited > 0 {
		return err == nil
	}
	c.goroutines.Add(1)
	go c.receive()
	return false
}

// received ends a receiver, and says so if it panics. It is to be deferred.
func (c *call) received() {
	if err := recovered("receive", recover()); err != nil {
		c.panicked <- err
	}
	c.goroutines.Done()
}

// idleAfter is how long the sender and the reader of a call stay when there is nothing to do: a lane at rest is its
// owner and its receiver.
const idleAfter = 2 * time.Second

// send sends what the owner hands over, until it has handed over nothing for a while: it then says so on idle, instead
// of taking another one. A failed send ends the call, and the receiver gets the reason; so this one just goes.
func send(ctx context.Context, stream laneStream, in <-chan any, idle chan<- struct{}) {
	timer := time.NewTimer(idleAfter)
	defer timer.Stop()
	quiet := false
	for {
		var rest chan<- struct{}
		if quiet {
			rest = idle
		}
		select {
		case message := <-in:
			var err error
			if _, end := message.(halfClose); end {
				err = stream.CloseSend()
			} else {
				err = stream.SendMsg(message)
			}
			if err != nil {
				return
			}
			quiet = false
			timer.Reset(idleAfter)
		case <-timer.C:
			quiet = true
		case rest <- struct{}{}:
			return
		case <-ctx.Done():
			return
		}
	}
}
