package lane

import (
	"runtime/debug"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// guard runs one goroutine's share of a lane. A panic, which is a fault of the program, ends the lane that met it and
// no other: it is logged with its stack and returned as INTERNAL.
func (l *lane) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			l.service.Log.Error("a lane panicked", "panic", p, "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "the writer met a fault of its own; its log says which: report it")
		}
	}()
	return f()
}

// last runs a step of giving back what a lane holds, so that the steps behind it run whatever happens in it.
func (l *lane) last(f func()) {
	_ = l.guard(func() error { f(); return nil }) // The lane has ended; the log has it.
}
