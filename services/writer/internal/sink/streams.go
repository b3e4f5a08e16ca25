package sink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

const (
	// callTimeout bounds one attempt of a call. A call on a connection with a hundred streams hangs; so does one to a
	// dead peer.
	callTimeout = 30 * time.Second
	// goneGrace is how long a stream to finalize must be unknown before it counts as gone: NOT_FOUND may pass.
	goneGrace = 2 * time.Second
)

// Create implements lane.Table. An attempt whose response is lost leaves a stream behind that nobody uses; BigQuery
// removes it.
func (t *table) Create(ctx context.Context) (string, error) {
	s := t.sink
	request := &storagepb.CreateWriteStreamRequest{
		Parent: t.name, WriteStream: &storagepb.WriteStream{Type: storagepb.WriteStream_COMMITTED},
	}
	var stream *storagepb.WriteStream
	start := time.Now()
	err := s.persist(ctx, t.weather.traveller(wayCreate), s.awaitCreation, func(ctx context.Context) (err error) {
		stream, err = s.control.CreateWriteStream(ctx, request)
		if err == nil {
			return nil
		}
		if f := ended(err); f.kind == gone || f.kind == denied {
			// Somebody may have removed the table since we looked: then it is made again.
			switch again := t.stand(ctx); {
			case ctx.Err() != nil:
				return ctx.Err()
			case again != nil: // not transient: only an operator can help
				return &halt{codes.FailedPrecondition, again.Error()}
			}
		}
		return err
	}, func(f *fault) bool {
		return f.kind == gone && time.Since(start) < newTableGrace || f.kind == denied &&
			time.Since(start) < deniedGrace
	})
	if err != nil {
		err = fmt.Errorf("create a write stream for %s: %w", t.name, err)
		if f := (*fault)(nil); errors.As(err, &f) {
			if f.kind == denied {
				err = fmt.Errorf("%w; %s", err, roleRemedy)
			}
			s.forget(t) // The next lane to open looks anew.
			t.weather.refuse(wayCreate, err.Error(), time.Now())
		}
		return "", err
	}
	s.metrics.created.Inc()
	return stream.GetName(), nil
}

// Finalize implements lane.Sink.
func (s *Sink) Finalize(ctx context.Context, stream string) (int64, error) {
	request := &storagepb.FinalizeWriteStreamRequest{Name: stream}
	id, named := tableOfStream(stream)
	if !s.config.allows(id) { // nor one without a name
		return 0, fmt.Errorf("finalize %s: %w: it is in no dataset of bigquery.allow", stream, lane.ErrRoute)
	}
	var rows int64
	start := time.Now()
	err := s.persist(ctx, s.weatherOf(id.resource()).traveller(wayFence), nil, func(ctx context.Context) error {
		response, err := s.control.FinalizeWriteStream(ctx, request)
		rows = response.GetRowCount()
		if err != nil && named && ended(err).kind == denied {
			// BigQuery says so of a stream whose table is gone.
			if found, unread := s.read(ctx, id); found == nil && unread == nil {
				return status.Errorf(codes.NotFound, "table %s is not there: %v", id, err)
			}
		}
		return err
	}, func(f *fault) bool {
		return f.kind == gone && time.Since(start) < s.goneGrace || f.kind == denied && time.Since(start) < deniedGrace
	})
	if err != nil {
		f := (*fault)(nil)
		switch {
		case errors.As(err, &f) && f.kind == gone:
			return 0, fmt.Errorf("finalize %s: %w: %w", stream, lane.ErrStreamGone, err)
		case f != nil && f.kind == denied:
			return 0, fmt.Errorf("finalize %s: %w; %s, or see whether table %s was deleted and made anew", stream, err,
				roleRemedy, id)
		}
		return 0, fmt.Errorf("finalize %s: %w", stream, err)
	}
	s.metrics.finalized.Inc()
	return rows, nil
}

// streamName is projects/P/datasets/D/tables/T/streams/S.
var streamName = regexp.MustCompile(`^projects/([^/]+)/datasets/([^/]+)/tables/([^/]+)/streams/[^/]+$`)

// tableOfStream is the table that the name of a stream tells.
func tableOfStream(stream string) (id tableID, ok bool) {
	parts := streamName.FindStringSubmatch(stream)
	if parts == nil {
		return tableID{}, false
	}
	return tableID{parts[1], parts[2], parts[3]}, true
}

// awaitCreation waits for the turn of one CreateWriteStream call, repeated ones included: hundreds of lanes that open
// at once, or that BigQuery turns away at once, must not call faster than the configured rate.
func (s *Sink) awaitCreation(ctx context.Context) error {
	start := time.Now()
	if err := s.creations.Wait(ctx); err != nil {
		return err
	}
	s.metrics.waits.Observe(time.Since(start).Seconds())
	return nil
}

// persist calls until it works, ctx ends, or the fault is none that time heals; also may name others that are tried
// again. turn, if not nil, is awaited before each call, and its time is not the call's. What it meets makes the weather
// of the traveller's table.
func (s *Sink) persist(
	ctx context.Context, t *traveller, turn, call func(context.Context) error, also func(*fault) bool,
) error {
	defer func() { t.leave(time.Now()) }()
	for attempt := 0; ; attempt++ {
		if turn != nil {
			if err := turn(ctx); err != nil {
				return err
			}
		}
		once, cancel := context.WithTimeout(ctx, callTimeout)
		err := call(once)
		cancel()
		if err == nil {
			t.success(time.Now())
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f := ended(err)
		s.metrics.faults.WithLabelValues(f.code).Inc()
		pause := backoff(attempt, rand.Float64())
		if !f.transient() {
			if !also(f) {
				t.rejected(time.Now())
				return f
			}
			pause = min(pause, maxUnknown)
		}
		t.fault(f, time.Now())
		if err := t.sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// backoff is how long to wait after so many faults in a row; jitter is in [0, 1).
func backoff(attempts int, jitter float64) time.Duration {
	pause := min(maxBackoff, firstBackoff<<min(attempts, 16)) // which is far above the most already
	return pause/2 + time.Duration(jitter*float64(pause/2))
}
