package steering

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/fleetview"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// mostJobs is how many replays are remembered; the oldest that have ended are forgotten.
const mostJobs = 50

// jobs are the replays that this process runs, or has run.
type jobs struct {
	mu  sync.Mutex
	all []*job // the newest last
}

// job is one replay.
type job struct {
	of *jobs
	// shown is how far it is; under of.mu.
	shown *adminv1.Replay
	// stop ends its work; the cause is who stopped it.
	stop  context.CancelCauseFunc
	work  context.Context //nolint:containedctx // a job is a scope, from its call until it has ended
	ended chan struct{}
}

// stoppedError says who stopped a replay.
type stoppedError struct{ by, reason string }

func (s *stoppedError) Error() string {
	text := "stopped by " + s.by
	if s.reason != "" {
		text += ": " + s.reason
	}
	return text
}

// begin enters a replay, which ends with ctx. The error is that one of its kind runs.
func (j *jobs) begin(ctx context.Context, shown *adminv1.Replay) (*job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	kept := j.all[:0:0]
	for i, o := range j.all {
		running := o.shown.GetState() == fleetview.Running
		if running && o.shown.GetDeadLetters() == shown.GetDeadLetters() {
			what := "replay " + o.shown.GetName() + " is"
			if shown.GetDeadLetters() {
				what = "dead letters are being replayed by this ingest already, as " + o.shown.GetName() + ", which is"
			}
			return nil, status.Errorf(codes.FailedPrecondition, "%s under way at this ingest, which does one at a "+
				"time: wait for its end, stop it (StopReplay), or ask another ingest", what)
		}
		// The same again, or one that is too old to be shown.
		old := o.shown.GetName() == shown.GetName() && o.shown.GetDeadLetters() == shown.GetDeadLetters()
		if running || !old && len(j.all)-i < mostJobs {
			kept = append(kept, o)
		}
	}
	own := &job{of: j, shown: shown, ended: make(chan struct{})}
	own.work, own.stop = context.WithCancelCause(ctx)
	shown.State, shown.Started = fleetview.Running, timestamppb.Now()
	kept = append(kept, own)
	j.all = kept
	return own, nil
}

// forget forgets one that has only been tried.
func (j *jobs) forget(o *job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all = slices.DeleteFunc(j.all, func(other *job) bool { return other == o })
}

// find finds a replay by its name; one that runs first.
func (j *jobs) find(name string) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found *job
	for _, o := range j.all {
		if o.shown.GetName() == name && (found == nil || o.shown.GetState() == fleetview.Running) {
			found = o
		}
	}
	return found
}

// list is all of them.
func (j *jobs) list() []*adminv1.Replay {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]*adminv1.Replay, 0, len(j.all))
	for _, o := range j.all {
		out = append(out, proto.CloneOf(o.shown))
	}
	return out
}

// now is how far it is.
func (o *job) now() *adminv1.Replay {
	o.of.mu.Lock()
	defer o.of.mu.Unlock()
	return proto.CloneOf(o.shown)
}

// change changes what is shown of it.
func (o *job) change(change func(*adminv1.Replay)) {
	o.of.mu.Lock()
	defer o.of.mu.Unlock()
	change(o.shown)
}

// end says how it has ended; err is nil when all is done.
func (o *job) end(err error) {
	o.change(func(r *adminv1.Replay) {
		r.Ended, r.Waits, r.Left = timestamppb.Now(), "", nil
		stopped, isStopped := errors.AsType[*stoppedError](context.Cause(o.work))
		switch {
		case err == nil:
			r.State = fleetview.Done
		case isStopped:
			r.State, r.Error = fleetview.Stopped, stopped.Error()
		case o.work.Err() != nil:
			r.State, r.Error = fleetview.Interrupted, "its process or its caller went away"
		default:
			r.State, r.Error = fleetview.Failed, status.Convert(err).Message()
		}
	})
	o.stop(nil)
	close(o.ended)
}

// refused is the error of a replay that was stopped; nil when nobody stopped it.
func (o *job) refused(done int64) error {
	if stopped, ok := errors.AsType[*stoppedError](context.Cause(o.work)); ok {
		return status.Errorf(codes.Aborted, "%v; %d records are replayed, and marked; the same again goes on with "+
			"the rest", stopped, done)
	}
	return nil
}

// queued is work for Run.
type queued struct {
	job *job
	do  func(ctx context.Context)
}

// Run runs the replays that go on without their callers, until ctx ends; then it waits until they have settled what is
// on its way.
func (s *Server) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		select {
		case q := <-s.queue:
			all.Go(func() {
				defer context.AfterFunc(ctx, func() { q.job.stop(nil) })()
				q.do(q.job.work)
			})
		case <-ctx.Done():
			return
		}
	}
}

// queueWithin is how long Run may take to begin something.
const queueWithin = 5 * time.Second

// detach has Run do a job.
func (s *Server) detach(ctx context.Context, o *job, do func(context.Context)) error {
	ctx, cancel := context.WithTimeout(ctx, queueWithin)
	defer cancel()
	select {
	case s.queue <- queued{o, do}:
		return nil
	case <-ctx.Done():
		err := status.Error(codes.Unavailable, "this ingest has not begun its work yet, or ends it")
		o.end(err)
		return err
	}
}

// ends tells of the end of a replay.
func (s *Server) ends(o *job) {
	r := o.now()
	attrs := []any{
		"name", r.GetName(), "state", r.GetState(), "records", r.GetRows(), "took",
		r.GetEnded().AsTime().Sub(r.GetStarted().AsTime()).Round(time.Second),
	}
	if len(r.GetTopics()) == 1 {
		attrs = append(attrs, "topic", r.GetTopics()[0])
	}
	if r.GetError() != "" {
		attrs = append(attrs, "why", r.GetError())
	}
	if r.GetState() == fleetview.Failed {
		s.Log.Warn("replay has ended", attrs...)
		return
	}
	s.Log.Info("replay has ended", attrs...)
}

// Replays are those that this process runs, or has run: fleetview.Replays.
func (s *Server) Replays() []*adminv1.Replay { return s.jobs.list() }

// share is how far a replay is, in words.
func share(r *adminv1.Replay) string {
	if r.GetTotal() == 0 {
		return fmt.Sprintf("%d records are produced", r.GetRows())
	}
	return fmt.Sprintf("%d of %d offsets are settled", r.GetSettled(), r.GetTotal())
}
