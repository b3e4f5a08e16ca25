package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// grace is what a process has to stop in before it is killed; more than any of its own deadlines.
const grace = 20 * time.Second

// act carries one disturbance out and returns when it is over. A process that does not stop or come back is an error.
func (r *run) act(ctx context.Context, d Disturbance) error {
	s := r.stack
	switch d.Kind {
	case KillWriter:
		return r.die(ctx, d, s.Writers[d.Target], true)
	case KillIngest:
		return r.die(ctx, d, s.Ingests[d.Target], true)
	case StopWriter:
		return r.die(ctx, d, s.Writers[d.Target], false)
	case StopIngest:
		return r.die(ctx, d, s.Ingests[d.Target], false)
	case PauseWriter:
		return r.pause(ctx, d, s.Writers[d.Target])
	case PauseIngest:
		return r.pause(ctx, d, s.Ingests[d.Target])
	case ScaleWriters:
		return r.comeAndGo(ctx, s.Writers[writers], d.For, func(there bool) { r.names.list(writers, there) })
	case ScaleIngests:
		return r.guests(ctx, s.Ingests[ingests:], d.For)
	case RollWriters:
		return r.roll(ctx, s.Writers[:writers])
	case RollIngests:
		return r.roll(ctx, s.Ingests[:ingests])
	case MoveLeaders:
		return r.fault(ctx, "kafka", map[string]any{"action": "move_leaders"})
	case Coordinators:
		return r.fault(ctx, "kafka", map[string]any{"action": "rehash_coordinators"})
	case KafkaErrors:
		return r.fault(ctx, "kafka", map[string]any{"key": d.Key, "error": d.Error, "count": d.Times})
	case Restart:
		return r.restartSandbox(ctx, d.For)
	case LostReplies:
		return r.bigquery(ctx, d, map[string]any{"kind": "lost_reply", "probability": d.Probability})
	case Aborted:
		if err := r.bigquery(ctx, d, map[string]any{
			"kind": "aborted", "method": "append", "probability": d.Probability, "in_stream": true,
		}); err != nil {
			return err
		}
		return r.bigquery(ctx, d, map[string]any{"kind": "aborted", "probability": d.Probability / 2})
	case QuotaStorm:
		return r.bigquery(ctx, d, map[string]any{"kind": "quota", "probability": d.Probability})
	case SlowAppends:
		return r.bigquery(ctx, d, map[string]any{
			"kind": "latency", "method": "append", "delay": d.Delay.String(), "jitter": d.Delay.String(),
		})
	case LateForOne:
		r.late[d.Target].Set(d.Delay)
		pause(ctx, d.For)
		r.late[d.Target].Set(0)
		return nil
	case SlowFinalize:
		return r.bigquery(ctx, d, map[string]any{"kind": "finalize_delay", "delay": d.Delay.String()})
	case ClockJump:
		return r.fault(ctx, "bigquery", map[string]any{"kind": "clock_jump", "delay": d.Jump.String()})
	case RegistryErrors:
		return r.fault(ctx, "registry", map[string]any{"status": http.StatusServiceUnavailable, "count": d.Times})
	case ReplayLetters:
		return r.replayInStorm(ctx, d)
	case ChangeSchema:
		return r.changeSchema(ctx, d)
	case PauseLanes, MoveLane, Reload, SkipRecord:
		return r.operate(ctx, d)
	case ReplayTopic:
		r.replayTopicInStorm(ctx, d)
		return nil
	case ChangeNames:
		r.changeNames(ctx, d)
		return nil
	case HalfOpenLanes:
		return r.halfOpen(ctx, s.Writers[d.Target].GRPC, d.For)
	case HalfOpenSink:
		return r.halfOpen(ctx, s.Endpoints.BigQueryGRPC, d.For)
	}
	return fmt.Errorf("unknown disturbance %q", d.Kind)
}

// die ends a service, as a crash or in order, measures how long its lanes take elsewhere, and brings it back.
func (r *run) die(ctx context.Context, d Disturbance, s *stack.Service, crash bool) error {
	var measured sync.WaitGroup
	defer measured.Wait()
	if !r.take(s) {
		return nil
	}
	defer r.free(s)
	lanes, before := r.watch.of(s), r.watch.total(finalized)
	began, pid := time.Now(), s.Pid()
	measure := func() {
		measured.Go(func() {
			took, ok := r.watch.recovered(ctx, lanes, s, pid, began, time.Minute)
			if ctx.Err() == nil && len(lanes) > 0 {
				r.results.recovery(recovery{kind: d.Kind, calm: d.Calm, took: took, ok: ok, lanes: len(lanes)})
			}
			if d.Calm && !crash {
				pause(ctx, time.Second) // for counters that are on their way
				r.results.wasted(r.watch.total(finalized) - before)
			}
		})
	}
	if crash {
		s.Kill()
		r.results.kill()
		measure()
	} else {
		measure()
		if err := s.Stop(grace); err != nil {
			return err
		}
	}
	pause(ctx, d.For)
	return r.start(ctx, s)
}

// start starts a service and waits until it is ready, unless the run is over.
func (r *run) start(ctx context.Context, s *stack.Service) error {
	if ctx.Err() != nil {
		return nil
	}
	if err := s.Start(); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := s.Await(ready, func(ctx context.Context) error {
		one, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return s.Ready(one)
	}); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (r *run) pause(ctx context.Context, d Disturbance, s *stack.Service) error {
	if !r.take(s) {
		return nil
	}
	defer r.free(s)
	if err := s.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	pause(ctx, d.For)
	return s.Signal(syscall.SIGCONT) // also when the run is over: a stopped process takes no stop signal
}

// comeAndGo starts a service for a while; list learns when it is there, and when it is about to go.
func (r *run) comeAndGo(ctx context.Context, s *stack.Service, stay time.Duration, list func(there bool)) error {
	if !r.take(s) {
		return nil
	}
	defer r.free(s)
	if err := r.start(ctx, s); err != nil {
		return err
	}
	list(true)
	pause(ctx, stay)
	list(false)
	return s.Stop(grace)
}

// guests starts ingests for a while, which then leave the group in order, all at once.
func (r *run) guests(ctx context.Context, all []*stack.Service, stay time.Duration) error {
	errs := make([]error, len(all))
	var staying sync.WaitGroup
	for i, s := range all {
		staying.Go(func() { errs[i] = r.comeAndGo(ctx, s, stay, func(bool) {}) })
	}
	staying.Wait()
	return errors.Join(errs...)
}

func (r *run) roll(ctx context.Context, all []*stack.Service) error {
	one := func(s *stack.Service) error {
		if !r.take(s) {
			return nil
		}
		defer r.free(s)
		if err := s.Stop(grace); err != nil {
			return err
		}
		return r.start(ctx, s)
	}
	for _, s := range all {
		if err := one(s); err != nil {
			return err
		}
	}
	return nil
}

// take makes a process ours to disturb. It is not when it needs longer to come back than planned, which others'
// disturbances can cause.
func (r *run) take(s *stack.Service) bool {
	taken := r.tryTake(s)
	if !taken {
		r.line("  left out: %s is not back from the last time", s.Name)
	}
	return taken
}

func (r *run) tryTake(s *stack.Service) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken[s] {
		return false
	}
	r.taken[s] = true
	return true
}

func (r *run) free(s *stack.Service) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.taken, s)
}

// restartSandbox takes Kafka and BigQuery away. Rows reach BigQuery again once the refusals of rows are in force again:
// a row that is refused must be refused every time.
func (r *run) restartSandbox(ctx context.Context, down time.Duration) error {
	r.sandbox.Lock()
	defer r.sandbox.Unlock()
	r.gate.Lock()
	defer r.gate.Unlock()
	bigquery := r.relays[r.stack.Endpoints.BigQueryGRPC]
	bigquery.hold()
	if err := r.stack.Sandbox.Stop(grace); err != nil {
		return err
	}
	pause(ctx, down)
	if ctx.Err() != nil {
		return nil
	}
	up, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := r.stack.UpSandbox(up); err != nil {
		return err
	}
	if err := r.refuseRows(ctx); err != nil {
		return err
	}
	bigquery.release()
	return nil
}

func (r *run) halfOpen(ctx context.Context, addr string, length time.Duration) error {
	end := r.relays[addr].swallow()
	pause(ctx, length)
	end()
	return nil
}

// bigquery has BigQuery misbehave for as long as the disturbance lasts.
func (r *run) bigquery(ctx context.Context, d Disturbance, fault map[string]any) error {
	fault["for"] = d.For.String()
	return r.fault(ctx, "bigquery", fault)
}

// fault asks the sandbox to misbehave. It waits while the sandbox restarts.
func (r *run) fault(ctx context.Context, family string, fault map[string]any) error {
	r.sandbox.RLock()
	defer r.sandbox.RUnlock()
	return r.stack.Fault(ctx, family, fault)
}

// refuseRows has BigQuery refuse the rows whose Kafka offset RefuseEvery divides.
func (r *run) refuseRows(ctx context.Context) error {
	return r.stack.Fault(ctx, stack.BigQuery, map[string]any{
		"kind": "row_errors", "every": r.config.RefuseEvery, "listed": 2,
	})
}

// quiet lifts every fault but the refusals of rows: an append that is under way must not slip through between two of
// them.
func (r *run) quiet(ctx context.Context) error {
	r.sandbox.Lock()
	defer r.sandbox.Unlock()
	var faults []struct{ ID, Kind string }
	if err := r.stack.Faults(ctx, stack.BigQuery, &faults); err != nil {
		return err
	}
	for _, f := range faults {
		if f.Kind == "row_errors" {
			continue
		}
		if err := r.stack.ClearFaults(ctx, stack.BigQuery, f.ID); err != nil {
			return err
		}
	}
	return errors.Join(r.stack.ClearFaults(ctx, stack.Registry, ""), r.stack.ClearFaults(ctx, stack.Kafka, ""))
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	_ = stack.Pause(ctx, d) // who waits looks at ctx when it has done its part
}
