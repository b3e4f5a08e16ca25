package stack

import (
	"context"

	"github.com/waybill-data/waybill/sandbox/produce"
)

// Load is events that come all the time.
type Load struct {
	stop  context.CancelFunc
	ended chan struct{}
	sum   produce.Summary
	err   error
}

// Load produces into the stack's Kafka until its end: with Events 0 that is when End is called or ctx ends.
func (s *Stack) Load(ctx context.Context, config produce.Config) *Load {
	config.Seeds = s.Seeds()
	ctx, stop := context.WithCancel(ctx)
	l := &Load{stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		l.sum, l.err = produce.Run(ctx, config)
	}()
	return l
}

// Ended is closed when nothing is produced any more.
func (l *Load) Ended() <-chan struct{} { return l.ended }

// End ends it, and says what came of it; what was made is in Kafka then. It may be called again.
func (l *Load) End() (produce.Summary, error) {
	l.stop()
	<-l.ended
	return l.sum, l.err
}
