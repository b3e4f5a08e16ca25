package lane

import (
	"context"

	"google.golang.org/grpc"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// laneStream is one call of the lane protocol.
type laneStream = grpc.BidiStreamingClient[lanev1.LaneRequest, lanev1.LaneResponse]

// halfClose tells the sender to half-close the call.
type halfClose struct{}

// heard is what the receiver hands to the owner.
type heard struct {
	response *lanev1.LaneResponse
	err      error
}

// receive hands over what the writer says until the call ends.
func receive(ctx context.Context, stream laneStream, out chan<- heard) {
	for {
		response, err := stream.Recv()
		select {
		case out <- heard{response, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// send sends what the owner hands over. A failed send ends the call, and the receiver is told why; so this one just goes.
func send(ctx context.Context, stream laneStream, in <-chan any) {
	for {
		var err error
		select {
		case message := <-in:
			if _, end := message.(halfClose); end {
				err = stream.CloseSend()
			} else {
				err = stream.SendMsg(message)
			}
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}
