package lane

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fatalError stops the lane loudly until an operator has acted; it is tried again with a long back-off.
type fatalError struct {
	text string
	// stack is that of a panic; else empty.
	stack string
}

func (e *fatalError) Error() string { return e.text }

func fatalf(format string, args ...any) error { return &fatalError{text: fmt.Sprintf(format, args...)} }

// violation says that the other side broke the protocol: the call is not to be trusted any further and ends.
func violation(format string, args ...any) error {
	return fmt.Errorf("writer broke the lane protocol: "+format, args...)
}

// errGone says that the reader stands at an offset that the partition does not hold.
var errGone = errors.New("records at the position are gone")

// errGrown says that the records read next want contracts that have grown: with the routes of the call they would lose
// fields.
var errGrown = errors.New("a contract has grown")

// errAway says that no writer took the lane. Weather then says when to try again.
var errAway = errors.New("no writer takes the lane")

// errEarlyEnd says that the writer ended the call without Closed.
var errEarlyEnd = fmt.Errorf("the writer ended the call: %w", io.EOF)

// outcome is how a call ended, as a metric label.
type outcome string

const (
	outcomeClosed  outcome = "closed"
	outcomeBroken  outcome = "broken"
	outcomeFenced  outcome = "fenced"
	outcomeFatal   outcome = "fatal"
	outcomeGone    outcome = "offset_gone"
	outcomeStopped outcome = "stopped"
)

func outcomeOf(err error) outcome {
	var fatal *fatalError
	switch {
	case err == nil:
		return outcomeClosed
	case errors.Is(err, ErrFenced):
		return outcomeFenced
	case errors.As(err, &fatal), errors.Is(err, ErrNoWriter):
		return outcomeFatal
	case errors.Is(err, errGone):
		return outcomeGone
	default:
		return outcomeBroken
	}
}

// ErrNoWriter says that what a lane was opened at does not know the lane protocol.
var ErrNoWriter = errors.New("the peer is no writer")

// callError gives the end of a call its kind. FAILED_PRECONDITION means that going on could lose or repeat rows;
// UNIMPLEMENTED, that the peer is no writer, which is for the placer to go by, and fatal without one.
func callError(err error) error {
	switch s := status.Convert(err); s.Code() {
	case codes.FailedPrecondition:
		return fatalf("the writer refuses the lane: %s", s.Message())
	case codes.Unimplemented:
		return fmt.Errorf("%w: %s", ErrNoWriter, s.Message())
	}
	if _, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		return &endError{status.Convert(err)}
	}
	return err
}

// endError is a status that a call ended with, in the words of whoever ended it.
type endError struct{ status *status.Status }

func (e *endError) Error() string {
	return fmt.Sprintf("the call to the writer ended, %v: %s", e.status.Code(), e.status.Message())
}

// GRPCStatus lets the packages of gRPC know the code.
func (e *endError) GRPCStatus() *status.Status { return e.status }

// recovered makes an error of what recover returned; nil without a panic. A panic ends the call as a fault of ours
// would: the lane gives back what it holds, says where it happened, and rests, since what made it panic is most likely
// still there. The other lanes go on.
func recovered(what string, panicked any) error {
	if panicked == nil {
		return nil
	}
	return &fatalError{
		text: fmt.Sprintf("%s panicked, which is a fault of this program: %v; report it with the stack in the log",
			what, panicked),
		stack: string(debug.Stack()),
	}
}

// guarded runs f in a goroutine of the lane's own, whose panic would end the process.
func guarded(what string, f func() error) (err error) {
	defer func() {
		if p := recovered(what, recover()); p != nil {
			err = p
		}
	}()
	return f()
}
