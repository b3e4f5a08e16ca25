package sink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// callTimeout bounds one attempt of a call. A call on a connection with a hundred streams hangs; so does one to a dead peer.
const callTimeout = 30 * time.Second

// Create implements lane.Table. An attempt whose answer is lost leaves a stream behind that nobody uses; BigQuery removes it.
func (t *table) Create(ctx context.Context) (string, error) {
	s := t.sink
	request := &storagepb.CreateWriteStreamRequest{
		Parent: t.name, WriteStream: &storagepb.WriteStream{Type: storagepb.WriteStream_COMMITTED},
	}
	var stream *storagepb.WriteStream
	start := time.Now()
	err := s.persist(ctx, s.awaitCreation, func(ctx context.Context) (err error) {
		stream, err = s.control.CreateWriteStream(ctx, request)
		if err != nil && ended(err).kind == gone {
			// Somebody may have removed the table since we looked: then it is made again.
			switch again := t.stand(ctx); {
			case ctx.Err() != nil:
				return ctx.Err()
			case again != nil: // not transient: only an operator can help
				return status.Error(codes.FailedPrecondition, again.Error())
			}
		}
		return err
	}, func(f *fault) bool { return f.kind == gone && time.Since(start) < newTableGrace })
	if err != nil {
		if f := (*fault)(nil); errors.As(err, &f) && f.kind != again && f.kind != renew {
			// The next lane to open looks anew.
			s.forget(t)
		}
		return "", fmt.Errorf("create a write stream for %s: %w", t.name, err)
	}
	s.metrics.created.Inc()
	return stream.GetName(), nil
}

// Finalize implements lane.Sink.
func (s *Sink) Finalize(ctx context.Context, stream string) (int64, error) {
	request := &storagepb.FinalizeWriteStreamRequest{Name: stream}
	var rows int64
	err := s.persist(ctx, nil, func(ctx context.Context) error {
		response, err := s.control.FinalizeWriteStream(ctx, request)
		rows = response.GetRowCount()
		return err
	}, nil)
	if err != nil {
		if f := (*fault)(nil); errors.As(err, &f) && f.kind == gone {
			return 0, fmt.Errorf("finalize %s: %w: %w", stream, lane.ErrStreamGone, err)
		}
		return 0, fmt.Errorf("finalize %s: %w", stream, err)
	}
	s.metrics.finalized.Inc()
	return rows, nil
}

// awaitCreation waits for the turn of one CreateWriteStream call, repeated ones included: hundreds of lanes that open at once, or that BigQuery
// turns away at once, must not call faster than the configured rate.
func (s *Sink) awaitCreation(ctx context.Context) error {
	start := time.Now()
	if err := s.creations.Wait(ctx); err != nil {
		return err
	}
	s.metrics.waits.Observe(time.Since(start).Seconds())
	return nil
}

// persist calls until it works, ctx ends, or the fault is none that time heals; also may name others that are tried again. turn, if not nil, is
// awaited before each call, and its time is not the call's.
func (s *Sink) persist(ctx context.Context, turn, call func(context.Context) error, also func(*fault) bool) error {
	for attempt := 0; ; attempt++ {
		if turn != nil {
			if err := turn(ctx); err != nil {
				return err
			}
		}
		once, cancel := context.WithTimeout(ctx, s.callTimeout)
		err := call(once)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f := ended(err)
		s.metrics.faults.WithLabelValues(f.code).Inc()
		if f.kind != again && f.kind != renew && (also == nil || !also(f)) {
			return f
		}
		if err := sleep(ctx, backoff(attempt, rand.Float64())); err != nil {
			return err
		}
	}
}

// backoff is how long to wait after so many faults in a row; jitter is in [0, 1).
func backoff(attempts int, jitter float64) time.Duration {
	pause := maxBackoff
	if attempts < 16 {
		pause = min(maxBackoff, firstBackoff<<attempts)
	}
	return pause/2 + time.Duration(jitter*float64(pause/2))
}

// sleep waits, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
