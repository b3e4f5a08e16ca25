package lane

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// drainage is why a lane is to close, and by when; zero: some time.
type drainage struct {
	reason string
	by     time.Time
}

// cut ends the lane with an error, whatever its owner does. Safe from any goroutine; the first error counts.
func (l *lane) cut(why error) {
	l.kill.Do(func() {
		l.why = why
		close(l.killed)
	})
}

// endsWithin is how long a lane that is cut may take to end by itself. One whose ingest does not read takes longer: its
// owner waits in Send, and only the end of the call, which is that of the handler, ends that.
const endsWithin = 250 * time.Millisecond

// attend is the call's handler: it starts the owner and waits for it, or until the lane is cut.
func (l *lane) attend() error {
	go l.carry()
	select {
	case err := <-l.over:
		return err
	case <-l.killed:
	}
	l.cancel()
	limit := time.NewTimer(endsWithin)
	defer limit.Stop()
	select {
	case err := <-l.over:
		return err
	case <-limit.C:
		return l.why
	}
}

// carry is the owner.
func (l *lane) carry() {
	l.first = time.AfterFunc(l.service.Limits.OpenWithin, func() {
		l.cut(status.Errorf(codes.Unavailable, "no Open came within %v; open the lane again",
			l.service.Limits.OpenWithin))
	})
	go l.receive()
	err := l.guard(l.run)
	l.given = l.traced()
	l.release()
	err = l.logEnd(err)
	l.service.remove(l)
	l.over <- err
}

// logEnd logs how the lane ended, and returns the status of the call.
func (l *lane) logEnd(err error) error {
	if l.open != nil {
		st := status.Convert(err) // OK, which is no error, for nil
		err = status.Errorf(st.Code(), "lane %s/%d: %s", l.open.GetTopic(), l.open.GetPartition(), st.Message())
	}
	code := status.Code(err)
	l.service.Metrics.ends.WithLabelValues(code.String()).Inc()
	switch {
	case l.open == nil && code != codes.Internal:
		// Anybody at the port can end thousands of calls.
		l.service.unopened.Say(func(others int) {
			l.log.Warn("a call ended before it was opened", "code", code, "error", err, "others_since_last", others)
		})
	case err == nil:
		l.say(func(log *slog.Logger) { log.Info("lane closed", "position", l.position) })
	case code == codes.FailedPrecondition || code == codes.InvalidArgument || code == codes.Internal:
		l.say(func(log *slog.Logger) {
			log = l.given.logger(log)
			log.Error("lane ended", "position", l.position, "phase", l.phase, "code", code, "error", err)
		})
	default:
		l.say(func(log *slog.Logger) {
			log = l.given.logger(log)
			log.Warn("lane ended", "position", l.position, "phase", l.phase, "code", code, "error", err)
		})
	}
	return err
}

// say logs a transition, as long as the host that the call comes from has not had more lines than it may: whoever may
// open lanes can open and end hundreds a second.
func (l *lane) say(line func(*slog.Logger)) {
	from := ""
	if p, ok := peer.FromContext(l.ctx); ok {
		from = p.Addr.String()
	}
	l.service.lines.Say(from, func(others int) {
		log := l.log
		if others > 0 {
			log = log.With("others_since_last", others)
		}
		line(log)
	})
}

// receive reads messages as they are granted: none behind the half-close or a fault, for the owner grants no more. It
// ends with the call: RecvMsg returns once the handler has.
func (l *lane) receive() {
	defer l.service.goroutines.Done()
	for {
		select {
		case <-l.grant:
		case <-l.done:
			return
		}
		err := l.guard(func() error { return l.stream.RecvMsg(&l.request) })
		select {
		case l.received <- err:
		case <-l.done:
			// The owner has freed what it has taken, so there is something only in a message read since.
			l.request.Free()
			return
		}
	}
}

// send waits while ingest does not read, until the call ends.
func (l *lane) send(m *lanev1.LaneResponse) error {
	l.status.waitsFor(true)
	err := l.stream.Send(m)
	l.status.waitsFor(l.waiting())
	if err != nil && l.ctx.Err() != nil {
		return l.ended()
	}
	return err
}

// ended is why the call is over.
func (l *lane) ended() error {
	select {
	case <-l.killed:
		return l.why
	default:
		return status.FromContextError(cmp.Or(l.stream.Context().Err(), context.Canceled)).Err()
	}
}

// release ends all that the lane started and gives back what it holds: every step of it, whatever happens in another.
func (l *lane) release() {
	l.cancel()
	close(l.done)
	l.first.Stop()
	l.rest.Stop()
	for i := range l.tables {
		if t := &l.tables[i]; t.appender != nil {
			l.last(t.appender.Close)
		}
	}
	l.last(l.jobs.Wait)
	for _, b := range l.window {
		for i := range b.blocks {
			l.last(b.blocks[i].data.Free)
		}
		b.traced.end(errUnsettled)
	}
	if l.place != nil {
		l.service.Budget.leave(l.place)
		l.last(l.request.Free)
	}
	l.last(l.speaks)
	if l.carried != nil {
		l.last(l.carried)
	}
	l.forgo()
	l.service.Budget.served(l)
	l.service.Budget.release(l.charged)
	l.service.Metrics.held.Sub(float64(l.bytes))
}
