package lane

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// How a call ended is said in the words of whoever ended it, under its code, which the packages of gRPC still know.
// What ended it otherwise stays what it is.
func TestHowACallEnded(t *testing.T) {
	err := callError(status.Error(codes.Unavailable, "this writer is stopping"))
	if err.Error() != "the call to the writer ended, Unavailable: this writer is stopping" ||
		status.Code(err) != codes.Unavailable || outcomeOf(err) != outcomeBroken {
		t.Errorf("%v, %v, %v", err, status.Code(err), outcomeOf(err))
	}
	if err := callError(status.Error(codes.FailedPrecondition, "it is older")); outcomeOf(err) != outcomeFatal ||
		err.Error() != "the writer refuses the lane: it is older" {
		t.Errorf("%v", err)
	}
	if err := callError(status.Error(codes.Unimplemented, "unknown service")); !errors.Is(err, ErrNoWriter) {
		t.Errorf("%v", err)
	}
	for _, other := range []error{io.EOF, context.Canceled} {
		if err := callError(other); !errors.Is(err, other) {
			t.Errorf("%v became %v", other, err)
		}
	}
}
