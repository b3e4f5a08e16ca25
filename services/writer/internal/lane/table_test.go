package lane

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The rest of what docs/design.md says of each death; who dies at which instant is
// TestCrashAtEveryStep. A lost reply is the sink's to resend.
func TestWhatGoesWrong(t *testing.T) {
	type world struct {
		*testing.T
		k *kafka
		q *bigquery
		w *writer
	}
	steady := func(w *world) *ingest {
		return &ingest{kafka: w.k, client: w.w.client, batch: 4, window: 3, every: 2, steps: -1}
	}
	for name, play := range map[string]func(w *world){
		"a live owner gets STREAM_FINALIZED": func(w *world) {
			var appends atomic.Int32
			w.q.fault = func(op, name string) error {
				if op == "append" && appends.Add(1) == 4 {
					w.q.streams[name].finalized = true
				}
				return nil
			}
			if err := steady(w).run(w.Context()); status.Code(err) != codes.Aborted {
				w.Errorf("got %v", err)
			}
			carryOn(w, func() *ingest { return steady(w) })
		},
		"BigQuery is away for an hour": func(w *world) {
			w.q.latency = time.Hour
			g := steady(w)
			g.batch, g.window = 1, 100
			w.w.Limits.WindowBatches = 100
			done := make(chan error)
			go func() { done <- g.run(w.Context()) }()
			time.Sleep(30 * time.Minute)
			if s := w.w.Status()[0]; s.Window == 0 || s.Bytes > w.w.Limits.WindowBytes {
				w.Errorf("%+v", s)
			}
			if err := <-done; err != nil {
				w.Error(err)
			}
		},
		"Kafka is away for an hour": func(w *world) {
			var requests atomic.Int32
			g := steady(w)
			g.away = func() {
				if requests.Add(1)%5 == 2 {
					time.Sleep(time.Hour)
				}
			}
			if err := g.run(w.Context()); err != nil {
				w.Error(err)
			}
		},
		"stop signal": func(w *world) {
			g := steady(w)
			g.every = 1000 // only Closed is committed, and the barriers
			done := make(chan error)
			go func() { done <- g.run(w.Context()) }()
			time.Sleep(150 * time.Millisecond)
			ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
			defer cancel()
			if err := w.w.Drain(ctx, "stop"); err != nil {
				w.Error(err)
			}
			if err := <-done; err != nil {
				w.Error(err)
			}
			if w.k.position == 0 || w.k.position == int64(len(w.k.records)) ||
				!strings.HasPrefix(show(w.k.token), "{clean") {
				w.Errorf("stopped at %d: %s", w.k.position, show(w.k.token))
			}
			// The next writer adopts: it fences nothing.
			w.q.fault = func(op, name string) error {
				if op == "finalize" || op == "create" {
					w.Errorf("%s %s", op, name)
				}
				return nil
			}
			next := startWriter(w, &Service{Sink: w.q})
			defer next.stop()
			w.w = next
			if err := steady(w).run(w.Context()); err != nil {
				w.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, q := topic(strings.Repeat("aaBaaaAaabaa.uaX", 4)), newBigQuery(t)
				q.explains = k.explains
				w := startWriter(t, &Service{Sink: q})
				defer w.stop()
				play(&world{t, k, q, w})
				if err := k.audit(q); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
